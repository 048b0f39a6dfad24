"""Agreement between the predictions of a saved network in Keras and those of its export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Outputs = Mapping[str, np.ndarray]  # by name, each (1, …)


@dataclass(frozen=True)
class Agreement:
    """The result of a comparison, answer by answer.

    An answer is one prediction. The task defines what that is: the class of an image or a pixel, a decision for or
    against a class, or a box with a high score.
    """

    difference: float = 0.0  # the largest difference; NaN if any value is NaN
    same: int = 0  # number of answers that agree
    answers: int = 0  # number of answers compared

    def __add__(self, other: Agreement) -> Agreement:
        # np.max, unlike Python's max, propagates NaN.
        difference = float(np.max([self.difference, other.difference]))
        return Agreement(difference, self.same + other.same, self.answers + other.answers)


def of_probabilities(expected: Outputs, found: Outputs) -> Agreement:
    """Compare every output `(1, …, classes)`; two answers agree if their most probable class is the same."""
    total = Agreement()
    for name, reference in expected.items():
        output = found[name]
        same = np.isfinite(output).all(axis=-1) & (reference.argmax(-1) == output.argmax(-1))
        total += Agreement(float(np.abs(reference - output).max()), int(same.sum()), same.size)
    return total
