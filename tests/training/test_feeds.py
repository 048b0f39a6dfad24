"""The feeds of a run: which images are augmented."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cvlib.config.schema import AugmentConfig, DataConfig, FeatureExtractor, ModeConfig, Scratch
from cvlib.data import loading
from cvlib.data.input_spec import InputSpec
from cvlib.training import feeds
from tests.configs import config

DIGITS = DataConfig(name="digits", samples=60, image_size=12)
MOVED = AugmentConfig(rotation=30)


def means(mode: ModeConfig, augment: AugmentConfig, messages: list[str]) -> list[float]:
    """Return the sorted means of the training images of the first epoch."""
    conf = config("cnn", mode=mode, data=DIGITS, augment=augment)
    dataset = loading.load(conf.data, conf.seed)
    feed = feeds.training_feed(conf, dataset, InputSpec(12, 12, 1, "stretch"), messages.append)
    feed.epoch(0)
    return sorted(float(image.mean()) for images, _ in feed.batches() for image in images)


@pytest.mark.parametrize(("mode", "augmented"), [
    (Scratch(), True), (FeatureExtractor(views=2), True), (FeatureExtractor(views=0), False)
])  # fmt: skip
def test_without_views_a_frozen_base_sees_unaugmented_images_and_a_note_is_printed(
    mode: ModeConfig, augmented: bool
) -> None:
    messages: list[str] = []
    plain, moved = means(mode, AugmentConfig(), messages), means(mode, MOVED, messages)
    assert (not np.allclose(plain, moved)) == augmented
    note = ("training images are augmented (augment=none): rotation=30" if augmented
            else "mode.views=0: the frozen base sees the training images without augmentation")  # fmt: skip
    assert messages == [note]


def test_validation_is_never_augmented() -> None:
    conf = config("cnn", data=DIGITS, augment=MOVED)
    dataset = loading.load(conf.data, conf.seed)
    unaugmented = replace(conf, augment=AugmentConfig())
    spec = InputSpec(12, 12, 1, "stretch")
    for one, other in zip(feeds.validation_feed(conf, dataset, spec, print).batches(),
                          feeds.validation_feed(unaugmented, dataset, spec, print).batches(), strict=True):  # fmt: skip
        np.testing.assert_array_equal(one[0], other[0])


@pytest.mark.parametrize("cache", ["auto", "memory", None])
def test_images_of_a_small_split_are_kept_in_memory(monkeypatch: pytest.MonkeyPatch, cache: str | None) -> None:
    conf = config("cnn", data=DataConfig(name="clothing", cache=cache))
    dataset = loading.load(conf.data, conf.seed)
    size = len(dataset.train) * 12 * 12 * 3
    for limit in (size, size - 1):
        monkeypatch.setattr(feeds, "_SMALL", limit / 2**30)
        kept = feeds.training_feed(conf, dataset, InputSpec(12, 12, 3, "stretch"), print).cache
        assert (kept is not None) == (cache == "memory" or (cache == "auto" and limit == size))
