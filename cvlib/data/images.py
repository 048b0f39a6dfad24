"""Decode image files of any mode, bit depth and orientation to uint8 arrays."""

from __future__ import annotations

import io
import warnings
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, features

from cvlib.data import depth, jpeg, optional_formats
from cvlib.data.depth import Range
from cvlib.runtime.errors import UserError

_PLAIN = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm",
          ".pnm", ".tga"}  # fmt: skip
_OPTIONAL = {".avif": "avif", ".jp2": "jpg_2000", ".j2k": "jpg_2000"}  # some builds of Pillow lack these
EXTENSIONS = (
    frozenset(_PLAIN | {suffix for suffix, feature in _OPTIONAL.items() if features.check(feature)})
    | optional_formats.readable()
)
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
_HEIC = "HEIC", "install pillow-heif (the extra cvlib-experiments[heic]) or convert to JPEG"
_DICOM = "DICOM", "install pydicom (the extra cvlib-experiments[dicom]) or convert to PNG"
_RAW = "camera raw", "export as JPEG or PNG"
# Unsupported image formats by extension: name, and advice on how to convert the file.
_UNSUPPORTED = {
    ".heic": _HEIC, ".heif": _HEIC, ".hif": _HEIC,
    ".dcm": _DICOM, ".dicom": _DICOM,
    ".svg": ("SVG", "convert to PNG"), ".psd": ("Photoshop", "export as PNG"),
    ".jxl": ("JPEG XL", "convert to PNG"), ".exr": ("OpenEXR", "convert to 8-bit PNG"),
    ".hdr": ("Radiance HDR", "convert to 8-bit PNG"), ".nii": ("NIfTI", "save the slices as PNG"),
    ".mha": ("MetaImage", "save the slices as PNG"), ".mhd": ("MetaImage", "save the slices as PNG"),
    ".nrrd": ("NRRD", "save the slices as PNG"), ".h5": ("HDF5", "save the images as PNG"),
    ".npy": ("NumPy", "save the arrays as PNG"), ".npz": ("NumPy", "save the arrays as PNG"),
    ".mat": ("MATLAB", "save the arrays as PNG"), ".mp4": ("video", "save the frames as images"),
    ".avi": ("video", "save the frames as images"), ".mov": ("video", "save the frames as images"),
    ".svs": ("whole-slide image", "cut into tiles"), ".ndpi": ("whole-slide image", "cut into tiles"),
    **{suffix: ("AVIF or JPEG 2000", "convert to PNG") for suffix in _OPTIONAL if suffix not in EXTENSIONS},
    **dict.fromkeys((".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf"), _RAW),
}  # fmt: skip
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # header sizes in bytes; "BM" alone is too common in other files
THUMBNAIL = 32  # height and width in pixels
_ORIENTATION = 0x0112  # EXIF tag; values of 5 and above mean that width and height are swapped
GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"})

# Pillow raises an error only for images above twice its size limit. Smaller ones could exhaust the memory, too, so its
# warning about images above the limit becomes an error.
warnings.simplefilter("error", Image.DecompressionBombWarning)
# Pillow warns about odd metadata each time it reads such a file. Damaged pixels raise errors instead.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def read_image(path: Path, channels: int, span: Range | None = None) -> np.ndarray:
    """Return the pixels of a file: uint8 (height, width, channels), 0–255, upright according to its EXIF orientation.

    `channels` is 1 (grey, ITU-R 601 luma), 3 (RGB), or the number of bands of a TIFF. Only the first frame of an
    animation is read. Transparent images are composited on white. Images with more than 8 bits are scaled from `span`,
    the collection's range. If `span` is None, 16-bit and `I` images are scaled from 0–65535; `F` images are scaled from
    0–1 if all values lie in that range, and otherwise read as 0–255. A TIFF with more than four bands is then scaled
    from 0–65535, or from 0–1 if its values are floats.
    Raises `UserError` with the file's path if it can't be decoded completely.
    """
    content = content_of(path)
    if channels == 3 and (plain := jpeg.plain(content)) is not None:
        return plain
    array = _bands(path, content)
    if array is not None:
        return _of_bands(path, array, channels, span)
    if channels not in (1, 3):
        raise UserError(f"{path}: not a TIFF file with {channels} bands, which data.channels={channels} requires")
    return pixels(decode(path, content, span), channels)


def _bands(path: Path, content: bytes) -> np.ndarray | None:
    try:
        return depth.bands(content)
    except Exception as error:  # tifffile raises exceptions of many types
        raise _unreadable(path, error) from error


def _of_bands(path: Path, array: np.ndarray, channels: int, span: Range | None) -> np.ndarray:
    """Return bands as uint8: the first three for an RGB image, their mean for a grey image, otherwise all of them."""
    found = array.shape[-1]
    if channels not in (1, 3, found):
        raise UserError(f"{path}: it has {found} bands, not {channels}: all images must have data.channels bands")
    kept = array[..., :3] if channels == 3 else array
    if array.dtype != np.uint8:
        kept = depth.scaled(kept, span or ((0.0, 1.0) if array.dtype.kind == "f" else (0.0, 65535.0)))
    return kept.mean(-1, keepdims=True).astype(np.uint8) if channels == 1 else kept


@dataclass(frozen=True)
class SampleScan:
    """Properties of an image file, found by decoding it."""

    header: Header
    size: tuple[int, int]  # height, width of the upright image
    grey: bool
    span: Range | None  # smallest and largest value, if the image has more than 8 bits
    bands: int  # 1, 3 or more
    thumbnail: bytes = b""  # THUMBNAIL × THUMBNAIL grey pixels, upright; empty for images of more than 8 bits


def look(path: Path, content: bytes) -> SampleScan:
    """Decode a file completely and return its properties; raises `UserError` with its path if that fails."""
    array = _bands(path, content)
    if array is not None:
        height, width, bands = array.shape
        return SampleScan(Header((height, width), 1), (height, width), False, depth.range_of(array), bands)
    found, image = _upright(path, content)
    size = (image.height, image.width)
    span = depth.range_of(image)
    small = b"" if span is not None else thumbnail(image)
    return SampleScan(found, size, is_grey(image), span, 1 if is_grey(image) else 3, small)


def thumbnail(image: Image.Image) -> bytes:
    """Return THUMBNAIL × THUMBNAIL grey pixels of an upright image."""
    return image.convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX).tobytes()


@dataclass(frozen=True)
class Header:
    """Size and orientation of an image, read from the file's header."""

    size: tuple[int, int]  # height, width of the upright image
    orientation: int  # EXIF orientation, 1 (as stored) to 8

    @property
    def stored(self) -> tuple[int, int]:
        """Height and width of the stored pixels."""
        return self.size[::-1] if self.orientation >= 5 else self.size


def header(path: Path) -> Header:
    """Return the image's size and orientation; raises `UserError` with the file's path if it can't be read."""
    try:
        optional_formats.prepare(path)
        with Image.open(path) as image:
            return header_of(image)
    except Exception as error:
        content = content_of(path)
        if optional_formats.is_dicom(content):
            return _upright(path, content)[0]
        array = _bands(path, content)
        if array is not None:
            return Header(array.shape[:2], 1)
        raise _unreadable(path, error) from error


def header_of(image: Image.Image) -> Header:
    """Return the size and orientation of an opened image that has not been transposed yet."""
    orientation = image.getexif().get(_ORIENTATION, 1)
    orientation = orientation if orientation in range(1, 9) else 1
    size = (image.height, image.width)
    is_upright = image.format == "TIFF"  # Pillow reports the upright size of these before loading
    return Header(size[::-1] if orientation >= 5 and not is_upright else size, orientation)


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Return stored pixels `(height, width, …)` turned upright according to their EXIF orientation."""
    if orientation >= 5:
        array = np.swapaxes(array, 0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def looks_like_image(file: Path) -> bool:
    """Return whether the file has an image extension or, failing that, an image signature in its first bytes.

    Hidden files, folders and pipes never count as images. A file with an image extension may still be unreadable.
    """
    if file.name.startswith(".") or (not file.is_file() and file.exists()):  # opening a pipe would block forever
        return False
    if file.suffix.lower() in EXTENSIONS:
        return True
    try:
        with file.open("rb") as opened:
            start = opened.read(optional_formats.DICOM_HEAD)
    except OSError:
        return False
    if optional_formats.is_dicom(start):
        return optional_formats.DICOM[0] in EXTENSIONS
    if start.startswith(_SIGNATURES) or (start.startswith(b"RIFF") and start[8:12] == b"WEBP"):
        return True
    if start[:2] in (b"P2", b"P3", b"P5", b"P6") and start[2:3].isspace():
        return True
    return start.startswith(b"BM") and len(start) > 18 and int.from_bytes(start[14:18], "little") in _BMP_HEADERS


def unread(file: Path) -> tuple[str, str] | None:
    """Return name and advice if the file's extension is that of an unsupported image format; otherwise None."""
    name = file.name.lower()
    suffix = ".nii" if name.endswith(".nii.gz") else file.suffix.lower()
    if not suffix.strip(".0123456789") and optional_formats.is_dicom(optional_formats.head(file)):
        suffix = optional_formats.DICOM[0]  # scanners name files IM0001 or 1.2.840.113619
    return None if file.name.startswith(".") or suffix in EXTENSIONS else _UNSUPPORTED.get(suffix)


def unread_in(files: Iterable[Path]) -> str:
    """Return one line that counts the files of unsupported formats, with advice; empty if there are none."""
    found: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for file in files:
        known = unread(file)
        if known is not None:
            found[known].append(file)
    return "; ".join(f"{len(some)} {some[0].suffix} {'file is' if len(some) == 1 else 'files are'} in an unsupported "
                     f"format ({name}): {advice}" for (name, advice), some in found.items())  # fmt: skip


def size_of(path: Path) -> tuple[int, int]:
    """Return height and width of the upright image, read from its header."""
    return header(path).size


def content_of(path: Path) -> bytes:
    """Return the file's bytes; raises `UserError` with its path if it can't be opened."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: can't be opened: {error.strerror or error}") from error


def decode(path: Path, content: bytes, span: Range | None = None) -> Image.Image:
    """Decode `content` completely to an upright 8-bit image; raises `UserError` with `path` if that fails."""
    return _eight_bits(_upright(path, content)[1], span)


def _upright(path: Path, content: bytes) -> tuple[Header, Image.Image]:
    """Return the header of the file, and its decoded, upright image in the original bit depth."""
    try:
        optional_formats.prepare(path)
        if (dicom := optional_formats.dicom(content)) is not None:
            return Header((dicom.height, dicom.width), 1), dicom
        with Image.open(io.BytesIO(content)) as image:
            found = header_of(image)
            if image.format == "JPEG" and image.mode == "RGB" and found.orientation == 1:
                fast = jpeg.decoded(content)
                if fast is not None:
                    return found, Image.fromarray(fast)
            transposed = ImageOps.exif_transpose(image)
            transposed.load()
            return found, transposed
    except Exception as error:  # decoders raise many types: OSError, SyntaxError, ValueError, struct.error, …
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = "unknown image format" if isinstance(error, Image.UnidentifiedImageError) else error
    line = " ".join(str(reason).split()) or type(error).__name__
    return UserError(f"{path}: can't be read as an image: {line}")


def is_grey(image: Image.Image) -> bool:
    """Return whether the image's mode is grey."""
    return image.mode in GREY_MODES


def pixels(image: Image.Image, channels: int) -> np.ndarray:
    """Convert a decoded image to uint8 (height, width, channels), compositing transparency on white."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    mode = "L" if channels == 1 else "RGB"
    array = np.asarray(image if image.mode == mode else image.convert(mode))  # converting would copy the pixels
    return array.reshape(*array.shape[:2], channels)


def to_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Convert images (n, height, width, 1 or 3) to grey or RGB with `channels` channels, using Pillow's luma."""
    if images.shape[-1] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=-1)
    red, green, blue = (images[..., i : i + 1].astype(np.uint32) for i in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)


def _eight_bits(image: Image.Image, span: Range | None) -> Image.Image:
    if span is not None and depth.is_deep(image.mode):
        return Image.fromarray(depth.scaled(np.asarray(image), span))
    if image.mode.startswith("I"):  # I, I;16, I;16B …: Pillow's conversion would clip at 255
        wide = np.clip(np.asarray(image, np.int64), 0, 65535)
        return Image.fromarray(((wide + 128) // 257).astype(np.uint8))
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, np.float64))
        in_unit_range = values.size > 0 and values.min() >= 0 and values.max() <= 1
        return Image.fromarray(np.clip(np.rint(values * (255 if in_unit_range else 1)), 0, 255).astype(np.uint8))
    return image
