"""The agreement of two sets of boxes, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cvlib.tasks.detection.agreement import of_boxes

BOXES = {
    "boxes": np.array([[[10, 10, 50, 50], [60, 60, 90, 90], [0, 0, 9, 9]]], np.float32),
    "classes": np.array([[1, 2, 1]], np.int32),
    "scores": np.array([[0.9, 0.5, 0.1]], np.float32),
}


@pytest.mark.parametrize(("name", "place", "value", "difference", "same", "answers"), [
    ("scores", (0, 0), 0.88, 0.02, 4, 4),
    ("boxes", (0, 1, 2), 94, 4 / 100, 4, 4),  # a corner is 4 of 100 pixels away
    ("scores", (0, 2), 0.2, 0.0, 4, 4),  # below the score limit
    ("scores", (0, 1), 0.24, 0.26, 3, 3),  # above the score limit only in Keras
    ("classes", (0, 0), 2, 1.0, 2, 4),  # neither box has a counterpart
    ("classes", (0, 1), -1, 1.0, 2, 3),  # one box is missing
])  # fmt: skip
def test_boxes_agree_by_position_class_and_score(
    name: str, place: tuple[int, ...], value: float, difference: float, same: int, answers: int
) -> None:
    other = {key: array.copy() for key, array in BOXES.items()}
    other[name][place] = value
    shuffled = {key: array[:, [2, 0, 1]] for key, array in other.items()}  # the order is irrelevant
    found = of_boxes(BOXES, shuffled, side=100)
    assert found.difference == pytest.approx(difference, abs=1e-6)
    assert (found.same, found.answers) == (same, answers)
