"""From sample indices to pixels of the network's size, with a mask as one more channel where the labels are masks."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from cvlib.data.cache import Cache
from cvlib.data.images import read_image
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import Form, LabelKind
from cvlib.data.split import Split
from cvlib.data.tensorflow import resize

IN_MEMORY = 2**29  # bytes up to which an array split is resized once and kept

# What a reader gives: from indices `(n,)` (of files: one index) to pixels uint8 `(n, *kind.stored_shape(spec))`.
Reader = Callable[[Any], Any]


def from_memory(split: Split, spec: InputSpec, kind: LabelKind) -> Reader:
    """Return the reader of a split whose images are an array."""
    assert isinstance(split.images, np.ndarray)
    shape = kind.stored_shape(spec)
    pixels = tf.constant(split.images)
    masks = tf.constant(split.labels) if kind.form is Form.PIXELS else None
    if split.images.shape[1:3] != spec.size and len(split) * np.prod(shape) <= IN_MEMORY:
        starts = range(0, len(split), 256)
        pixels = tf.concat([resize.image(pixels[i : i + 256], spec.size, spec.resize) for i in starts], axis=0)

    def read(indices: Any) -> Any:
        images = resize.image(tf.gather(pixels, indices), spec.size, spec.resize)
        return _stacked(images, None if masks is None else tf.gather(masks, indices), spec)

    return read


def from_whole_cache(cache: Cache, spec: InputSpec, kind: LabelKind) -> Reader:
    """Return the reader of a cache that holds every image of its split."""
    held: Any = weakref.ref(cache)  # TensorFlow never lets go of `take`

    def take(indices: np.ndarray) -> np.ndarray:
        pixels: np.ndarray = held().pixels[indices]
        return pixels

    def read(indices: Any) -> Any:
        pixels = tf.numpy_function(take, [indices], tf.uint8, stateful=False)
        return tf.ensure_shape(pixels, (None, *kind.stored_shape(spec)))

    return read


def from_files(split: Split, spec: InputSpec, kind: LabelKind, cache: Cache | None) -> Reader:
    """Return the reader of a split of files: one index at a time; images are put into the cache, if there is one."""
    files, channels, shape = split.images, spec.channels, kind.stored_shape(spec)
    readers: Any = split.labels if kind.form is Form.PIXELS else None

    def read_pixels(index: np.ndarray) -> np.ndarray:
        return read_image(files[int(index)], channels, spec.span)

    def read_mask(index: np.ndarray) -> np.ndarray:
        mask: np.ndarray = readers[int(index)]()
        return mask

    def load(index: Any) -> Any:
        # Were it said to be stateful, trainer.deterministic would have one image read at a time.
        image = tf.numpy_function(read_pixels, [index], tf.uint8, stateful=False)
        image = resize.image(tf.ensure_shape(image, (None, None, channels)), spec.size, spec.resize)
        if readers is None:
            return image
        mask = tf.numpy_function(read_mask, [index], tf.uint8, stateful=False)
        return _stacked(image, tf.ensure_shape(mask, (None, None)), spec)

    loaded = load if cache is None else _once(cache, load, shape)
    return lambda index: tf.ensure_shape(loaded(index), shape)


def _once(cache: Cache, load: Reader, shape: tuple[int, int, int]) -> Reader:
    """Return `load`, but for images that have been put into the cache before."""
    held: Any = weakref.ref(cache)

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


def _stacked(image: Any, mask: Any, spec: InputSpec) -> Any:
    if mask is None:
        return image
    return tf.concat([image, resize.mask(mask, spec.size, spec.resize)[..., tf.newaxis]], axis=-1)
