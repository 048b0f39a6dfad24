"""Boxes and masks under the affine maps of `augment.matrices`.

The rule for boxes: what an object's box becomes is the upright box around its moved corners, clipped to the picture;
it is dropped where less than `LEAST_VISIBLE` of its area, or less than a pixel of a side, is left in the picture.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from cvlib.data.labels.boxes import NO_OBJECT
from cvlib.data.labels.mask import IGNORE

LEAST_VISIBLE = 0.3
_LEAST_SIDE = 1.0  # pixels


def whole_window(images: Any) -> Any:
    """The window `(batch, 4)` that is all of the images `(batch, height, width, channels)`."""
    height, width = tf.cast(tf.shape(images)[1], tf.float32), tf.cast(tf.shape(images)[2], tf.float32)
    return tf.tile(tf.stack([0.0, 0.0, width, height])[None], (tf.shape(images)[0], 1))


def move(corners: Any, classes: Any, source: Any, window: Any) -> tuple[Any, Any]:
    """Boxes after a move, those dropped by the rule above marked by class −1.

    Args:
        corners, classes: `(batch, n, 4)` in pixels and `(batch, n)`.
        source: `(batch, 3, 3)`, from a pixel's place in the result to its place before, as `augment.matrices` gives.
        window: `(batch, 4)`, the split of the result that shows the image; all of it but for a mosaic.
    """
    forth = tf.linalg.inv(source)[:, None]
    x = tf.stack([corners[..., 0], corners[..., 2], corners[..., 0], corners[..., 2]], axis=-1)
    y = tf.stack([corners[..., 1], corners[..., 1], corners[..., 3], corners[..., 3]], axis=-1)
    # The maps count from the middle of the first pixel, boxes from its edge.
    points = tf.stack([x - 0.5, y - 0.5, tf.ones_like(x)], axis=-2)
    moved = tf.matmul(tf.broadcast_to(forth, (*tf.unstack(tf.shape(x)[:2]), 3, 3)), points)[..., :2, :] + 0.5
    hull = tf.concat([tf.reduce_min(moved, axis=-1), tf.reduce_max(moved, axis=-1)], axis=-1)
    return clip(hull, classes, window)


def clip(corners: Any, classes: Any, window: Any) -> tuple[Any, Any]:
    """Boxes `(batch, n, 4)` clipped to a window `(batch, 4)` each; those of which too little is left are dropped."""
    low, high = tf.tile(window[:, None, :2], (1, 1, 2)), tf.tile(window[:, None, 2:], (1, 1, 2))
    clipped = tf.clip_by_value(corners, low, high)
    sides = clipped[..., 2:] - clipped[..., :2]
    whole = tf.reduce_prod(corners[..., 2:] - corners[..., :2], axis=-1)
    left = tf.reduce_prod(sides, axis=-1) / tf.maximum(whole, 1e-9)
    kept = (classes >= 0) & (left >= LEAST_VISIBLE) & (tf.reduce_min(sides, axis=-1) >= _LEAST_SIDE)
    return tf.where(kept[..., None], clipped, 0.0), tf.where(kept, classes, NO_OBJECT)


def compact(corners: Any, classes: Any) -> tuple[Any, Any]:
    """The same boxes without the columns that no image of the batch needs; at least one is left."""
    order = tf.argsort(tf.cast(classes < 0, tf.int32), axis=1, stable=True)
    most = tf.maximum(tf.reduce_max(tf.reduce_sum(tf.cast(classes >= 0, tf.int32), axis=1)), 1)
    order = order[:, :most]
    return tf.gather(corners, order, batch_dims=1), tf.gather(classes, order, batch_dims=1)


def move_masks(masks: Any, source: Any) -> Any:
    """Masks uint8 `(batch, height, width)` after the same move, nearest neighbour; nothing known outside: ignore."""
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=masks[..., None], transforms=tf.reshape(source, (-1, 9))[:, :8], output_shape=tf.shape(masks)[1:3],
        fill_value=float(IGNORE), interpolation="NEAREST", fill_mode="CONSTANT",
    )  # fmt: skip
    return moved[..., 0]
