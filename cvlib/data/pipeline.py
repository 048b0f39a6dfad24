"""From a split to batches: decoded in parallel, resized as in the saved model, augmented, in a reproducible order."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from cvlib.config.schema import AugmentConfig
from cvlib.data import augment, follow, mosaic, resize
from cvlib.data.cache import Cache
from cvlib.data.dataset import Split
from cvlib.data.images import read_image, size_of

_IN_MEMORY = 2**29  # bytes up to which an array split is resized once and kept
_AHEAD = 4  # batches made before they are asked for
# What is mapped has no Python branch on a tensor, and rewriting it for one would take a second of every start.
as_it_is = tf.autograph.experimental.do_not_convert
_NEVER_REACHED = 2**20  # epochs; keeps the draws of an epoch's second pass apart from those of any other epoch

Rows = tuple[Any, Any, Any]  # pixels uint8 (n, height, width, stored), sample indices (n,), draws (n, DRAWS)


class Feed:
    """Batches of one split, traced once; `epoch(number)` sets which order and augmentation come next.

    `dataset` gives images, float32 `(batch, *size, channels)` in 0–255, and the labels of the task: classes int32
    `(batch,)`; boxes `{"boxes": (batch, n, 4) in pixels of these images, "classes": (batch, n), −1 for none}`; or
    masks int32 `(batch, *size)`.

    Args:
        split: images as an array or as files.
        size: height and width that every image is resized to (bilinear with antialiasing, whole levels).
        channels: 1 or 3.
        batch_size: the last batch of an epoch may be smaller; no sample is dropped.
        seed: with the epoch's number decides the order, and with the sample's index its augmentation.
        augmentation: None leaves the images as they are.
        shuffle: a new order every epoch.
        steps: batches per epoch; None for all. More than the split has begin it again, in another order.
        task: what the labels are.
        how: stretch or letterbox, to bring images to `size`.
        cache: where resized images are kept after their first use, for a split of files.
    """

    def __init__(
        self,
        split: Split,
        size: tuple[int, int],
        channels: int,
        batch_size: int,
        seed: int,
        augmentation: AugmentConfig | None = None,
        shuffle: bool = False,
        steps: int | None = None,
        task: str = "classification",
        how: str = resize.STRETCH,
        cache: Cache | None = None,
    ):
        self.split, self.size, self.channels = split, size, channels
        self.batch_size, self.seed, self.shuffle = batch_size, seed, shuffle
        self.augmentation, self.task, self.how, self.cache = augmentation, task, how, cache
        self.stored = stored_channels(channels, task)
        self.tiles = mosaic.TILES if augmentation is not None and augmentation.mosaic else 1
        whole = math.ceil(len(split) / batch_size)
        self.steps = steps or whole
        self.images = self.steps * batch_size if self.steps != whole else len(split)
        with tf.device("cpu"):
            self.number = tf.Variable(0, trainable=False, dtype=tf.int64)  # of the epoch that comes next
            self._first = tf.Variable(0, trainable=False, dtype=tf.int64)  # of its rows
        self._cache_is_source = False
        self._batches = self._build()
        self.dataset = counted(self._batches, self.steps)

    def epoch(self, number: int, start: int = 0) -> None:
        """Let the next iteration be epoch `number` (from 0), from step `start` on."""
        self.number.assign(number)
        self._first.assign(start * self.batch_size * self.tiles)
        whole = self.cache is not None and self.cache.complete and self.cache.held == len(self.split)
        if whole and not self._cache_is_source:
            self._cache_is_source = True
            self._batches = self._build()
        self.dataset = counted(self._batches, self.steps - start)

    def rows(self) -> tf.data.Dataset:
        """Sample indices and random draws of the next epoch, one by one, in its order."""
        return tf.data.Dataset.from_tensors(0).map(as_it_is(self._epoch_drawer())).unbatch()

    def _build(self) -> tf.data.Dataset:
        rows = self.rows()
        in_batch = self.batch_size * self.tiles
        if isinstance(self.split.images, np.ndarray):
            batches = rows.batch(in_batch).map(as_it_is(self._from_memory(self.split.images)), tf.data.AUTOTUNE)
        elif self._cache_is_source:
            batches = rows.batch(in_batch).map(as_it_is(self._from_whole_cache()), tf.data.AUTOTUNE)
        else:
            batches = rows.map(as_it_is(self._from_files(self.split.images)), tf.data.AUTOTUNE).batch(in_batch)
        return batches.map(as_it_is(self._finisher()), tf.data.AUTOTUNE)

    def _epoch_drawer(self) -> Any:
        """What gives an epoch's sample indices in their order `(rows,)` and their random draws `(rows, DRAWS)`.

        A sample has `tiles` rows, one for each image in it.
        """
        count, images, seed, shuffle, tiles = len(self.split), self.images, self.seed, self.shuffle, self.tiles
        config = self.augmentation or AugmentConfig()

        def draw(epoch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            rng = np.random.default_rng([seed, int(epoch)])
            indices, draws = [], []
            for number in range(math.ceil(images / count)):
                order = rng.permutation(count) if shuffle else np.arange(count)
                order, key = order[: images - number * count], [seed, int(epoch) + number * _NEVER_REACHED]
                drawn = augment.draw(config, order, *key)
                rows = mosaic.with_partners(order, drawn, count, key) if tiles > 1 else (order, drawn)
                indices.append(rows[0])
                draws.append(rows[1])
            return np.concatenate(indices), np.concatenate(draws)

        def drawn(_: Any) -> tuple[Any, Any]:
            # Not Dataset.from_generator: its first use has malloc give all freed memory back at once (TensorFlow
            # 2.21), for the whole process. And TensorFlow never lets go of `draw`, so it holds no images.
            indices, draws = tf.numpy_function(draw, [self.number], (tf.int64, tf.float32))
            indices, draws = indices[self._first :], draws[self._first :]
            return tf.ensure_shape(indices, (None,)), tf.ensure_shape(draws, (None, augment.DRAWS))

        return drawn

    # From a sample's index to its pixels, with its mask as one more channel where it has one.

    def _from_memory(self, images: np.ndarray) -> Any:
        pixels = tf.constant(images)
        masks = tf.constant(self.split.labels) if self.task == "segmentation" else None
        if images.shape[1:3] != tuple(self.size) and len(images) * math.prod(self.size) * self.stored <= _IN_MEMORY:
            starts = range(0, len(images), 256)
            pixels = tf.concat([resize.image(pixels[i : i + 256], self.size, self.how) for i in starts], axis=0)

        def gather(indices: Any, draws: Any) -> Rows:
            image = resize.image(tf.gather(pixels, indices), self.size, self.how)
            mask = None if masks is None else resize.mask(tf.gather(masks, indices), self.size, self.how)
            return _stacked(image, mask), indices, draws

        return gather

    def _from_whole_cache(self) -> Any:
        held: Any = weakref.ref(self.cache)  # TensorFlow never lets go of `take`

        def take(indices: np.ndarray) -> np.ndarray:
            pixels: np.ndarray = held().pixels[indices]
            return pixels

        def gather(indices: Any, draws: Any) -> Rows:
            pixels = tf.numpy_function(take, [indices], tf.uint8, stateful=False)
            return tf.ensure_shape(pixels, (None, *self.size, self.stored)), indices, draws

        return gather

    def _from_files(self, files: list[Any]) -> Any:
        channels = self.channels
        readers: Any = self.split.labels if self.task == "segmentation" else None

        def read(index: np.ndarray) -> np.ndarray:
            return read_image(files[int(index)], channels)

        def read_mask(index: np.ndarray) -> np.ndarray:
            mask: np.ndarray = readers[int(index)]()
            return mask

        def load(index: Any) -> Any:
            # Were it said to be stateful, trainer.deterministic would have one image read at a time.
            image = tf.numpy_function(read, [index], tf.uint8, stateful=False)
            image = resize.image(tf.ensure_shape(image, (None, None, channels)), self.size, self.how)
            if readers is None:
                return image
            mask = tf.numpy_function(read_mask, [index], tf.uint8, stateful=False)
            return _stacked(image, resize.mask(tf.ensure_shape(mask, (None, None)), self.size, self.how))

        cached = load if self.cache is None else self._cached(self.cache, load)
        return lambda index, draws: (tf.ensure_shape(cached(index), (*self.size, self.stored)), index, draws)

    def _cached(self, cache: Cache, load: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """`load`, but for images that have been put into the cache before."""
        held: Any = weakref.ref(cache)
        shape = (*self.size, self.stored)

        def look_up(index: np.ndarray) -> tuple[np.bool_, np.ndarray]:
            found = held().get(int(index))
            return np.bool_(found is not None), np.zeros(shape, np.uint8) if found is None else np.array(found)

        def keep(index: np.ndarray, pixels: np.ndarray) -> np.ndarray:
            held().put(int(index), pixels)
            return pixels

        def load_once(index: Any) -> Any:
            hit, pixels = tf.numpy_function(look_up, [index], (tf.bool, tf.uint8), stateful=False)
            return tf.cond(
                hit, lambda: pixels, lambda: tf.numpy_function(keep, [index, load(index)], tf.uint8, stateful=False)
            )

        return load_once

    # From pixels to what the network gets.

    def _finisher(self) -> Any:
        config, task, channels = self.augmentation, self.task, self.channels
        labels = _label_lookup(self.split, task, self.size, self.how)

        def finish(pixels: Any, indices: Any, draws: Any) -> tuple[Any, Any]:
            images, target = tf.cast(pixels[..., :channels], tf.float32), labels(indices)
            if task == "segmentation":
                target = pixels[..., channels]
            if config is not None:
                images, target = _augmented(images, target, draws, config, task, self.tiles)
            images = tf.ensure_shape(images, (None, *self.size, channels))
            if task == "segmentation":
                target = tf.ensure_shape(target, (None, *self.size))
            return images, _as_fed(target, task)

        return finish


def counted(batches: tf.data.Dataset, steps: int) -> tf.data.Dataset:
    """The stream with its length, which Keras asks for, and with the next batches made while one is trained on."""
    options = tf.data.Options()
    # An iterator that is tuned waits up to a minute, idle, when it is let go of (TensorFlow 2.21: the thread that tunes
    # it looks whether it should end before it is told so), and every epoch has an iterator of its own.
    options.autotune.enabled = False
    return batches.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(_AHEAD).with_options(options)


def stored_channels(channels: int, task: str) -> int:
    """Channels of a resized image as it is kept: a mask is one more."""
    return channels + (task == "segmentation")


def preview(feed: Feed, count: int) -> tuple[np.ndarray, Any]:
    """The first images of the feed's present epoch as they are trained on: uint8, and their labels as the feed's."""
    images, labels = [], []
    for batch, targets in feed.dataset.take(math.ceil(count / feed.batch_size)):
        images.append(np.rint(batch.numpy()).astype(np.uint8))
        labels.append(targets)
    shown = np.concatenate(images)[:count]
    if isinstance(labels[0], dict):
        return shown, [{key: value.numpy()[i] for key, value in one.items()}
                       for one in labels for i in range(len(one["classes"]))][:count]  # fmt: skip
    return shown, np.concatenate([one.numpy() for one in labels])[:count]


def _stacked(image: Any, mask: Any) -> Any:
    return image if mask is None else tf.concat([image, mask[..., tf.newaxis]], axis=-1)


def _label_lookup(split: Split, task: str, size: tuple[int, int], how: str) -> Callable[[Any], Any]:
    """From sample indices to labels, boxes already in pixels of the resized image; None for masks."""
    if task == "segmentation":
        return lambda indices: None
    if task == "classification":
        classes = tf.constant(split.labels, tf.int32)
        return lambda indices: tf.gather(classes, indices)
    corners, classes = follow.padded(split.labels)  # type: ignore[arg-type]
    corners = tf.constant(follow.placed(corners, sizes(split), size, how))
    classes = tf.constant(classes)
    return lambda indices: (tf.gather(corners, indices), tf.gather(classes, indices))


def sizes(split: Split) -> np.ndarray:
    """Each original image's height and width, `(n, 2)`."""
    if split.sizes is not None:
        return split.sizes
    if isinstance(split.images, np.ndarray):
        return np.tile(split.images.shape[1:3], (len(split), 1))
    return np.array([size_of(file) for file in split.images])


def _augmented(images: Any, target: Any, draws: Any, config: AugmentConfig, task: str, tiles: int) -> tuple[Any, Any]:
    """Images and labels after the same moves; the colours of the images alone."""
    outside = None if task == "classification" else augment.GREY
    if tiles > 1:
        images, target, draws = mosaic.joined(images, target[0], target[1], draws, config)
    elif augment.moves(config):
        source = augment.matrices(draws, config, tf.shape(images)[1], tf.shape(images)[2])
        images = augment.resample(images, source, outside)
        if task == "segmentation":
            target = follow.move_masks(target, source)
        elif task == "detection":
            target = follow.move(target[0], target[1], source, follow.whole_window(images))
    return augment.restyled(images, draws, config), target


def _as_fed(target: Any, task: str) -> Any:
    if task == "detection":
        corners, classes = follow.compact(*target)
        return {"boxes": tf.ensure_shape(corners, (None, None, 4)), "classes": tf.ensure_shape(classes, (None, None))}
    return tf.cast(target, tf.int32)
