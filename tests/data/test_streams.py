"""Named random streams: each depends on its name, seed, epoch and index alone."""

from __future__ import annotations

import numpy as np
import pytest

from cvlib.config.schema import AugmentConfig
from cvlib.data import streams
from cvlib.data.augmentation import streams_in_use

EVERYTHING = AugmentConfig(
    horizontal_flip=0.5, vertical_flip=0.5, rotation=20, crop=0.5, mosaic=0.5, brightness=0.2, contrast=0.3,
    saturation=0.3, hue=0.05, blur=1.2, rand_operations=4, erase=0.5, mixup=0.2, cutmix=1,
)  # fmt: skip


def test_adding_a_stream_does_not_change_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    indices = np.arange(100)
    before = streams.draw(streams.STREAMS, indices, 3, 5)
    monkeypatch.setattr(streams, "STREAMS", ("cutout", *reversed(streams.STREAMS)))
    after = streams.draw(streams.STREAMS, indices, 3, 5)
    assert set(after) == {*before, "cutout"}
    assert all(np.array_equal(after[name], before[name]) for name in before)
    alone = streams.columns(["hue"], indices, 3, 5)
    assert np.array_equal(alone[:, 0], before["hue"])


def test_a_draw_depends_on_seed_epoch_and_index_alone() -> None:
    whole = streams.columns(streams.STREAMS, np.arange(1000), seed=3, epoch=5)
    some = np.array([999, 4, 500, 4])
    assert whole.shape == (1000, len(streams.STREAMS)) and whole.dtype == np.float32
    assert np.array_equal(streams.columns(streams.STREAMS, some, 3, 5), whole[some])
    for seed, epoch, image in ((3, 6, 0), (4, 5, 0), (5, 3, 0), (3, 5, 1)):
        other = streams.columns(streams.STREAMS, np.arange(1000), seed, epoch, image)
        assert (np.abs(other - whole) > 1e-6).mean() > 0.999


def test_draws_are_uniform_and_independent() -> None:
    draws = streams.columns(streams.STREAMS, np.arange(50_000), seed=0, epoch=0)
    next_epoch = streams.columns(streams.STREAMS, np.arange(50_000), seed=0, epoch=1)
    assert draws.min() >= 0 and draws.max() < 1
    assert np.abs(draws.mean(axis=0) - 1 / 2).max() < 0.01 and np.abs(draws.var(axis=0) - 1 / 12).max() < 0.002
    together = np.concatenate([draws[:-1], draws[1:], next_epoch[:-1]], axis=1)
    assert np.abs(np.corrcoef(together.T) - np.eye(3 * len(streams.STREAMS))).max() < 0.025


def test_only_streams_in_use_are_drawn() -> None:
    assert streams_in_use(None) == streams_in_use(AugmentConfig()) == ()
    assert streams_in_use(AugmentConfig(hue=0.1, crop=0.5)) == ("hue", "crop_area", "crop_aspect", "crop_x", "crop_y")
    assert {*streams_in_use(EVERYTHING), *streams.TILE_STREAMS, "mosaic_partner", "mix_partner"} == set(streams.STREAMS)
    assert streams.columns([], np.arange(5), 0, 0).shape == (5, 0)
