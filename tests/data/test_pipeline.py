"""Feeds: the order of the samples and their pixels."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from cvlib.config.schema import AugmentConfig
from cvlib.data import reader
from cvlib.data.dataset import Split
from cvlib.data.feed import Feed
from cvlib.data.images import read_image
from cvlib.runtime import backend
from cvlib.runtime.errors import RunFailed
from tests.data import engines
from tests.data.feeds import a_feed

CHANGES = AugmentConfig(horizontal_flip=0.5, rotation=20, crop=0.6, brightness=0.2, contrast=0.2, blur=1.0)


@pytest.fixture(params=engines.ENGINES, autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    engines.use(request.param, monkeypatch)
    return str(request.param)


def array_split(count: int = 23, size: tuple[int, int] = (8, 8), channels: int = 1) -> Split:
    """Return a split in which sample i has class i, so that a label identifies its sample."""
    images = np.random.default_rng(0).integers(0, 256, (count, *size, channels), np.uint8)
    return Split([f"some/{i}" for i in range(count)], images, np.arange(count))


@pytest.fixture
def file_split(tmp_path: Path) -> Split:
    files = []
    for i in range(7):
        pixels = np.random.default_rng(i).integers(0, 256, (20 + 3 * i, 31 - 2 * i, 3), np.uint8)
        files.append(tmp_path / f"{i}.{'png' if i % 2 else 'jpg'}")
        Image.fromarray(pixels).save(files[-1])
    return Split([file.name for file in files], files, np.arange(7))


def run_epoch(feed: Feed, number: int = 0) -> tuple[np.ndarray, np.ndarray]:
    feed.epoch(number)
    images, labels = zip(*feed.batches(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def by_sample(feed: Feed, number: int = 0) -> np.ndarray:
    images, labels = run_epoch(feed, number)
    return images[np.argsort(labels)]


# Order of the samples


@pytest.mark.parametrize(("batch_size", "batches"), [(5, [5, 5, 5, 5, 3]), (23, [23]), (64, [23]), (1, [1] * 23)])
def test_every_sample_occurs_once_even_if_the_last_batch_is_smaller(batch_size, batches):
    feed = a_feed(array_split(), (8, 8), 1, batch_size, seed=0, shuffle=True)
    assert [len(labels) for _, labels in feed.batches()] == batches
    assert feed.steps == len(batches) == len(feed.dataset) and feed.images == 23
    assert sorted(run_epoch(feed)[1]) == list(range(23))


def test_without_shuffling_samples_keep_their_order_and_pixels():
    split = array_split(channels=3)
    images, labels = run_epoch(a_feed(split, (8, 8), 3, 5, seed=0), 4)
    assert images.dtype == np.float32 and labels.dtype == np.int32
    assert np.array_equal(labels, split.labels) and np.array_equal(images, split.images)


def test_the_order_depends_on_seed_and_epoch_alone():
    split = array_split()
    feed, same, other = (a_feed(split, (8, 8), 1, size, seed, shuffle=True) for size, seed in ((5, 0), (7, 0), (5, 1)))
    orders = [run_epoch(feed, number)[1].tolist() for number in (0, 1, 0)]
    assert orders[0] == orders[2] != orders[1]
    assert run_epoch(same, 1)[1].tolist() == orders[1] != run_epoch(other, 1)[1].tolist()


def test_images_stay_with_their_labels_when_shuffled():
    split = array_split()
    images, labels = run_epoch(a_feed(split, (8, 8), 1, 5, seed=3, shuffle=True), 2)
    assert np.array_equal(images, split.images[labels])


@pytest.mark.parametrize(("steps", "images"), [(2, 10), (5, 23)])
def test_steps_limit_the_length_of_an_epoch(steps, images):
    feed = a_feed(array_split(), (8, 8), 1, 5, seed=0, shuffle=True, steps=steps)
    found = [set(run_epoch(feed, number)[1]) for number in (0, 1)]
    assert feed.images == len(found[0]) == images and feed.steps == min(steps, 5)
    assert (found[0] != found[1]) == (images < 23)  # each epoch has different samples


def test_an_epoch_longer_than_the_split_starts_it_again_in_another_order():
    rotation = AugmentConfig(rotation=90)
    feed = a_feed(array_split(), (8, 8), 1, 5, seed=0, augmentation=rotation, shuffle=True, steps=9)
    images, labels = run_epoch(feed, 0)
    assert feed.images == len(labels) == 45
    normal_feed = a_feed(array_split(), (8, 8), 1, 5, seed=0, augmentation=rotation, shuffle=True)
    normal_images, normal_labels = run_epoch(normal_feed, 0)
    np.testing.assert_array_equal(labels[:23], normal_labels)  # the first pass equals an epoch of normal length
    assert sorted(labels[23:]) != sorted(normal_labels) or list(labels[23:]) != list(normal_labels[:22])
    np.testing.assert_allclose(images[:20], normal_images[:20], atol=0.5)


# Augmentation and resizing


def test_augmentation_repeats_for_the_same_epoch_and_differs_between_epochs():
    first, again, second = (
        by_sample(a_feed(array_split(), (8, 8), 1, 5, 0, CHANGES, True), number) for number in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert (np.abs(first - second).max(axis=(1, 2, 3)) > 1).all()


def test_augmentation_does_not_depend_on_batch_size_order_or_number_of_samples():
    split = array_split()
    expected = by_sample(a_feed(split, (8, 8), 1, 5, 0, CHANGES, shuffle=True), 3)
    for size, shuffle in ((1, True), (23, False), (8, False)):
        found = by_sample(a_feed(split, (8, 8), 1, size, 0, CHANGES, shuffle), 3)
        np.testing.assert_allclose(found, expected, atol=1e-3)
    fewer = Split(split.names[:9], split.images[:9], split.labels[:9])
    np.testing.assert_allclose(by_sample(a_feed(fewer, (8, 8), 1, 5, 0, CHANGES), 3), expected[:9], atol=1e-3)


@pytest.mark.parametrize("in_memory", [0, 2**29])
@pytest.mark.parametrize("size", [(32, 32), (5, 11), (8, 8)])
def test_arrays_are_resized_as_in_the_saved_model(size, in_memory, monkeypatch):
    monkeypatch.setattr(reader, "IN_MEMORY", in_memory)
    split = array_split(channels=3)
    expected = np.rint(keras.layers.Resizing(*size, antialias=True)(split.images.astype(np.float32)))
    assert np.array_equal(run_epoch(a_feed(split, size, 3, 5, seed=0))[0], expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_files_are_read_and_resized_as_in_the_saved_model(file_split, channels):
    feed = a_feed(file_split, (12, 10), channels, 3, seed=0, shuffle=True)
    found = by_sample(feed, 1)
    resizing = keras.layers.Resizing(12, 10, antialias=True)
    for file, image in zip(file_split.images, found, strict=True):
        assert np.array_equal(image, np.rint(resizing(read_image(file, channels).astype(np.float32))))


def test_files_and_arrays_with_the_same_pixels_give_the_same_batches(file_split):
    resized = np.stack([np.asarray(Image.open(file).resize((9, 9))) for file in file_split.images])
    for file, pixels in zip(file_split.images, resized, strict=True):
        Image.fromarray(pixels).save(file.with_suffix(".bmp"))
    files = Split(file_split.names, [file.with_suffix(".bmp") for file in file_split.images], file_split.labels)
    arrays = Split(file_split.names, resized, file_split.labels)
    from_files, from_arrays = (run_epoch(a_feed(split, (9, 9), 3, 3, 0, CHANGES, True), 2) for split in (files, arrays))
    assert np.array_equal(from_files[0], from_arrays[0]) and np.array_equal(from_files[1], from_arrays[1])


def test_a_file_damaged_during_training_is_named_in_the_error(file_split):
    feed = a_feed(file_split, (8, 8), 3, 2, seed=0)
    Path(file_split.images[5]).write_bytes(b"no image any more")
    error, start = (tf.errors.OpError, "UserError: ") if backend.has_tensorflow() else (RunFailed, "")
    with pytest.raises(error, match=start + r".*5\.png: can't be read as an image"):
        run_epoch(feed)


# Construction


def test_an_unreferenced_feed_is_freed(file_split):
    for split in (array_split(channels=3), file_split):
        feed = a_feed(split, (8, 8), 3, 5, 0, CHANGES, True)
        run_epoch(feed)
        gone = weakref.ref(feed.samples)
        del feed
        gc.collect()
        assert gone() is None


def test_keras_trains_on_an_epoch_and_predicts_in_order():
    split = array_split()
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(23)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(a_feed(split, (8, 8), 1, 5, 0, CHANGES, True).dataset, shuffle=False, verbose=0)
    predicted = model.predict(a_feed(split, (8, 8), 1, 5, 0).dataset, verbose=0)
    np.testing.assert_allclose(predicted, model(split.images.astype(np.float32)), rtol=1e-4, atol=1e-2)


# Preview


def test_a_preview_shows_the_training_images():
    feed = a_feed(array_split(), (8, 8), 1, 5, 0, CHANGES, True)
    images, labels = run_epoch(feed, 1)
    shown, shown_labels = feed.preview(7)
    assert shown.dtype == np.uint8 and np.array_equal(shown_labels, labels[:7])
    assert np.array_equal(shown, np.rint(images[:7]))
    assert len(feed.preview(100)[0]) == 23
