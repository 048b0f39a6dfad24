"""The feed without TensorFlow gives the batches of the feed with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from cvlib.config.schema import AugmentConfig
from cvlib.data.cache import Cache
from cvlib.data.dataset import Boxes, Split
from cvlib.data.feed import Feed
from cvlib.data.labels import BOXES, CLASS, CLASS_SET, MASK, LabelKind
from cvlib.data.order import Share
from tests.data import engines
from tests.data.feeds import a_feed

SIZE = (32, 40)
ALMOST = 1e-5 * 255  # levels
GEOMETRY = AugmentConfig(horizontal_flip=0.5, vertical_flip=0.3, rotation=20, crop=0.4, zoom_out=1.5)
# Equal bits, or levels that may differ by rounding.
EXACT = {
    "none": AugmentConfig(),
    "flip": AugmentConfig(horizontal_flip=0.5, vertical_flip=0.5),
    "crop": AugmentConfig(crop=0.4),
    "zoom out": AugmentConfig(zoom_out=3.0),
    "rotation": AugmentConfig(rotation=30),
    "geometry": GEOMETRY,
    "brightness": AugmentConfig(brightness=0.3),
    "erase": AugmentConfig(erase=0.5),
}
ROUNDED = {
    "contrast": AugmentConfig(contrast=0.4),
    "saturation": AugmentConfig(saturation=0.4),
    "hue": AugmentConfig(hue=0.1),
    "blur": AugmentConfig(blur=1.5),
    "everything": AugmentConfig(horizontal_flip=0.5, rotation=20, crop=0.4, brightness=0.2, contrast=0.2,
                                saturation=0.3, hue=0.05, blur=1.0, erase=0.3),
}  # fmt: skip
MIXING = {"mixup": AugmentConfig(mixup=0.4), "cutmix": AugmentConfig(cutmix=1.0),
          "both": AugmentConfig(horizontal_flip=0.5, mixup=0.4, cutmix=1.0)}  # fmt: skip


def photographs(folder: Path, count: int = 11) -> list[Path]:
    """Write smooth images of different sizes."""
    files = []
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (6, 7, 3)).astype(np.uint8)
        files.append(folder / f"{number}.{'png' if number % 2 else 'jpg'}")
        Image.fromarray(noise).resize((50 + 7 * number, 90 - 5 * number)).save(files[-1])
    return files


def labels_of(kind: LabelKind, count: int = 11) -> Any:
    rng = np.random.default_rng(5)
    if kind == CLASS:
        return np.arange(count)
    if kind == CLASS_SET:
        return [frozenset(rng.integers(0, 4, 2).tolist()) for _ in range(count)]
    if kind == MASK:
        masks = [rng.integers(0, 5, (90 - 5 * number, 50 + 7 * number), np.uint8) for number in range(count)]
        return [lambda mask=mask: mask for mask in masks]
    corners = [rng.uniform(0, 20, (number % 4, 1)) + np.array([0, 0, 25, 18]) for number in range(count)]
    return [Boxes(some.astype(np.float32), rng.integers(0, 3, len(some)), np.zeros(len(some), bool))
            for some in corners]  # fmt: skip


def flat(labels: Any) -> list[np.ndarray]:
    return [labels[name] for name in sorted(labels)] if isinstance(labels, dict) else [labels]


def compare(split: Split, kind: LabelKind, config: AugmentConfig, tolerance: float, monkeypatch: pytest.MonkeyPatch,
            **options: Any) -> None:  # fmt: skip
    """Compare the rest of an epoch, from its second batch on."""
    batches = []
    for engine in engines.ENGINES:
        engines.use(engine, monkeypatch)
        feed = a_feed(split, SIZE, 3, 4, 3, config, shuffle=True, kind=kind, **options)
        feed.epoch(2, start=1)
        batches.append(list(feed.batches()))
    assert len(batches[0]) == len(batches[1]) > 1
    for (images, labels), (same, same_labels) in zip(*batches, strict=True):
        assert same.dtype == images.dtype == np.float32
        np.testing.assert_allclose(same, images, rtol=0, atol=tolerance)
        for one, other in zip(flat(labels), flat(same_labels), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", EXACT)
def test_pixels_are_equal(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare(Split(list("abcdefghijk"), photographs(tmp_path), labels_of(CLASS)), CLASS, EXACT[name], 0, monkeypatch)


@pytest.mark.parametrize("name", ROUNDED)
def test_colours_are_equal_up_to_rounding(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = Split(list("abcdefghijk"), photographs(tmp_path), labels_of(CLASS))
    compare(split, CLASS, ROUNDED[name], ALMOST, monkeypatch)


@pytest.mark.parametrize("name", MIXING)
def test_mixed_images_and_their_shares_are_equal(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare(Split(list("abcdefghijk"), photographs(tmp_path), labels_of(CLASS)), CLASS, MIXING[name], 0, monkeypatch)


@pytest.mark.parametrize("operations", [1, 2])
def test_randaugment_is_equal_except_where_a_step_is_rounded_to_another_level(
    operations: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = AugmentConfig(rand_operations=operations, rand_magnitude=0.5)
    split, found = Split(list("abcdefghijk"), photographs(tmp_path), labels_of(CLASS)), []
    for engine in engines.ENGINES:
        engines.use(engine, monkeypatch)
        feed = a_feed(split, SIZE, 3, 4, 3, config, shuffle=True)
        epochs = []
        for number in range(12):
            feed.epoch(number)
            epochs += [images for images, _ in feed.batches()]
        found.append(np.concatenate(epochs))
    assert (np.abs(found[0] - found[1]) > ALMOST).mean() < 1e-4


@pytest.mark.parametrize("config", [EXACT["none"], GEOMETRY, AugmentConfig(mosaic=0.7, crop=0.5), EXACT["erase"]],
                         ids=["none", "geometry", "mosaic", "erase"])  # fmt: skip
@pytest.mark.parametrize("method", ["stretch", "letterbox"])
def test_boxes_are_equal(config: AugmentConfig, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = Split(list("abcdefghijk"), photographs(tmp_path), labels_of(BOXES))
    compare(split, BOXES, config, 0, monkeypatch, resize=method)


@pytest.mark.parametrize("config", [EXACT["none"], GEOMETRY, EXACT["erase"]], ids=["none", "geometry", "erase"])
def test_masks_are_equal(config: AugmentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = Split(list("abcdefghijk"), photographs(tmp_path), labels_of(MASK))
    compare(split, MASK, config, 0, monkeypatch, resize="letterbox")


def test_masks_in_memory_sets_of_classes_and_balanced_shares_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, names = np.random.default_rng(0), list("abcdefghijk")
    images = rng.integers(0, 256, (11, 20, 30, 3), np.uint8)
    compare(Split(names, images, rng.integers(0, 3, (11, 20, 30), np.uint8)), MASK, GEOMETRY, 0, monkeypatch)
    compare(Split(names, images, labels_of(CLASS_SET)), CLASS_SET, GEOMETRY, 0, monkeypatch, balanced=True)
    compare(Split(names * 2, np.concatenate([images] * 2), np.arange(22)), CLASS, GEOMETRY, 0, monkeypatch,
            share=Share(1, 2, 4, 2), steps=6)  # fmt: skip


def threaded(monkeypatch: pytest.MonkeyPatch, split: Split, **options: Any) -> Feed:
    engines.use("threaded", monkeypatch)
    return a_feed(split, SIZE, 3, 4, 3, GEOMETRY, shuffle=True, **options)


def test_the_rest_of_an_epoch_equals_the_end_of_the_whole_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = Split(list("abcdefghijk"), photographs(tmp_path), labels_of(CLASS))
    feed = threaded(monkeypatch, split, cache=Cache(11, (*SIZE, 3), 1e9))
    feed.epoch(3)
    whole = list(feed.batches())
    feed.epoch(3, start=2)
    ((images, labels),) = feed.batches()  # now from the cache
    np.testing.assert_array_equal(images, whole[2][0])
    np.testing.assert_array_equal(labels, whole[2][1])


def test_keras_takes_the_batches_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = Split(list("abcdefghijk"), photographs(tmp_path), labels_of(CLASS))
    feed = threaded(monkeypatch, split)
    model = keras.Sequential([keras.Input((*SIZE, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(11)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    seen: list[int] = []
    stream = feed.with_targets(lambda labels: seen.extend(labels.tolist()) or labels)
    model.fit(stream, shuffle=False, verbose=0)
    labels = np.concatenate([some for _, some in feed.batches()])
    assert seen[-11:] == labels.tolist()
    images = np.concatenate([batch for batch, _ in feed.batches()])
    np.testing.assert_allclose(model.predict(feed.dataset, verbose=0), model.predict(images, verbose=0), rtol=1e-4,
                               atol=1e-4)  # fmt: skip
