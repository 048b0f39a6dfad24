"""The parts of a run's page: which errors get a picture."""

from __future__ import annotations

import numpy as np

from cvlib.evaluation.report_parts import _largest_errors
from cvlib.tasks.classification.predictions import ClassPredictions


def test_the_largest_errors_come_first_with_their_most_confident_samples() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    guesses = np.array([0, 2, 2, 1, 0, 2])
    logits = np.eye(3)[guesses] * np.array([1.0, 1.0, 2.0, 1.0, 1.0, 1.0])[:, None]
    cells = _largest_errors(ClassPredictions(logits, labels, ["a", "b", "c"]).decided_classes())
    assert {cell: indices.tolist() for cell, indices in cells.items()} == {(0, 2): [2, 1], (1, 0): [4]}
    assert list(cells) == [(0, 2), (1, 0)]
