"""Image files to pixels: whatever mode, depth or orientation a file has, the same grey or RGB array comes out."""

from __future__ import annotations

import io
import warnings
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, features

from cvlib.data import depth, optional_formats
from cvlib.data.depth import Range
from cvlib.runtime.errors import UserError

_PLAIN = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm",
          ".pnm", ".tga"}  # fmt: skip
_OPTIONAL = {".avif": "avif", ".jp2": "jpg_2000", ".j2k": "jpg_2000"}  # what a build of Pillow may lack
EXTENSIONS = (
    frozenset(_PLAIN | {suffix for suffix, feature in _OPTIONAL.items() if features.check(feature)})
    | optional_formats.readable()
)
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
_HEIC = "HEIC", "install pillow-heif (the extra cvlib-experiments[heic]) or save them as JPEG"
_DICOM = "DICOM", "install pydicom (the extra cvlib-experiments[dicom]) or convert the .dcm files to PNG"
_RAW = "a camera's raw format", "export them as JPEG or PNG"
# Formats of images that aren't read: their name, and the shortest way on.
_UNREAD = {
    ".heic": _HEIC, ".heif": _HEIC, ".hif": _HEIC,
    ".dcm": _DICOM, ".dicom": _DICOM,
    ".svg": ("SVG", "draw them as PNG"), ".psd": ("Photoshop", "export them as PNG"),
    ".jxl": ("JPEG XL", "save them as PNG"), ".exr": ("OpenEXR", "convert them to 8-bit PNG"),
    ".hdr": ("Radiance HDR", "convert them to 8-bit PNG"), ".nii": ("NIfTI", "save its slices as PNG"),
    ".mha": ("MetaImage", "save its slices as PNG"), ".mhd": ("MetaImage", "save its slices as PNG"),
    ".nrrd": ("NRRD", "save its slices as PNG"), ".h5": ("HDF5", "save its images as PNG"),
    ".npy": ("NumPy arrays", "save them as PNG"), ".npz": ("NumPy arrays", "save them as PNG"),
    ".mat": ("MATLAB arrays", "save them as PNG"), ".mp4": ("video", "save its frames as images"),
    ".avi": ("video", "save its frames as images"), ".mov": ("video", "save its frames as images"),
    ".svs": ("whole-slide images", "cut them into tiles"), ".ndpi": ("whole-slide images", "cut them into tiles"),
    **{suffix: ("AVIF or JPEG 2000", "convert them to PNG") for suffix in _OPTIONAL if suffix not in EXTENSIONS},
    **dict.fromkeys((".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf"), _RAW),
}  # fmt: skip
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes; "BM" alone begins many a text
THUMBNAIL = 32  # pixels of a side
_ORIENTATION = 0x0112  # EXIF's tag; from 5 on the picture is stored lying on its side
GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F"})

# Pillow only warns about an image that fills the memory when decoded, up to twice its limit.
warnings.simplefilter("error", Image.DecompressionBombWarning)
# Its remarks on odd metadata would come a thousandfold; what spoils pixels is an error.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def read_image(path: Path, channels: int, span: Range | None = None) -> np.ndarray:
    """The pixels of the file: uint8 (height, width, channels), 0–255, upright as its EXIF says.

    `channels` is 1 (grey, ITU-R 601 luma), 3 (RGB), or as many bands as a TIFF has. Of an animation the first frame;
    transparency lies on white. Pixels of more than 8 bits are scaled from `span`, the collection's range; where that is
    None, 16-bit and `I` images from 0–65535, and `F` ones from 0–1 where all values lie in there, else taken as 0–255.
    Raises `UserError` naming the file if it can't be decoded to its end.
    """
    content = content_of(path)
    array = _bands(path, content)
    if array is not None:
        return _of_bands(path, array, channels, span)
    if channels not in (1, 3):
        raise UserError(
            f"{path}: it has no {channels} bands: data.channels={channels} is for TIFF files that have them"
        )
    return pixels(decode(path, content, span), channels)


def _bands(path: Path, content: bytes) -> np.ndarray | None:
    try:
        return depth.bands(content)
    except Exception as error:  # tifffile raises anything
        raise _unreadable(path, error) from error


def _of_bands(path: Path, array: np.ndarray, channels: int, span: Range | None) -> np.ndarray:
    """Bands as uint8; the first three of them where an RGB image is asked for, their mean where a grey one is."""
    found = array.shape[-1]
    if channels not in (1, 3, found):
        raise UserError(f"{path}: it has {found} bands, not {channels}: all images need the same (data.channels)")
    kept = array[..., :3] if channels == 3 else array
    if array.dtype != np.uint8:
        kept = depth.scaled(kept, span or depth.joint([depth.range_of(array) or (0.0, 1.0)]) or (0.0, 1.0))
    return kept.mean(-1, keepdims=True).astype(np.uint8) if channels == 1 else kept


@dataclass(frozen=True)
class SampleScan:
    """What decoding a file has shown of its pixels."""

    header: Header
    size: tuple[int, int]  # height, width of the upright image
    grey: bool
    span: Range | None  # the least and greatest value, where it has more than 8 bits
    bands: int  # 1 or 3, or more
    thumbnail: bytes = b""  # THUMBNAIL × THUMBNAIL grey pixels of the upright image; empty for more than 8 bits


def look(path: Path, content: bytes) -> SampleScan:
    """Decode a file to its end; raises `UserError` naming it where that isn't possible."""
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
    """What a file says of its image before any pixel is decoded."""

    size: tuple[int, int]  # height, width of the upright image
    orientation: int  # EXIF's: 1 as stored … 8

    @property
    def stored(self) -> tuple[int, int]:
        """Height, width as the pixels are stored."""
        return self.size[::-1] if self.orientation >= 5 else self.size


def header(path: Path) -> Header:
    """The image's size and orientation; raises `UserError` naming the file where it can't be opened as an image."""
    try:
        optional_formats.prepare(path)
        with Image.open(path) as image:
            return header_of(image)
    except Exception as error:
        if path.suffix.lower() in optional_formats.DICOM:
            return _upright(path, content_of(path))[0]
        array = _bands(path, content_of(path))
        if array is not None:
            return Header(array.shape[:2], 1)
        raise _unreadable(path, error) from error


def header_of(image: Image.Image) -> Header:
    """The same of an opened image that hasn't been turned upright yet."""
    orientation = image.getexif().get(_ORIENTATION, 1)
    orientation = orientation if orientation in range(1, 9) else 1
    size = (image.height, image.width)
    turned = image.format == "TIFF"  # Pillow gives the size of these upright before they are loaded
    return Header(size[::-1] if orientation >= 5 and not turned else size, orientation)


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels `(height, width, …)` stored under an EXIF orientation, as they are to be looked at."""
    if orientation >= 5:
        array = np.swapaxes(array, 0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def looks_like_image(file: Path) -> bool:
    """Whether the file is an image by its name or, where the name says nothing of it, by its first bytes.

    Hidden files, folders and pipes never are. A name alone doesn't make a readable image: decoding shows that.
    """
    if file.name.startswith(".") or (not file.is_file() and file.exists()):  # opening a pipe would wait for ever
        return False
    if file.suffix.lower() in EXTENSIONS:
        return True
    try:
        with file.open("rb") as opened:
            start = opened.read(32)
    except OSError:
        return False
    if start.startswith(_BEGINNINGS) or (start.startswith(b"RIFF") and start[8:12] == b"WEBP"):
        return True
    if start[:2] in (b"P2", b"P3", b"P5", b"P6") and start[2:3].isspace():
        return True
    return start.startswith(b"BM") and len(start) > 18 and int.from_bytes(start[14:18], "little") in _BMP_HEADERS


def unread(file: Path) -> tuple[str, str] | None:
    """The name of a format of images that isn't read, and what to do, by the ending of the file's name; else None."""
    name = file.name.lower()
    suffix = ".nii" if name.endswith(".nii.gz") else file.suffix.lower()
    return None if file.name.startswith(".") or suffix in EXTENSIONS else _UNREAD.get(suffix)


def unread_in(files: Iterable[Path]) -> str:
    """One line on the files of formats that aren't read: how many of which, and what to do; empty without any."""
    found: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for file in files:
        known = unread(file)
        if known is not None:
            found[known].append(file)
    return "; ".join(f"{len(some)} {some[0].suffix} {'file is' if len(some) == 1 else 'files are'} {name}, a format "
                     f"that isn't read: {advice}" for (name, advice), some in found.items())  # fmt: skip


def size_of(path: Path) -> tuple[int, int]:
    """Height and width of the upright image, from its header alone."""
    return header(path).size


def content_of(path: Path) -> bytes:
    """The file's bytes; raises `UserError` naming it where it can't be opened."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: can't be opened: {error.strerror or error}") from error


def decode(path: Path, content: bytes, span: Range | None = None) -> Image.Image:
    """The upright, fully decoded image in `content`, of 8 bits; raises `UserError` naming `path` otherwise."""
    return _eight_bits(_upright(path, content)[1], span)


def _upright(path: Path, content: bytes) -> tuple[Header, Image.Image]:
    """Return the header of the file, and its decoded, upright image with the file's own bit depth."""
    try:
        optional_formats.prepare(path)
        if (dicom := optional_formats.dicom(content)) is not None:
            return Header((dicom.height, dicom.width), 1), dicom
        with Image.open(io.BytesIO(content)) as image:
            found, turned = header_of(image), ImageOps.exif_transpose(image)
            turned.load()
            return found, turned
    except Exception as error:  # decoders raise anything: OSError, SyntaxError, ValueError, struct.error, …
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = "it holds no known image format" if isinstance(error, Image.UnidentifiedImageError) else error
    line = " ".join(str(reason).split()) or type(error).__name__
    return UserError(f"{path}: can't be read as an image: {line}")


def is_grey(image: Image.Image) -> bool:
    """Whether the image has brightness only, by its mode."""
    return image.mode in GREY_MODES


def pixels(image: Image.Image, channels: int) -> np.ndarray:
    """A decoded image as uint8 (height, width, channels), transparency on white."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    array = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return array.reshape(*array.shape[:2], channels)


def to_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Grey or RGB images (n, height, width, 1 or 3) with `channels` channels, by Pillow's own luma."""
    if images.shape[-1] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=-1)
    red, green, blue = (images[..., i : i + 1].astype(np.uint32) for i in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)


def _eight_bits(image: Image.Image, span: Range | None) -> Image.Image:
    if span is not None and depth.is_deep(image.mode):
        return Image.fromarray(depth.scaled(np.asarray(image), span))
    if image.mode.startswith("I"):  # I, I;16, I;16B …: Pillow's own conversion clips at 255
        wide = np.clip(np.asarray(image, np.int64), 0, 65535)
        return Image.fromarray(((wide + 128) // 257).astype(np.uint8))
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, np.float64))
        in_unit_range = values.size > 0 and values.min() >= 0 and values.max() <= 1
        return Image.fromarray(np.clip(np.rint(values * (255 if in_unit_range else 1)), 0, 255).astype(np.uint8))
    return image
