"""Read the pixels of samples at the network's input size; masks are appended as one more channel."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from cvlib.data import resampling
from cvlib.data.cache import Cache
from cvlib.data.feed import PixelChange
from cvlib.data.images import read_image
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import Form, LabelKind
from cvlib.data.split import Split
from cvlib.data.tensorflow import resize

IN_MEMORY = 2**29  # bytes; an array split up to this size is resized only once and kept in memory

# Maps indices `(n,)` to pixels uint8 `(n, *kind.stored_shape(spec))`.
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
    """Return a reader for a split of files, which fills the cache, if there is one."""
    files, shape = split.images, kind.stored_shape(spec)
    masks: Any = split.labels if kind.form is Form.PIXELS else None
    cache_ref: Any = weakref.ref(cache) if cache is not None else lambda: None  # TensorFlow never releases `take`

    def sample(index: int) -> np.ndarray:
        pixels = resampling.image(read_image(files[index], spec.channels, spec.span), spec.size, spec.resize)
        if masks is None:
            return pixels
        return np.dstack([pixels, resampling.mask(masks[index](), spec.size, spec.resize)])

    def take(indices: np.ndarray) -> np.ndarray:
        known, batch = cache_ref(), np.empty((len(indices), *shape), np.uint8)
        for place, index in enumerate(indices.tolist()):
            found = None if known is None else known.get(index)
            batch[place] = sample(index) if found is None else found
            if known is not None and found is None:
                known.put(index, batch[place])
        return batch

    def read(indices: Any) -> Any:
        # With stateful=True, trainer.deterministic would not read in parallel.
        return tf.ensure_shape(tf.numpy_function(take, [indices], tf.uint8, stateful=False), (None, *shape))

    return read


def changed(read: Reader, change: PixelChange, spec: InputSpec) -> Reader:
    """Return a reader whose images, without their masks, are changed by `change`."""

    def apply(pixels: np.ndarray, indices: np.ndarray) -> np.ndarray:
        found = np.array(pixels)
        found[..., : spec.channels] = change(pixels[..., : spec.channels], indices)
        return found

    def read_changed(indices: Any) -> Any:
        pixels = read(indices)
        # Stateful, because the change may be another one in the next iteration.
        return tf.ensure_shape(tf.numpy_function(apply, [pixels, indices], tf.uint8), pixels.shape)

    return read_changed


def _stacked(image: Any, mask: Any, spec: InputSpec) -> Any:
    if mask is None:
        return image
    return tf.concat([image, resize.mask(mask, spec.size, spec.resize)[..., tf.newaxis]], axis=-1)
