"""The geometry of resizing an image to a network's input; NumPy only."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, Shaped

from cvlib.data.input_spec import LETTERBOX, STRETCH

__all__ = ["LETTERBOX", "STRETCH", "back", "padding", "placed", "placement"]


def padding(height: int, width: int, size: tuple[int, int], method: str) -> tuple[int, int]:
    """Return (rows, columns): padding added at each end of the two axes before an image is resized to `size`."""
    if method == STRETCH:
        return 0, 0
    whole_height, whole_width = max(height, width * size[0] // size[1]), max(width, height * size[1] // size[0])
    return (whole_height - height) // 2, (whole_width - width) // 2


def placement(height: int, width: int, size: tuple[int, int], method: str) -> Float32[np.ndarray, " 4"]:
    """Return scale and offset, float32 `(scale_x, scale_y, offset_x, offset_y)`.

    A point of the original maps to point · scale + offset in the resized image. Coordinates are in pixels from the
    image's upper left corner.
    """
    rows, columns = padding(height, width, size, method)
    scale_x, scale_y = size[1] / (width + 2 * columns), size[0] / (height + 2 * rows)
    return np.array([scale_x, scale_y, columns * scale_x, rows * scale_y], np.float32)


def placed(
    corners: Float[np.ndarray, "images boxes 4"],
    sizes: Shaped[np.ndarray, "images 2"],
    size: tuple[int, int],
    method: str,
) -> Float[np.ndarray, "images boxes 4"]:
    """Convert boxes of images with these `sizes` (height, width) from pixels of the original to the resized images."""
    placements = np.stack([placement(int(height), int(width), size, method) for height, width in sizes])
    scales, offsets = np.tile(placements[:, :2], (1, 2)), np.tile(placements[:, 2:], (1, 2))
    moved: np.ndarray = corners * scales[:, None] + offsets[:, None]
    return moved


def back(
    boxes: Float[np.ndarray, "boxes 4"], height: int, width: int, size: tuple[int, int], method: str
) -> Float[np.ndarray, "boxes 4"]:
    """Convert boxes from pixels of the resized image to pixels of the original image, and clip them to it."""
    scale_x, scale_y, offset_x, offset_y = placement(height, width, size, method)
    offsets, scales = np.array([offset_x, offset_y] * 2), np.array([scale_x, scale_y] * 2)
    moved: np.ndarray = np.clip((boxes - offsets) / scales, 0, np.array([width, height] * 2))
    return moved
