"""Formats of images that a further package reads: HEIC by pillow-heif, DICOM by pydicom, where they are installed."""

from __future__ import annotations

import io
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

HEIC = (".heic", ".heif", ".hif")
DICOM = (".dcm", ".dicom")
_DICOM_AT, _DICOM_MARK = 128, b"DICM"  # where such a file has its mark


def readable() -> frozenset[str]:
    """The endings that an installed package reads."""
    heic = HEIC if find_spec("pillow_heif") is not None else ()
    return frozenset((*heic, *(DICOM if find_spec("pydicom") is not None else ())))


def prepare(path: Path) -> None:
    """Let Pillow open a HEIC file, where pillow-heif is installed."""
    if path.suffix.lower() in HEIC and find_spec("pillow_heif") is not None:
        _register()


@cache
def _register() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()


def dicom(content: bytes) -> Image.Image | None:
    """The pixels of a DICOM file of one grey or RGB frame, in its own units (Hounsfield's for CT); None of any other.

    Raises what pydicom raises for a file that it can't read.
    """
    if content[_DICOM_AT : _DICOM_AT + 4] != _DICOM_MARK or find_spec("pydicom") is None:
        return None
    import pydicom

    file = pydicom.dcmread(io.BytesIO(content))
    pixels = np.asarray(file.pixel_array)
    if pixels.ndim == 3 and pixels.shape[-1] == 3 and pixels.dtype == np.uint8:
        return Image.fromarray(pixels)
    if pixels.ndim != 2:
        raise ValueError(f"it holds {pixels.shape[0]} frames: save each as a file")
    slope, intercept = float(getattr(file, "RescaleSlope", 1)), float(getattr(file, "RescaleIntercept", 0))
    inverted = getattr(file, "PhotometricInterpretation", "") == "MONOCHROME1"
    values = pixels.astype(np.float32) * slope + intercept
    return Image.fromarray(-values if inverted else values)
