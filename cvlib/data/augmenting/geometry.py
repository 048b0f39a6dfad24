"""Transform boxes with the affine matrices of `affine.matrices`.

A transformed box is the axis-aligned box around the transformed corners, clipped to the image. It is dropped if less
than `LEAST_VISIBLE` of its area remains in the image, or if a side becomes shorter than one pixel.
"""

from __future__ import annotations

import numpy as np

from cvlib.data.augmentation import TILES
from cvlib.data.labels.boxes import NO_OBJECT

LEAST_VISIBLE = 0.3
_LEAST_SIDE = 1.0  # pixels


def whole_window(count: int, height: int, width: int) -> np.ndarray:
    """Return windows, float32 `(count, 4)`, that cover whole images."""
    return np.tile(np.array([0, 0, width, height], np.float32), (count, 1))


def move(corners: np.ndarray, classes: np.ndarray, source: np.ndarray, window: np.ndarray) -> tuple[np.ndarray, ...]:
    """Transform boxes; dropped boxes (see the module's docstring) get class −1.

    Args:
        corners: `(batch, n, 4)` in pixels.
        classes: `(batch, n)`.
        source: `(batch, 3, 3)`, maps positions in the result to positions in the original, from `affine.matrices`.
        window: `(batch, 4)`, the part of the result that shows the image; the whole result, except in a mosaic.
    """
    forward = np.linalg.inv(source)[:, None]
    x, y = corners[..., [0, 2, 0, 2]], corners[..., [1, 1, 3, 3]]
    # The matrices have their origin at the centre of the first pixel, boxes at its corner.
    points = np.stack([x - 0.5, y - 0.5, np.ones_like(x)], axis=-2)
    moved = (forward @ points)[..., :2, :] + 0.5
    return clip(np.concatenate([moved.min(axis=-1), moved.max(axis=-1)], axis=-1), classes, window)


def clip(corners: np.ndarray, classes: np.ndarray, window: np.ndarray) -> tuple[np.ndarray, ...]:
    """Clip boxes `(batch, n, 4)` to their image's window `(batch, 4)`; drop boxes of which too little remains."""
    low, high = np.tile(window[:, None, :2], (1, 1, 2)), np.tile(window[:, None, 2:], (1, 1, 2))
    clipped = np.clip(corners, low, high)
    sides = clipped[..., 2:] - clipped[..., :2]
    whole = np.prod(corners[..., 2:] - corners[..., :2], axis=-1)
    left = np.prod(sides, axis=-1) / np.maximum(whole, np.float32(1e-9))
    kept = (classes >= 0) & (left >= LEAST_VISIBLE) & (sides.min(axis=-1) >= _LEAST_SIDE)
    return np.where(kept[..., None], clipped, np.float32(0)), np.where(kept, classes, np.int32(NO_OBJECT))


def joined(corners: np.ndarray, classes: np.ndarray, tiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes of each mosaic, `(m, 4 n, 4)` and `(m, 4 n)`, given those of its tiles, `(batch, n, …)`.

    `tiles` `(batch,)`, ascending, are the numbers of the tiles among those of all mosaics. Each mosaic has one or more.
    """
    mosaics = int(tiles.max(initial=-1)) // TILES + 1
    every = np.zeros((mosaics * TILES, *corners.shape[1:]), np.float32)
    known = np.full((mosaics * TILES, *classes.shape[1:]), NO_OBJECT, np.int32)
    every[tiles], known[tiles] = corners, classes
    return every.reshape(mosaics, TILES * corners.shape[1], 4), known.reshape(mosaics, TILES * classes.shape[1])


def compact(corners: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Remove padding columns that no image of the batch needs; at least one column remains."""
    columns = (classes >= 0).sum(axis=1).max(initial=1)
    order = np.argsort(classes < 0, axis=1, kind="stable")[:, :columns]
    return np.take_along_axis(corners, order[..., None], axis=1), np.take_along_axis(classes, order, axis=1)
