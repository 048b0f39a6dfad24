"""Boundary regions, compared with an independent implementation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cvlib.data.labels import IGNORE
from cvlib.tasks.segmentation import counts


def eroded_region(mask: np.ndarray, distance: int) -> np.ndarray:
    """Return a binary mask without its erosion by `distance` steps of 3×3, as in the authors' code."""
    return mask & ~ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=distance, border_value=0)


@pytest.mark.parametrize(("size", "distance"), [((60, 80), 2), ((12, 9), 1), ((120, 160), 4)])
def test_boundary_counts_equal_those_of_repeated_erosion(size: tuple[int, int], distance: int) -> None:
    rng = np.random.default_rng(0)
    smooth = [ndimage.gaussian_filter(rng.random((3, *size)), (0, 5, 5)) for _ in range(2)]
    truth, guess = smooth[0].argmax(axis=0), (smooth[0] + 0.3 * smooth[1]).argmax(axis=0)
    truth[:3, :5] = IGNORE
    found = counts.boundaries(truth, guess, 4)
    guess[:3, :5] = IGNORE
    for label in range(4):
        own, other = (eroded_region(mask == label, distance) for mask in (truth, guess))
        assert found[:, label].tolist() == [(own & other).sum(), (own | other).sum()]


def test_a_shifted_square_by_hand() -> None:
    truth, guess = np.zeros((30, 30), int), np.zeros((30, 30), int)
    truth[10:20, 10:20], guess[10:20, 11:21] = 1, 1
    # d = 1. Each ring has 36 pixels. They share two rows of 9 pixels, and nothing of the columns between.
    assert counts.boundaries(truth, guess, 2)[:, 1].tolist() == [18, 54]
    assert counts.mean_ratio(np.array([[18, 0], [54, 0]])) == pytest.approx(1 / 3)
