"""Resize images and masks to the network's input size, bit for bit as TensorFlow does; NumPy and SciPy only.

`keras.layers.Resizing(antialias=True)` in the saved model resizes images bilinearly: rows first, then columns, and sums
the weighted pixels in order, all in float32 (TensorFlow's `ScaleAndTranslate`). Products with sparse matrices do the
same in a third of the time. `cvlib.data.resize` describes the geometry.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import UInt8
from scipy import sparse

from cvlib.data.labels.mask import IGNORE
from cvlib.data.resize import padding


def image(
    pixels: UInt8[np.ndarray, "height width channels"], size: tuple[int, int], method: str
) -> UInt8[np.ndarray, "resized_height resized_width channels"]:
    """Return an image at `size` (height, width), rounded to integers; `method` letterbox pads it with 0 first."""
    if pixels.shape[:2] == tuple(size):
        return pixels
    pixels = _padded(pixels, size, method, 0)
    height, width, channels = pixels.shape
    rows = weights(height, size[0]) @ pixels.reshape(height, width * channels).astype(np.float32)
    both = weights(width, size[1], channels) @ np.ascontiguousarray(rows.T)
    rounded = np.rint(both, out=both).astype(np.uint8)
    return np.ascontiguousarray(rounded.T).reshape(*size, channels)


def mask(
    ids: UInt8[np.ndarray, "height width"], size: tuple[int, int], method: str
) -> UInt8[np.ndarray, "resized_height resized_width"]:
    """Return a mask at `size` by nearest neighbour, which creates no new ids; letterbox pads it with `IGNORE` first."""
    if ids.shape == tuple(size):
        return ids
    ids = _padded(ids[..., np.newaxis], size, method, IGNORE)[..., 0]
    height, width = ids.shape
    chosen: np.ndarray = ids[np.ix_(_nearest(height, size[0]), _nearest(width, size[1]))]
    return chosen


def _padded(pixels: np.ndarray, size: tuple[int, int], method: str, value: int) -> np.ndarray:
    height, width, _ = pixels.shape
    rows, columns = padding(height, width, size, method)
    if not rows and not columns:
        return pixels
    return np.pad(pixels, ((rows, rows), (columns, columns), (0, 0)), constant_values=value)


def _nearest(source: int, target: int) -> np.ndarray:
    """Return the source index of each target pixel, int `(target,)`."""
    step = np.float32(source) / np.float32(target)
    centres = (np.arange(target, dtype=np.float32) + np.float32(0.5)) * step
    nearest: np.ndarray = np.minimum(np.floor(centres).astype(np.int64), source - 1)
    return nearest


@lru_cache(maxsize=1024)  # the same sizes return in every epoch
def weights(source: int, target: int, channels: int = 1) -> sparse.csr_array:
    """Return the float32 matrix `(target · channels, source · channels)` that resizes one axis of interleaved channels.

    The kernel is a triangle with a reach of one pixel, of the source or of the target, whichever is larger.
    """
    one, half = np.float32(1), np.float32(0.5)
    step = one / (np.float32(target) / np.float32(source))  # source pixels per target pixel, in TensorFlow's arithmetic
    reach = max(step, one)
    centres = (np.arange(target, dtype=np.float32) + half) * step
    first = np.clip(np.ceil(centres - reach - half), 0, source - 1).astype(np.int64)
    last = np.clip(np.floor(centres + reach - half), 0, source - 1).astype(np.int64)
    columns = first[:, None] + np.arange((last - first).max() + 1)
    used = columns <= last[:, None]
    distances = np.abs((columns.astype(np.float32) + half - centres[:, None]) * (one / reach))
    values = np.where(used, np.maximum(one - distances, 0), 0).astype(np.float32)
    totals = np.cumsum(values, axis=1, dtype=np.float32)[:, -1:]  # cumsum adds in order, sum does not
    entries = (target, channels, columns.shape[1])
    places = (columns[:, None] * channels + np.arange(channels)[:, None])[np.broadcast_to(used[:, None], entries)]
    kept = np.broadcast_to((values * (one / totals))[:, None], entries)[np.broadcast_to(used[:, None], entries)]
    starts = np.concatenate([[0], np.cumsum(np.repeat(used.sum(axis=1), channels))])
    return sparse.csr_array((kept, places.astype(np.int32), starts.astype(np.int32)),
                            shape=(target * channels, source * channels))  # fmt: skip
