"""Images with more than 8 bits per channel, and TIFF files with more than four bands.

All such images of a collection are scaled by the same range: pixels from `low` to `high` map to 0 to 255. The range is
`data.range` or, if all images have more than 8 bits, that of the training images. It is recorded with the run. Without
such a range, `images.read_image` uses defaults.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

Range = tuple[float, float]  # low and high

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MAX_PILLOW_BANDS = 4  # Pillow reads RGB and one more band


def range_of(pixels: Image.Image | np.ndarray) -> Range | None:
    """Return the smallest and largest finite value of an image with more than 8 bits; None for an 8-bit image."""
    if isinstance(pixels, Image.Image):
        if not is_deep(pixels.mode):
            return None
        pixels = np.asarray(pixels)
    if pixels.dtype == np.uint8:
        return None
    finite = pixels[np.isfinite(pixels)] if pixels.dtype.kind == "f" else pixels
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def is_deep(mode: str) -> bool:
    """Return whether a Pillow mode has more than 8 bits per channel."""
    return mode.startswith(("I", "F"))


def joint(ranges: Sequence[Range]) -> Range | None:
    """Return the joint range of several images; None without images or if all pixels have the same value."""
    if not ranges:
        return None
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    return (low, high) if high > low else None


def scaled(array: np.ndarray, span: Range) -> np.ndarray:
    """Scale pixels to uint8: `span[0]` maps to 0 and `span[1]` to 255. Values outside are clipped; NaN maps to 0."""
    low, high = span
    values = np.nan_to_num(array.astype(np.float64), nan=low, posinf=high, neginf=low)
    return np.clip(np.rint((values - low) * (255 / (high - low))), 0, 255).astype(np.uint8)


def unscaled(pixels: np.ndarray, span: Range) -> np.ndarray:
    """Return pixels 0–255 as values from `span[0]` to `span[1]`, float32: the reverse of `scaled`, up to rounding."""
    low, high = span
    return (low + pixels.astype(np.float64) * ((high - low) / 255)).astype(np.float32)


def bands(content: bytes) -> np.ndarray | None:
    """Return the pixels `(height, width, bands)` of a TIFF with more than four bands; None for any other file.

    Bands may be stored as samples of a pixel, as planes, or as pages of the same size. For a damaged file, tifffile's
    exceptions are passed on.
    """
    if not content.startswith(_TIFF):
        return None
    import tifffile

    with tifffile.TiffFile(io.BytesIO(content)) as file:
        series = file.series[0]
        if series.ndim != 3 or min(series.shape) <= _MAX_PILLOW_BANDS:
            return None
        axis = next((series.axes.index(axis) for axis in "SCIQ" if axis in series.axes), int(np.argmin(series.shape)))
        if series.axes[axis] in "IQ" and len(file.pages) > 1 and not _pages_are_bands(file):
            return None
        array = np.asarray(series.asarray())
    return np.moveaxis(array, axis, -1)


def _pages_are_bands(file: object) -> bool:
    """Return whether the pages of a file are bands of one image, which is assumed for up to 16 pages."""
    pages = file.pages  # type: ignore[attr-defined]
    return len(pages) <= 16


def note(span: Range, images: int, given: bool) -> str:
    """Return a one-line note on the range; `given` tells whether the user set it."""
    source = "data.range" if given else "the range of the training images"
    return (f"{images} images have more than 8 bits per channel: {span[0]:g} to {span[1]:g} ({source}) map to 0 to 255 "
            "in all images" + ("" if given else "; set data.range=[low, high] to change this"))  # fmt: skip
