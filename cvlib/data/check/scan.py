"""Scan one file of a collection: read, hash and decode it completely, and make a thumbnail for comparison."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image

from cvlib.data import images, optional_formats
from cvlib.data.findings import ERROR, REMARK, WARNING
from cvlib.data.images import THUMBNAIL, Header
from cvlib.runtime.errors import UserError

_TINY = 16  # pixels; an image with a shorter side is too small to recognise objects
_HUGE = 25_000_000  # pixels: 75 MB decoded as RGB, in each of the loader's threads

# Maps a file's first bytes to Pillow's format name, to detect images whose name has another extension.
_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"GIF87a": "GIF", b"GIF89a": "GIF", b"BM": "BMP",
    b"II*\x00": "TIFF", b"MM\x00*": "TIFF",
}  # fmt: skip
_EXTENSIONS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"), "MPO": (".jpg", ".jpeg", ".mpo"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"), "TGA": (".tga",), "AVIF": (".avif",), "JPEG2000": (".jp2", ".j2k"),
    "HEIF": (".heic", ".heif", ".hif"),
    "DICOM": (".dcm", ".dicom"),
    "PNG": (".png",), "GIF": (".gif",), "BMP": (".bmp",),
    "WEBP": (".webp",), "TIFF": (".tif", ".tiff"),
}  # fmt: skip
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
_TURNS = {2: "mirrored", 3: "upside down", 4: "upside down and mirrored", 5: "on its side and mirrored",
          6: "on its side", 7: "on its side and mirrored", 8: "on its side"}  # fmt: skip
_MODES = {
    "CMYK": "CMYK: converted to RGB without the colour profile",
    "YCbCr": "YCbCr: converted to RGB", "LAB": "Lab: converted to RGB", "HSV": "HSV: converted to RGB",
    "RGBA": "RGB with transparency: composited on white", "LA": "grey with transparency: composited on white",
    "RGBa": "RGB with transparency: composited on white", "La": "grey with transparency: composited on white",
    "PA": "palette with transparency: composited on white", "1": "1 bit: read as black and white",
    "F": "floating point: scaled to 0–255 by the range of the training images if all images have more than 8 bits",
}  # fmt: skip


# The warnings of libjpeg that indicate lost data; others concern harmless headers.
_DAMAGE = ("Corrupt JPEG data", "Premature end of JPEG", "Inconsistent progression")


@dataclass(frozen=True)
class Fault:
    """A problem with a file, independent of its path."""

    severity: str
    kind: str
    message: str
    advice: str = ""


@dataclass(frozen=True)
class FileScan:
    """Properties of one file; `header` is None if it is not a readable image."""

    digest: str = ""  # sha256 of the bytes
    format: str = ""  # Pillow's name of the format
    mode: str = ""  # Pillow's name of the stored mode
    header: Header | None = None  # size and orientation
    thumbnail: bytes = b""  # THUMBNAIL × THUMBNAIL grey pixels of the upright image
    faults: list[Fault] = field(default_factory=list)


def scan_file(path: Path) -> FileScan | None:
    """Scan the file; return None if neither its name nor its content is that of an image. Never raises."""
    if not images.looks_like_image(path):
        return None
    try:
        content = images.content_of(path)
    except UserError as error:
        return FileScan(
            faults=[Fault(ERROR, "unreadable file", str(error).removeprefix(f"{path}: "), "make it readable")]
        )
    if not content:
        return FileScan(faults=[Fault(ERROR, "empty file", "has no content", "restore or remove it")])
    found = _decoded(path, content)
    found.faults.extend(_name_faults(path, found.format))
    return found


def _signature(start: bytes) -> str | None:
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    return next((name for magic, name in _SIGNATURES.items() if start.startswith(magic)), None)


def _decoded(path: Path, content: bytes) -> FileScan:
    digest = hashlib.sha256(content).hexdigest()
    try:
        optional_formats.prepare(path)
        if path.suffix.lower() in optional_formats.DICOM:
            return _dicom_scan(digest, path, content)
        with Image.open(io.BytesIO(content)) as image:
            form, mode = image.format or "", image.mode
            frames = _frames(image)
            transparent_palette = mode == "P" and image.has_transparency_data
            header = images.header_of(image)
        small, damage = _small(path, content, form, mode, header.orientation)
    except Exception as error:
        scan = _multiband_scan(path, content)
        return (
            FileScan(digest, faults=[_decoding_fault(content, error)]) if scan is None else replace(scan, digest=digest)
        )
    faults = [*damage, *_size_faults(header), *_mode_faults(mode, transparent_palette, header.orientation, frames)]
    return FileScan(digest, form, mode, header, small, faults)


def _dicom_scan(digest: str, path: Path, content: bytes) -> FileScan:
    """Scan a DICOM file, which Pillow can't read."""
    seen = images.look(path, content)
    grey = Image.fromarray(images.read_image(path, 1, seen.span)[..., 0])
    return FileScan(digest, "DICOM", "F", seen.header, _thumbnail(grey, 1))


def _decoding_fault(content: bytes, error: Exception) -> Fault:
    """Return the fault for an exception of a decoder; for a `UserError`, only the decoder's own message is used."""
    text = str(error)
    return _refusal(content, text.rpartition("read as an image: ")[2] if isinstance(error, UserError) else text)


def _multiband_scan(path: Path, content: bytes) -> FileScan | None:
    """Scan a TIFF with more bands than Pillow can read; return None for any other file."""
    try:
        seen = images.look(path, content)
    except UserError:
        return None
    if seen.bands <= 3:
        return None
    grey = Image.fromarray(images.read_image(path, 1)[..., 0])
    fault = Fault(REMARK, "bands", f"{seen.bands} bands (channels): all are read; data.channels=3 selects the first 3")
    return FileScan("", "TIFF", f"{seen.bands} bands", seen.header, _thumbnail(grey, 1), [fault])


def _frames(image: Image.Image) -> int:
    if image.format == "MPO":  # a photograph and its preview, or a stereo pair, not an animation
        return 1
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # a later frame has a broken header, but only the first frame is used
        return 1


def _small(path: Path, content: bytes, form: str, mode: str, orientation: int) -> tuple[bytes, list[Fault]]:
    """Return the image's thumbnail, and damage that Pillow tolerates; exceptions of Pillow are passed on."""
    damage: list[Fault] = []
    if form in ("JPEG", "MPO") and mode in ("RGB", "L"):
        try:
            return _thumbnail(_reduced(content), orientation), damage
        except ValueError as error:  # libjpeg's warnings; Pillow hides them and rejects only truncated files
            if str(error).startswith(_DAMAGE):
                damage.append(Fault(WARNING, "corrupt image", f"readable, but parts may be garbage ({error})",
                                    "inspect it; restore it from its source or remove it"))  # fmt: skip
    grey = Image.fromarray(images.pixels(images.decode(path, content), 1)[..., 0])
    return _thumbnail(grey, 1), damage


def _reduced(content: bytes) -> Image.Image:
    """Decode a JPEG as grey, reading all data, at the smallest scale that is sufficient for a thumbnail."""
    side = 4 * THUMBNAIL
    return Image.fromarray(simplejpeg.decode_jpeg(content, "GRAY", min_height=side, min_width=side)[..., 0])


def _thumbnail(grey: Image.Image, orientation: int) -> bytes:
    small = grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    turned = small.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else small
    return np.asarray(turned).tobytes()


def _refusal(content: bytes, reason: str) -> Fault:
    format_name = _signature(content[:16])
    if format_name is None:
        text = content[:64].lstrip().lower()
        what = "a web page" if text.startswith((b"<!doctype", b"<html")) else _plain(content[:512])
        return Fault(ERROR, "not an image", f"{what}, not an image", "remove it, or download the image again")
    if "truncated" in reason.lower() or (format_name == "JPEG" and b"\xff\xd9" not in content[-2:]):
        return Fault(ERROR, "truncated image", f"{format_name} file ends too early",
                     "restore it from its source or remove it")  # fmt: skip
    if "exceeds limit" in reason or "decompression bomb" in reason:
        return Fault(ERROR, "image too large", "more pixels than can be decoded safely", "make it smaller")
    return Fault(ERROR, "unreadable image", f"{format_name} can't be decoded ({reason})", "restore or remove it")


def _plain(start: bytes) -> str:
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4:
            return "unknown bytes"
    return "text"


def _name_faults(path: Path, form: str) -> list[Fault]:
    suffix = path.suffix
    if not form or suffix.lower() in _EXTENSIONS.get(form, ()):
        return []
    proper = _EXTENSIONS.get(form, (".png",))[0]
    extension = f"the extension {suffix}" if suffix else "no extension"
    return [Fault(REMARK, "wrong extension", f"{form} content with {extension}: read as {form}",
                  f"rename it to end in {proper}, because other programs may reject it")]  # fmt: skip


def _size_faults(header: Header) -> list[Fault]:
    height, width = header.size
    if min(height, width) < _TINY:
        return [Fault(WARNING, "tiny image", f"{width}×{height} pixels: enlarged to the network's input, "
                      "it shows hardly any detail", "remove it unless it is intended")]  # fmt: skip
    if width * height > _HUGE:
        memory = 3 * width * height / 1e6
        return [Fault(REMARK, "huge image", f"{width}×{height} pixels, {memory:.0f} MB when decoded: slow to read",
                      "reduce its size")]  # fmt: skip
    return []


def _mode_faults(mode: str, transparent_palette: bool, orientation: int, frames: int) -> list[Fault]:
    faults = []
    if transparent_palette:
        faults.append(Fault(REMARK, "colour mode", "palette with transparency: composited on white"))
    elif mode.startswith("I"):
        faults.append(
            Fault(
                REMARK,
                "colour mode",
                "16-bit or 32-bit grey: scaled to 0–255 by the range of the training images if all images have more "
                "than 8 bits, otherwise from 0–65535",
            )
        )
    elif mode in _MODES:
        faults.append(Fault(REMARK, "colour mode", _MODES[mode]))
    if orientation in _TURNS:
        faults.append(Fault(REMARK, "EXIF rotation", f"stored {_TURNS[orientation]} (EXIF orientation {orientation}): "
                            "rotated upright when read"))  # fmt: skip
    if frames > 1:
        faults.append(Fault(REMARK, "animation", f"{frames} frames: only the first is used"))
    return faults
