"""Every file of a collection looked at once: read, hashed, decoded to its end, made small for comparison."""

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

_TINY = 16  # pixels: a shorter side below this holds no object to recognise
_HUGE = 25_000_000  # pixels: 75 MB once decoded as RGB, in every one of the loader's threads

# A file's first bytes, by Pillow's name of the format: finds images by content where the name says otherwise.
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
_TURNS = {2: "mirrored", 3: "upside down", 4: "upside down and mirrored", 5: "lying and mirrored",
          6: "lying", 7: "lying and mirrored", 8: "lying"}  # fmt: skip
_MODES = {
    "CMYK": "CMYK: its colours are converted to RGB without the printer's profile",
    "YCbCr": "YCbCr: converted to RGB", "LAB": "Lab: converted to RGB", "HSV": "HSV: converted to RGB",
    "RGBA": "RGB with transparency: laid on white", "LA": "grey with transparency: laid on white",
    "RGBa": "RGB with transparency: laid on white", "La": "grey with transparency: laid on white",
    "PA": "a palette with transparency: laid on white", "1": "1 bit: read as black and white",
    "F": "floating point: scaled to 0–255 by the range of all training images where all are so",
}  # fmt: skip


# Of libjpeg's warnings those that tell of lost data; others are of a harmless header.
_DAMAGE = ("Corrupt JPEG data", "Premature end of JPEG", "Inconsistent progression")


@dataclass(frozen=True)
class Fault:
    """What is wrong with a file by itself, wherever it lies."""

    severity: str
    kind: str
    message: str
    advice: str = ""


@dataclass(frozen=True)
class FileScan:
    """What reading one file has shown; `header` is None where it is no image that can be read."""

    digest: str = ""  # sha256 of the bytes
    format: str = ""  # Pillow's name
    mode: str = ""  # Pillow's name, as stored
    header: Header | None = None  # its size and orientation
    thumbnail: bytes = b""  # THUMBNAIL × THUMBNAIL grey pixels of the upright image
    faults: list[Fault] = field(default_factory=list)


def scan_file(path: Path) -> FileScan | None:
    """What the file is; None where neither its name nor its content is an image's. Never raises."""
    if not images.looks_like_image(path):
        return None
    try:
        content = images.content_of(path)
    except UserError as error:
        return FileScan(
            faults=[Fault(ERROR, "unreadable file", str(error).removeprefix(f"{path}: "), "make it readable")]
        )
    if not content:
        return FileScan(faults=[Fault(ERROR, "empty file", "holds no bytes", "restore it or take it out")])
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
            return _of_array(digest, path, content)
        with Image.open(io.BytesIO(content)) as image:
            form, mode = image.format or "", image.mode
            frames = _frames(image)
            transparent_palette = mode == "P" and image.has_transparency_data
            header = images.header_of(image)
        small, damage = _small(path, content, form, mode, header.orientation)
    except Exception as error:
        bands = _of_bands(path, content)
        return (
            FileScan(digest, faults=[_refusal_of(content, error)]) if bands is None else replace(bands, digest=digest)
        )
    faults = [*damage, *_size_faults(header), *_mode_faults(mode, transparent_palette, header.orientation, frames)]
    return FileScan(digest, form, mode, header, small, faults)


def _of_array(digest: str, path: Path, content: bytes) -> FileScan:
    """A DICOM file, whose pixels aren't Pillow's to read."""
    seen = images.look(path, content)
    grey = Image.fromarray(images.read_image(path, 1, seen.span)[..., 0])
    return FileScan(digest, "DICOM", "F", seen.header, _thumbnail(grey, 1))


def _refusal_of(content: bytes, error: Exception) -> Fault:
    """What a decoder says, by its own words where it is ours; decoders raise anything, also at the header."""
    text = str(error)
    return _refusal(content, text.rpartition("read as an image: ")[2] if isinstance(error, UserError) else text)


def _of_bands(path: Path, content: bytes) -> FileScan | None:
    """A TIFF of more bands than Pillow reads; None of any other file."""
    try:
        seen = images.look(path, content)
    except UserError:
        return None
    if seen.bands <= 3:
        return None
    grey = Image.fromarray(images.read_image(path, 1)[..., 0])
    fault = Fault(REMARK, "bands", f"{seen.bands} bands (channels): all are read, unless data.channels=3 takes three")
    return FileScan("", "TIFF", f"{seen.bands} bands", seen.header, _thumbnail(grey, 1), [fault])


def _frames(image: Image.Image) -> int:
    if image.format == "MPO":  # a photograph and its preview, or a stereo pair: no animation
        return 1
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # a later frame's header is broken, and only the first frame is read
        return 1


def _small(path: Path, content: bytes, form: str, mode: str, orientation: int) -> tuple[bytes, list[Fault]]:
    """The image's thumbnail and what a lenient decoder hides of its damage; raises what the strict one says."""
    damage: list[Fault] = []
    if form in ("JPEG", "MPO") and mode in ("RGB", "L"):
        try:
            return _thumbnail(_reduced(content), orientation), damage
        except ValueError as error:  # what the decoder warns of; Pillow hides it, and refuses only what is cut
            if str(error).startswith(_DAMAGE):
                damage.append(Fault(WARNING, "corrupt image", f"can be read, but maybe in part as garbage ({error})",
                                    "look at it; restore it from its source or take it out"))  # fmt: skip
    grey = Image.fromarray(images.pixels(images.decode(path, content), 1)[..., 0])
    return _thumbnail(grey, 1), damage


def _reduced(content: bytes) -> Image.Image:
    """A JPEG in grey, all of its data read, its pixels reckoned at the least size that a thumbnail needs."""
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
        return Fault(ERROR, "not an image", f"{what}, not an image", "take it out, or fetch the image again")
    if "truncated" in reason.lower() or (format_name == "JPEG" and b"\xff\xd9" not in content[-2:]):
        return Fault(ERROR, "truncated image", f"{format_name} cut off before its end",
                     "restore it from its source or take it out")  # fmt: skip
    if "exceeds limit" in reason or "decompression bomb" in reason:
        return Fault(ERROR, "image too large", "more pixels than can be decoded safely", "make it smaller")
    return Fault(
        ERROR, "unreadable image", f"{format_name} that can't be decoded ({reason})", "restore it or take it out"
    )


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
    named = f"not {suffix} as its name says" if suffix else "though its name has no extension"
    return [Fault(REMARK, "wrong extension", f"{form} by its content, {named}: read by its content",
                  f"other programs may refuse it: let its name end in {proper}")]  # fmt: skip


def _size_faults(header: Header) -> list[Fault]:
    height, width = header.size
    if min(height, width) < _TINY:
        return [Fault(WARNING, "tiny image", f"{width}×{height} pixels: blown up to the network's input, "
                      "it shows next to nothing", "take it out unless it is meant")]  # fmt: skip
    if width * height > _HUGE:
        memory = 3 * width * height / 1e6
        return [Fault(REMARK, "huge image", f"{width}×{height} pixels, {memory:.0f} MB once decoded: slow to read",
                      "store it smaller")]  # fmt: skip
    return []


def _mode_faults(mode: str, transparent_palette: bool, orientation: int, frames: int) -> list[Fault]:
    faults = []
    if transparent_palette:
        faults.append(Fault(REMARK, "colour mode", "a palette with transparency: laid on white"))
    elif mode.startswith("I"):
        faults.append(
            Fault(
                REMARK,
                "colour mode",
                "16 or 32 bits of grey: scaled to 0–255, by the range of all "
                "training images where all are so, else from 0–65535",
            )
        )
    elif mode in _MODES:
        faults.append(Fault(REMARK, "colour mode", _MODES[mode]))
    if orientation in _TURNS:
        faults.append(Fault(REMARK, "EXIF rotation", f"stored {_TURNS[orientation]} (EXIF orientation {orientation}): "
                            "turned upright when read"))  # fmt: skip
    if frames > 1:
        faults.append(Fault(REMARK, "animation", f"{frames} frames: only the first is used"))
    return faults
