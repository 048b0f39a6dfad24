"""Distances by hand, and their loss against PyTorch's definition of a cross-entropy, written in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from cvlib.models.head_parts import distances

POINTS = np.array([[12, 12, 8], [16, 16, 32]], np.float32)  # x, y, stride


def test_a_box_is_the_mean_of_its_distances() -> None:
    logits = np.zeros((1, 2, 4 * 5), np.float32)
    logits[0, 0, [3, 5 + 1, 10 + 2, 15 + 4]] = 50.0  # left 3, top 1, right 2, bottom 4 strides
    boxes = np.asarray(distances.corners(logits, POINTS, 5))
    np.testing.assert_allclose(boxes[0, 0], [12 - 3 * 8, 12 - 8, 12 + 2 * 8, 12 + 4 * 8], atol=1e-4)
    np.testing.assert_allclose(
        boxes[0, 1], [16 - 2 * 32] * 2 + [16 + 2 * 32] * 2, atol=1e-4
    )  # uniform: the mean of 0–4


def test_the_loss_is_the_cross_entropy_of_the_two_nearest_values() -> None:
    logits = np.random.default_rng(0).normal(size=(1, 2, 4 * 5)).astype(np.float32)
    # In strides, the first box has the distances 0.5, 2, 3.25 and 9, which is clipped to 4; the second has 0, 1, 0, 1.
    boxes = np.array([[[8, -4, 38, 84], [16, -16, 16, 48]]], np.float32)
    target = np.zeros((2, 4, 5))
    target[0, 0, :2], target[0, 1, 2], target[0, 2, 3:], target[0, 3, 4] = 0.5, 1, [0.75, 0.25], 1
    target[1, [0, 2], 0] = target[1, [1, 3], 1] = 1
    by_side = logits[0].reshape(2, 4, 5).astype(float)
    surprise = np.log(np.exp(by_side).sum(axis=-1, keepdims=True)) - by_side
    expected = (target * surprise).sum(axis=-1).mean(axis=-1)
    assert np.asarray(distances.loss(logits, boxes, POINTS, 5))[0] == pytest.approx(expected, rel=1e-5)
