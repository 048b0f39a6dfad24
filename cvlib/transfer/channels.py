"""The first convolution of a base trained on RGB images, adapted to images with more channels.

Every channel gets the mean of the RGB kernels times 3 / channels, so that the sum over the input keeps its scale.
"""

from __future__ import annotations

from typing import TypeAlias

import h5py
import numpy as np

Array: TypeAlias = "h5py.Dataset | np.ndarray"
Shape = tuple[int, ...]


def adapt_list(arrays: list[np.ndarray], shapes: list[Shape], channels: int) -> tuple[list[np.ndarray], str]:
    """Adapt arrays to a base with arrays of these shapes; return all arrays, and a line that describes the change."""
    changed = [is_first_for_rgb(array.shape, shape) for array, shape in zip(arrays, shapes, strict=True)]
    adapted = [spread(array, channels) if first else array for array, first in zip(arrays, changed, strict=True)]
    return adapted, note(channels) if any(changed) else ""


def adapt_by_name(stored: dict[str, Array], wanted: dict[str, Shape]) -> tuple[dict[str, Array], str]:
    """Adapt stored arrays to a base whose arrays have the wanted shapes; a stored name ends with a wanted one."""
    for path, shape in wanted.items():
        for name, array in stored.items():
            if name.endswith(path) and is_first_for_rgb(array.shape, shape):
                return stored | {name: spread(array[...], shape[2])}, note(shape[2])
    return stored, ""


def is_first_for_rgb(found: Shape, wanted: Shape) -> bool:
    """Return whether a kernel is that of a first convolution for RGB, where more channels are wanted."""
    return len(wanted) == 4 and wanted[2] > 3 and found == (*wanted[:2], 3, wanted[3])


def spread(kernel: np.ndarray, channels: int) -> np.ndarray:
    """Return an RGB kernel `(height, width, 3, filters)` for more channels."""
    kernels: np.ndarray = np.repeat(kernel.mean(axis=2, keepdims=True) * (3 / channels), channels, axis=2)
    return kernels


def note(channels: int) -> str:
    """Return a line that describes the change."""
    return f"the first convolution takes {channels} channels: each gets the mean of the RGB kernels × 3/{channels}"
