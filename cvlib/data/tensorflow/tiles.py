"""Read tiles of images at full resolution, and move the labels with them. `cvlib.data.tiles` describes the geometry."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cvlib.data import tiles
from cvlib.data.feed import PixelChange
from cvlib.data.images import read_image
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import Form, LabelKind
from cvlib.data.labels.mask import IGNORE
from cvlib.data.split import Split, image_sizes
from cvlib.data.tensorflow import geometry, targets
from cvlib.data.tiles import Windows

# Maps sample indices `(n,)` and their tiles' places in [0, 1) `(n, 2)` to image indices `(n,)` and corners `(n, 2)`.
Placing = Callable[[Any, Any], tuple[Any, Any]]
Reader = Callable[[Any, Any], Any]  # image indices and corners → pixels uint8 `(n, *kind.stored_shape(spec))`


def at_random(split: Split, spec: InputSpec) -> Placing:
    """Return the placing of one tile per image, uniformly within the image."""
    room = tf.constant(np.maximum(image_sizes(split) - np.array(spec.size), 0), tf.int32)

    def place(indices: Any, shares: Any) -> tuple[Any, Any]:
        most = tf.gather(room, indices)
        return indices, tf.minimum(tf.cast(shares * tf.cast(most + 1, tf.float32), tf.int32), most)

    return place


def in_order(windows: Windows) -> Placing:
    """Return the placing of fixed windows; an index is that of a window."""
    images, corners = tf.constant(windows.images, tf.int64), tf.constant(windows.corners, tf.int32)
    return lambda indices, shares: (tf.gather(images, indices), tf.gather(corners, indices))


def reader(split: Split, spec: InputSpec, kind: LabelKind, change: PixelChange | None) -> Reader:
    """Return a reader of tiles, which decodes an image only once for all of its tiles in a batch.

    `change` is applied to whole images.
    """
    shape, has_masks = kind.stored_shape(spec), kind.form is Form.PIXELS
    split_ref = weakref.ref(split)  # TensorFlow never releases `take`

    def whole(split: Split, index: int) -> np.ndarray:
        found = split.images[index]
        pixels = read_image(found, spec.channels, spec.span) if isinstance(found, Path) else found
        return pixels if change is None else change(pixels[np.newaxis], np.array([index]))[0]

    def take(images: np.ndarray, corners: np.ndarray) -> np.ndarray:
        batch, known = np.empty((len(images), *shape), np.uint8), split_ref()
        assert known is not None
        for index in np.unique(images).tolist():
            pixels = whole(known, index)
            mask = known.labels[index] if has_masks else None
            mask = mask() if callable(mask) else mask
            for place in np.flatnonzero(images == index).tolist():
                corner = tuple(corners[place].tolist())
                batch[place, ..., : spec.channels] = tiles.cut(pixels, corner, spec.size)
                if mask is not None:
                    batch[place, ..., spec.channels] = tiles.cut(mask, corner, spec.size, IGNORE)
        return batch

    def read(images: Any, corners: Any) -> Any:
        pixels = tf.numpy_function(take, [images, corners], tf.uint8, stateful=change is not None)
        return tf.ensure_shape(pixels, (None, *shape))

    return read


def look_up(labels: targets.Targets, images: Any, corners: Any, pixels: Any) -> Any:
    """Return the targets in tiles. A box is clipped to its tile, or dropped if too little remains; see `geometry`."""
    target = labels.look_up(images, pixels)
    if not isinstance(labels, targets.Boxes):
        return target
    boxes, classes = target
    origin = tf.cast(tf.tile(corners[:, ::-1], (1, 2)), tf.float32)[:, None]  # (left, top, left, top)
    return geometry.clip(boxes - origin, classes, geometry.whole_window(pixels))
