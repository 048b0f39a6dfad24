"""Errors of a detector by kind, counted by hand."""

from __future__ import annotations

import numpy as np

from cvlib.data.dataset import Boxes
from cvlib.tasks.detection.coco import Detections
from cvlib.tasks.detection.errors import by_kind


def _boxes(corners: list[list[float]], classes: list[int], crowd: list[bool] | None = None) -> Boxes:
    return Boxes(np.array(corners, np.float32).reshape(-1, 4), np.array(classes, np.int64),
                 np.array(crowd or [False] * len(classes), bool))  # fmt: skip


def _found(corners: list[list[float]], classes: list[int], scores: list[float]) -> Detections:
    return Detections(np.array(corners, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(classes))


def test_every_kind_is_counted_for_the_predicted_class() -> None:
    truth = _boxes([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]], [0, 1, 0])
    found = _found(
        [
            [0, 0, 10, 10],  # correct
            [0, 0, 10, 9],  # IoU 0.9 with the object that is already found: duplicate
            [20, 0, 30, 10],  # the object has class 1: wrong class
            [43, 0, 53, 10],  # IoU 7/13 = 0.54: correct
            [25, 0, 35, 10],  # IoU 1/3 with the object of class 1: badly placed
            [70, 0, 80, 10],  # background
            [70, 0, 80, 10],  # not shown: score below 0.25
        ],
        [0, 0, 0, 0, 1, 1, 1], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.2],
    )  # fmt: skip
    assert by_kind([truth], [found], ["a", "b"]) == [
        {"class": "a", "objects": 2, "found": 2, "missed": 0,
         "badly placed": 0, "wrong class": 1, "duplicate": 1, "background": 0},
        {"class": "b", "objects": 1, "found": 0, "missed": 1,
         "badly placed": 1, "wrong class": 0, "duplicate": 0, "background": 1},
    ]  # fmt: skip


def test_a_detection_in_a_crowd_is_neither_right_nor_wrong() -> None:
    truth = _boxes([[0, 0, 100, 100]], [0], [True])
    (row,) = by_kind([truth], [_found([[10, 10, 20, 20]], [0], [0.9])], ["a"])
    assert row == {"class": "a", "objects": 0, "found": 0, "missed": 0,
                   "badly placed": 0, "wrong class": 0, "duplicate": 0, "background": 0}  # fmt: skip


def test_images_without_objects_or_without_detections_are_counted() -> None:
    nothing, empty = _boxes([], []), _found([], [], [])
    rows = by_kind([nothing, _boxes([[0, 0, 9, 9]], [0])], [_found([[0, 0, 9, 9]], [0], [0.9]), empty], ["a"])
    assert rows[0]["background"] == 1
    assert rows[0]["missed"] == 1
