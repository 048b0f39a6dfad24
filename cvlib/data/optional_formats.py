"""Image formats that need an optional package: HEIC (pillow-heif) and DICOM (pydicom)."""

from __future__ import annotations

import io
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

HEIC = (".heic", ".heif", ".hif")
DICOM = (".dcm", ".dicom")
_DICOM_OFFSET, _DICOM_MAGIC = 128, b"DICM"
DICOM_HEAD = _DICOM_OFFSET + len(_DICOM_MAGIC)  # bytes that identify DICOM


def readable() -> frozenset[str]:
    """Return the file extensions that the installed packages can read."""
    heic = HEIC if find_spec("pillow_heif") is not None else ()
    return frozenset((*heic, *(DICOM if find_spec("pydicom") is not None else ())))


def prepare(path: Path) -> None:
    """Enable Pillow to open a HEIC file if pillow-heif is installed."""
    if path.suffix.lower() in HEIC and find_spec("pillow_heif") is not None:
        _register()


@cache
def _register() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()


def is_dicom(content: bytes) -> bool:
    """Return whether a file with this beginning is DICOM."""
    return content[_DICOM_OFFSET:DICOM_HEAD] == _DICOM_MAGIC


def head(file: Path) -> bytes:
    """Return the first bytes of a file; empty if it can't be opened, or if it is a pipe, which could block forever."""
    try:
        with file.open("rb") if file.is_file() else io.BytesIO() as opened:
            return opened.read(DICOM_HEAD)
    except OSError:
        return b""


def dicom(content: bytes) -> Image.Image | None:
    """Return the pixels of a DICOM file with one grey or RGB frame; None for any other file.

    Grey values are in the file's units (Hounsfield units for CT). For an unreadable file, pydicom's exceptions are
    passed on.
    """
    if not is_dicom(content):
        return None
    if find_spec("pydicom") is None:
        raise ValueError("it is DICOM: install pydicom (the extra cvlib-experiments[dicom]) or convert to PNG")
    import pydicom

    file = pydicom.dcmread(io.BytesIO(content))
    colours = getattr(file, "PhotometricInterpretation", "")
    if colours == "PALETTE COLOR":
        raise ValueError("its pixels are indices of a palette: convert to PNG")
    pixels = np.asarray(file.pixel_array)
    if pixels.ndim == 3 and pixels.shape[-1] == 3 and pixels.dtype == np.uint8:
        return Image.fromarray(pixels)
    if pixels.ndim != 2:
        frames = int(getattr(file, "NumberOfFrames", 1))
        if frames > 1:
            raise ValueError(f"it has {frames} frames: save each frame as a file")
        raise ValueError(f"its pixels have the shape {pixels.shape} and the type {pixels.dtype}: convert to PNG")
    slope, intercept = float(getattr(file, "RescaleSlope", 1)), float(getattr(file, "RescaleIntercept", 0))
    inverted = colours == "MONOCHROME1"
    if pixels.dtype == np.uint8 and slope == 1 and intercept == 0:
        return Image.fromarray(255 - pixels if inverted else pixels)
    values = pixels.astype(np.float32) * slope + intercept
    return Image.fromarray(-values if inverted else values)
