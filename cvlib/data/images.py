"""Image files to pixels: whatever mode, depth or orientation a file has, the same grey or RGB array comes out."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from cvlib.errors import UserError

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"})
_ORIENTATION = 0x0112  # EXIF's tag; from 5 on the picture is stored lying on its side
GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F"})

# Pillow only warns about an image that fills the memory when decoded, up to twice its limit.
warnings.simplefilter("error", Image.DecompressionBombWarning)
# Its remarks on odd metadata would come a thousandfold; what spoils pixels is an error.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def read_image(path: Path, channels: int) -> np.ndarray:
    """The pixels of the file: uint8 (height, width, channels), 0–255, upright as its EXIF says.

    `channels` is 1 (grey, ITU-R 601 luma) or 3 (RGB). Of an animation the first frame; transparency lies on
    white; 16-bit and `I` images are scaled from 0–65535; `F` ones from 0–1 where all values lie in there, else
    taken as 0–255. Raises `UserError` naming the file if it can't be decoded to its end.
    """
    return pixels(decode(path, content_of(path)), channels)


def size_of(path: Path) -> tuple[int, int]:
    """Height and width of the upright image, from its header alone."""
    with Image.open(path) as image:
        lying = image.getexif().get(_ORIENTATION, 1) >= 5
        return (image.width, image.height) if lying else (image.height, image.width)


def content_of(path: Path) -> bytes:
    """The file's bytes; raises `UserError` naming it where it can't be opened."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: can't be opened: {error.strerror or error}") from error


def decode(path: Path, content: bytes) -> Image.Image:
    """The upright, fully decoded image in `content`; raises `UserError` naming `path` otherwise."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return _eight_bits(ImageOps.exif_transpose(image))
    except Exception as error:  # decoders raise anything: OSError, SyntaxError, ValueError, struct.error, …
        reason = "it holds no known image format" if isinstance(error, Image.UnidentifiedImageError) else error
        line = " ".join(str(reason).split()) or type(error).__name__
        raise UserError(f"{path}: can't be read as an image: {line}") from error


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


def _eight_bits(image: Image.Image) -> Image.Image:
    image.load()
    if image.mode.startswith("I"):  # I, I;16, I;16B …: Pillow's own conversion clips at 255
        wide = np.clip(np.asarray(image, np.int64), 0, 65535)
        return Image.fromarray(((wide + 128) // 257).astype(np.uint8))
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, np.float64))
        in_unit_range = values.size > 0 and values.min() >= 0 and values.max() <= 1
        return Image.fromarray(np.clip(np.rint(values * (255 if in_unit_range else 1)), 0, 255).astype(np.uint8))
    return image
