"""Read the pixels of samples at the network's input size; masks are appended as one more channel."""

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

IN_MEMORY = 2**29  # bytes; an array split up to this size is resized only once and kept in memory

# Maps indices `(n,)` to pixels uint8 `(n, *kind.stored_shape(spec))`; for files, a single index to a single image.
Reader = Callable[[Any], Any]


def from_memory(split: Split, spec: InputSpec, kind: LabelKind) -> Reader:
    """Return a reader for a split whose images are an array."""
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
    """Return a reader for a cache that holds every image of its split."""
    cache_ref: Any = weakref.ref(cache)  # TensorFlow never releases `take`

    def take(indices: np.ndarray) -> np.ndarray:
        pixels: np.ndarray = cache_ref().pixels[indices]
        return pixels

    def read(indices: Any) -> Any:
        pixels = tf.numpy_function(take, [indices], tf.uint8, stateful=False)
        return tf.ensure_shape(pixels, (None, *kind.stored_shape(spec)))

    return read


def from_files(split: Split, spec: InputSpec, kind: LabelKind, cache: Cache | None) -> Reader:
    """Return a reader for a split of files, which reads one index at a time and fills the cache, if there is one."""
    files, channels, shape = split.images, spec.channels, kind.stored_shape(spec)
    readers: Any = split.labels if kind.form is Form.PIXELS else None

    def read_pixels(index: np.ndarray) -> np.ndarray:
        return read_image(files[int(index)], channels, spec.span)

    def read_mask(index: np.ndarray) -> np.ndarray:
        mask: np.ndarray = readers[int(index)]()
        return mask

    def load(index: Any) -> Any:
        # With stateful=True, trainer.deterministic would read one image at a time.
        image = tf.numpy_function(read_pixels, [index], tf.uint8, stateful=False)
        image = resize.image(tf.ensure_shape(image, (None, None, channels)), spec.size, spec.resize)
        if readers is None:
            return image
        mask = tf.numpy_function(read_mask, [index], tf.uint8, stateful=False)
        return _stacked(image, tf.ensure_shape(mask, (None, None)), spec)

    loaded = load if cache is None else _once(cache, load, shape)
    return lambda index: tf.ensure_shape(loaded(index), shape)


def _once(cache: Cache, load: Reader, shape: tuple[int, int, int]) -> Reader:
    """Return a reader that takes images from the cache if possible, and otherwise calls `load` and caches them."""
    cache_ref: Any = weakref.ref(cache)

    def look_up(index: np.ndarray) -> tuple[np.bool_, np.ndarray]:
        found = cache_ref().get(int(index))
        return np.bool_(found is not None), np.zeros(shape, np.uint8) if found is None else np.array(found)

    def store(index: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        cache_ref().put(int(index), pixels)
        return pixels

    def load_once(index: Any) -> Any:
        hit, pixels = tf.numpy_function(look_up, [index], (tf.bool, tf.uint8), stateful=False)
        return tf.cond(
            hit, lambda: pixels, lambda: tf.numpy_function(store, [index, load(index)], tf.uint8, stateful=False)
        )

    return load_once


def _stacked(image: Any, mask: Any, spec: InputSpec) -> Any:
    if mask is None:
        return image
    return tf.concat([image, resize.mask(mask, spec.size, spec.resize)[..., tf.newaxis]], axis=-1)
