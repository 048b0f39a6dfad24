"""Tiles: parts of large images at full resolution. Random ones for training, overlapping windows for prediction.

An image is covered by windows of the network's input size. Neighbouring windows overlap by at least `InputSpec.overlap`
of a side. An image that is smaller than a window is padded at its right and lower end. NumPy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int, Integer

from cvlib.data.input_spec import InputSpec


@dataclass(frozen=True)
class Windows:
    """The windows of several images, ordered by image, and within it from the top left by rows."""

    images: np.ndarray  # int (m,): index of each window's image
    corners: np.ndarray  # int (m, 2): top and left in pixels of the image

    def __len__(self) -> int:
        return len(self.images)


def starts(side: int, tile: int, overlap: float) -> Int[np.ndarray, " windows"]:
    """Return the first pixel of each window along an axis of `side` pixels: evenly spaced, as few as possible."""
    count = 1 + max(0, math.ceil((side - tile) / max(1, math.floor(tile * (1 - overlap)))))
    return np.rint(np.linspace(0, max(side - tile, 0), count)).astype(np.int64)


def windows(sizes: Integer[np.ndarray, "images 2"], spec: InputSpec) -> Windows:
    """Return the windows that cover images with these sizes (height, width)."""
    assert spec.overlap is not None
    images, corners = [], []
    for index, (height, width) in enumerate(sizes.tolist()):
        rows, columns = starts(height, spec.height, spec.overlap), starts(width, spec.width, spec.overlap)
        corners.append(np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2))
        images.append(np.full(len(corners[-1]), index))
    return Windows(np.concatenate(images), np.concatenate(corners))


def cut(pixels: np.ndarray, corner: tuple[int, int], size: tuple[int, int], fill: int = 0) -> np.ndarray:
    """Return the part of `(height, width, …)` at `corner` (top, left), padded with `fill` to `size` if necessary."""
    part = pixels[corner[0] : corner[0] + size[0], corner[1] : corner[1] + size[1]]
    if part.shape[:2] == size:
        return part
    whole = np.full((*size, *pixels.shape[2:]), fill, pixels.dtype)
    whole[: part.shape[0], : part.shape[1]] = part
    return whole


def centre(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the middle of an image `(height, width, channels)`, padded with 0 to `size` if necessary."""
    top, left = (max(0, (own - wanted) // 2) for own, wanted in zip(pixels.shape[:2], size, strict=True))
    return cut(pixels, (top, left), size)


def blending(side: int, tile: int, overlap: float) -> Float32[np.ndarray, "windows tile"]:
    """Return the weight of each window's pixels along an axis of `side` pixels.

    A weight rises from the window's ends over the overlap. At every pixel of the image, the weights of its windows sum
    to one. Pixels beyond the image have weight 0.
    """
    places = np.arange(tile) + 0.5
    ramp = np.clip(np.minimum(places, tile - places) / max(overlap * tile, 1.0), 0, 1)
    first = starts(side, tile, overlap)
    inside = first[:, np.newaxis] + np.arange(tile)
    total = np.zeros(max(side, tile))
    np.add.at(total, inside, np.broadcast_to(ramp, inside.shape))
    return np.where(inside < side, ramp / total[inside], 0).astype(np.float32)


class Canvas:
    """Joins the outputs of one image's windows: a weighted mean where they overlap; see `blending`."""

    def __init__(self, size: tuple[int, int], spec: InputSpec):
        assert spec.overlap is not None
        height, width = size
        self._size, self._added = size, 0
        self._corners = windows(np.array([size]), spec).corners
        rows, columns = blending(height, spec.height, spec.overlap), blending(width, spec.width, spec.overlap)
        self._weights = [(row, column) for row in rows for column in columns]
        self._total: np.ndarray | None = None

    def add(self, output: np.ndarray) -> np.ndarray | None:
        """Add the output `(tile, tile, values)` of the next window.

        Return the joined output, float32 `(height, width, values)`, after the last window, and None before.
        """
        if self._total is None:
            self._total = np.zeros((*self._size, output.shape[-1]), np.float32)
        (top, left), (rows, columns) = self._corners[self._added].tolist(), self._weights[self._added]
        target = self._total[top : top + len(rows), left : left + len(columns)]
        weights = (rows[:, np.newaxis] * columns)[: target.shape[0], : target.shape[1], np.newaxis]
        target += weights * output[: target.shape[0], : target.shape[1]]
        self._added += 1
        return self._total if self._added == len(self._corners) else None
