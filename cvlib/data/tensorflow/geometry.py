"""Transform boxes and masks with the affine matrices of `augment.matrices`.

A transformed box is the axis-aligned box around the transformed corners, clipped to the image. It is dropped if less
than `LEAST_VISIBLE` of its area remains in the image, or if a side becomes shorter than one pixel.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from cvlib.data.labels.boxes import NO_OBJECT
from cvlib.data.labels.mask import IGNORE

LEAST_VISIBLE = 0.3
_LEAST_SIDE = 1.0  # pixels


def whole_window(images: Any) -> Any:
    """Return windows `(batch, 4)` that cover whole images `(batch, height, width, channels)`."""
    height, width = tf.cast(tf.shape(images)[1], tf.float32), tf.cast(tf.shape(images)[2], tf.float32)
    return tf.tile(tf.stack([0.0, 0.0, width, height])[None], (tf.shape(images)[0], 1))


def move(corners: Any, classes: Any, source: Any, window: Any) -> tuple[Any, Any]:
    """Transform boxes; dropped boxes (see the module's docstring) get class −1.

    Args:
        corners: `(batch, n, 4)` in pixels.
        classes: `(batch, n)`.
        source: `(batch, 3, 3)`, maps positions in the result to positions in the original, from `augment.matrices`.
        window: `(batch, 4)`, the part of the result that shows the image; the whole result, except in a mosaic.
    """
    forward = tf.linalg.inv(source)[:, None]
    x = tf.stack([corners[..., 0], corners[..., 2], corners[..., 0], corners[..., 2]], axis=-1)
    y = tf.stack([corners[..., 1], corners[..., 1], corners[..., 3], corners[..., 3]], axis=-1)
    # The matrices have their origin at the centre of the first pixel, boxes at its corner.
    points = tf.stack([x - 0.5, y - 0.5, tf.ones_like(x)], axis=-2)
    moved = tf.matmul(tf.broadcast_to(forward, (*tf.unstack(tf.shape(x)[:2]), 3, 3)), points)[..., :2, :] + 0.5
    hull = tf.concat([tf.reduce_min(moved, axis=-1), tf.reduce_max(moved, axis=-1)], axis=-1)
    return clip(hull, classes, window)


def clip(corners: Any, classes: Any, window: Any) -> tuple[Any, Any]:
    """Clip boxes `(batch, n, 4)` to their image's window `(batch, 4)`; drop boxes of which too little remains."""
    low, high = tf.tile(window[:, None, :2], (1, 1, 2)), tf.tile(window[:, None, 2:], (1, 1, 2))
    clipped = tf.clip_by_value(corners, low, high)
    sides = clipped[..., 2:] - clipped[..., :2]
    whole = tf.reduce_prod(corners[..., 2:] - corners[..., :2], axis=-1)
    left = tf.reduce_prod(sides, axis=-1) / tf.maximum(whole, 1e-9)
    kept = (classes >= 0) & (left >= LEAST_VISIBLE) & (tf.reduce_min(sides, axis=-1) >= _LEAST_SIDE)
    return tf.where(kept[..., None], clipped, 0.0), tf.where(kept, classes, NO_OBJECT)


def compact(corners: Any, classes: Any) -> tuple[Any, Any]:
    """Remove padding columns that no image of the batch needs; at least one column remains."""
    order = tf.argsort(tf.cast(classes < 0, tf.int32), axis=1, stable=True)
    columns = tf.maximum(tf.reduce_max(tf.reduce_sum(tf.cast(classes >= 0, tf.int32), axis=1)), 1)
    order = order[:, :columns]
    return tf.gather(corners, order, batch_dims=1), tf.gather(classes, order, batch_dims=1)


def move_masks(masks: Any, source: Any) -> Any:
    """Transform masks uint8 `(batch, height, width)` with nearest neighbour; pixels from outside become `IGNORE`."""
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=masks[..., None], transforms=tf.reshape(source, (-1, 9))[:, :8], output_shape=tf.shape(masks)[1:3],
        fill_value=float(IGNORE), interpolation="NEAREST", fill_mode="CONSTANT",
    )  # fmt: skip
    return moved[..., 0]
