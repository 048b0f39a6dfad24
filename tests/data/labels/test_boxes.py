"""Boxes are padded for the feed."""

from __future__ import annotations

import numpy as np

from cvlib.data.labels import Boxes
from cvlib.data.labels.boxes import padded


def test_crowds_are_not_fed_and_images_without_boxes_are_kept() -> None:
    none = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, bool))
    some = Boxes(np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32), np.array([4, 2]), np.array([True, False]))
    corners, classes = padded([none, some])
    assert classes.tolist() == [[-1], [2]]
    assert corners.tolist() == [[[0, 0, 0, 0]], [[5, 6, 7, 8]]]
    assert padded([none])[1].tolist() == [[-1]]
