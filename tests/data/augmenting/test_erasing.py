"""Random erasing by hand, and what happens to the labels."""

from __future__ import annotations

import numpy as np
import pytest

from cvlib.config.schema import AugmentConfig
from cvlib.data import streams
from cvlib.data.augmenting import erasing
from cvlib.data.augmenting.draws import Draws
from cvlib.data.labels import CLASS, MASK
from cvlib.data.split import Split
from tests.data.feeds import a_feed

NAMES = ("erase", "erase_area", "erase_aspect", "erase_x", "erase_y")


def hidden(height: int, width: int, probability: float = 1.0, **values: float) -> np.ndarray:
    draws = Draws({name: np.full(1, value, np.float32) for name, value in values.items()}, 1)
    found: np.ndarray = erasing.hidden(draws, AugmentConfig(erase=probability), height, width)[0]
    return found


def test_the_rectangle_by_hand() -> None:
    # Area (0.02 + 0.31 / 2) · 20 · 30 = 105 pixels, aspect 1: a side of √105 = 10.2, so 10 pixels.
    expected = np.zeros((20, 30), bool)
    expected[:10, 20:] = True
    assert np.array_equal(hidden(20, 30, erase=0.3, erase_x=0.9999, erase_y=0.0), expected)
    assert not hidden(20, 30, 0.3, erase=0.3).any()
    # The largest area, 0.33 · 600 = 198, with height / width = 1 / 0.3: 25.7 × 7.7 pixels, cut to 20 × 8.
    tall = hidden(20, 30, erase=0.0, erase_area=1.0, erase_aspect=1.0, erase_x=0.0, erase_y=0.5)
    assert tall.sum() == 20 * 8 and tall[:, :8].all()


def test_areas_and_frequencies_are_as_configured() -> None:
    drawn = Draws(streams.draw(NAMES, np.arange(3000), 0, 0), 3000)
    found = erasing.hidden(drawn, AugmentConfig(erase=0.4), 40, 40)
    areas = found.mean(axis=(1, 2))
    assert (areas > 0).mean() == pytest.approx(0.4, abs=0.03)
    assert 0.015 < areas[areas > 0].min() < 0.025 and 0.31 < areas.max() < 0.34
    where = found.mean(axis=0)
    assert where.min() > 0 and np.allclose(where, where[::-1], atol=0.03) and np.allclose(where, where.T, atol=0.03)


def test_erased_pixels_are_grey_and_ignored_in_masks() -> None:
    images = np.zeros((6, 8, 8, 3), np.uint8)
    config, names = AugmentConfig(erase=1), [str(number) for number in range(6)]
    split = Split(names, images, np.ones((6, 8, 8), np.uint8))
    ((changed, masks),) = a_feed(split, (8, 8), 3, 6, 0, config, kind=MASK).batches()
    grey = changed[..., 0] == 114
    assert grey.any(axis=(1, 2)).all() and not grey.all(axis=(1, 2)).any()
    assert np.array_equal(masks == 255, grey) and (masks[~grey] == 1).all()
    ((_, classes),) = a_feed(Split(names, images, np.arange(6)), (8, 8), 3, 6, 0, config, kind=CLASS).batches()
    assert np.array_equal(classes, np.arange(6))
