"""Pixels that aren't 8 bits of grey or RGB: their range over a collection, and TIFF files of more than four bands.

One rule holds for a whole collection: pixels from `low` to `high` become 0 to 255. It is the training images' own range
or `data.range`, is recorded with the run, and is never a single file's.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

Range = tuple[float, float]  # low and high

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MOST_COLOURS = 4  # bands that Pillow reads: RGB and one more


def range_of(pixels: Image.Image | np.ndarray) -> Range | None:
    """The least and the greatest finite value of an image that has more than 8 bits; None of an 8-bit one."""
    if isinstance(pixels, Image.Image):
        if not is_deep(pixels.mode):
            return None
        pixels = np.asarray(pixels)
    if pixels.dtype == np.uint8:
        return None
    finite = pixels[np.isfinite(pixels)] if pixels.dtype.kind == "f" else pixels
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def is_deep(mode: str) -> bool:
    """Whether a mode of Pillow's has more than 8 bits."""
    return mode.startswith(("I", "F"))


def joint(ranges: Sequence[Range]) -> Range | None:
    """The range of several images together; None where they have no two values."""
    if not ranges:
        return None
    low, high = min(one[0] for one in ranges), max(one[1] for one in ranges)
    return (low, high) if high > low else None


def scaled(array: np.ndarray, span: Range) -> np.ndarray:
    """Pixels as uint8: `span[0]` becomes 0, `span[1]` 255, what lies beyond is clipped; no number becomes 0."""
    low, high = span
    values = np.nan_to_num(array.astype(np.float64), nan=low, posinf=high, neginf=low)
    return np.clip(np.rint((values - low) * (255 / (high - low))), 0, 255).astype(np.uint8)


def bands(content: bytes) -> np.ndarray | None:
    """The pixels `(height, width, bands)` of a TIFF of more than four bands; None of any other file.

    Bands may be samples of a pixel, planes, or pages of one size. Raises what tifffile raises for a damaged file.
    """
    if not content.startswith(_TIFF):
        return None
    import tifffile

    with tifffile.TiffFile(io.BytesIO(content)) as file:
        series = file.series[0]
        if series.ndim != 3 or min(series.shape) <= _MOST_COLOURS:
            return None
        axis = next((series.axes.index(axis) for axis in "SCIQ" if axis in series.axes), int(np.argmin(series.shape)))
        if series.axes[axis] in "IQ" and len(file.pages) > 1 and not _of_one_kind(file):
            return None
        array = np.asarray(series.asarray())
    return np.moveaxis(array, axis, -1)


def _of_one_kind(file: object) -> bool:
    """Whether the pages of a file are bands of one image: few, and said to be so by their writer or by their number."""
    pages = file.pages  # type: ignore[attr-defined]
    return len(pages) <= 16


def note(span: Range, images: int, given: bool) -> str:
    """The line that states the rule."""
    source = "data.range" if given else "the training images' own range"
    return (f"{images} images hold more than 8 bits a pixel: {span[0]:g} to {span[1]:g} ({source}) become 0 to 255, "
            "by one rule for all images" + ("" if given else "; data.range=[low, high] sets another"))  # fmt: skip
