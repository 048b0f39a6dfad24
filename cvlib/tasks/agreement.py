"""How close two runtimes' answers to one image are: of a saved network in Keras, and of its export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Outputs = Mapping[str, np.ndarray]  # by name, each (1, …)


@dataclass(frozen=True)
class Agreement:
    """The answers are classes of images or pixels, or boxes with a high score."""

    difference: float = 0.0  # the largest one; NaN where a number is undefined
    same: int = 0  # answers that are the same
    answers: int = 0

    def __add__(self, other: Agreement) -> Agreement:
        # np.max, unlike Python's max, passes a NaN on.
        difference = float(np.max([self.difference, other.difference]))
        return Agreement(difference, self.same + other.same, self.answers + other.answers)


def of_probabilities(expected: Outputs, found: Outputs) -> Agreement:
    """Compare every output `(1, …, classes)`; answers are the same where the largest value is at the same place."""
    whole = Agreement()
    for name, one in expected.items():
        other = found[name]
        same = np.isfinite(other).all(axis=-1) & (one.argmax(-1) == other.argmax(-1))
        whole += Agreement(float(np.abs(one - other).max()), int(same.sum()), same.size)
    return whole
