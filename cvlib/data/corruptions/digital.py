"""Corruptions by cameras and software: contrast, distortion, resolution and compression."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from scipy import ndimage

from cvlib.data.corruptions.base import corruption, scale, softness
from cvlib.data.corruptions.blur import displaced

_KEPT = (0.4, 0.3, 0.2, 0.1, 0.05)
_DISPLACEMENT = (0.6, 0.9, 1.3, 1.7, 2.2)  # of 224 pixels, root mean square
_SMOOTH = 4.0  # of 224 pixels
_LARGEST = 3  # times the root mean square
_BLOCK = (1 / 0.6, 2.0, 2.5, 1 / 0.3, 4.0)  # of 224 pixels
_QUALITY = (25, 18, 15, 10, 7)  # of JPEG, 1–95


@corruption
def contrast(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Keep 40 down to 5 % of each pixel's difference from the mean of its channel."""
    mean = pixels.mean(axis=(0, 1))
    paler: np.ndarray = mean + _KEPT[level] * (pixels - mean)
    return paler


@corruption
def elastic_transform(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Displace pixels by a smooth random field of 0.6 to 2.2 pixels (root mean square) in an image of 224.

    No pixel moves by more than three times that, less than 3 % of the side, so boxes and masks are left as they are.
    The paper also shears and turns the image, which would move objects away from their boxes; that is left out.
    """
    size = pixels.shape[:2]
    field = generator.standard_normal((2, *size), np.float32)
    smooth = max(_SMOOTH * scale(pixels), 1.0)
    field = ndimage.gaussian_filter(field, (0, smooth, smooth), mode="wrap")
    field = field / np.sqrt(np.mean(field**2, axis=(1, 2), keepdims=True) + 1e-12)
    return displaced(pixels, _DISPLACEMENT[level] * scale(pixels) * np.clip(field, -_LARGEST, _LARGEST))


@corruption
def pixelate(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Show the image in blocks of 1.7 to 4 pixels, for an image of 224."""
    height, width = pixels.shape[:2]
    block = _BLOCK[level] * scale(pixels) if scale(pixels) > 1 else 1 + (_BLOCK[level] - 1) * softness(pixels)
    rows, columns = _overlaps(height, block), _overlaps(width, block)
    means = np.einsum("ai,abc,bj->ijc", rows / rows.sum(axis=0), pixels, columns / columns.sum(axis=0), optimize=True)
    blocks: np.ndarray = np.einsum("ai,ijc,bj->abc", rows, means, columns, optimize=True)
    return blocks


def _overlaps(side: int, block: float) -> np.ndarray:
    """Return how much of each pixel is in each block, float32 `(side, blocks)`; a pixel on a boundary is in both."""
    bounds = np.linspace(0, side, max(1, round(side / block)) + 1)
    pixels = np.arange(side)[:, np.newaxis]
    found: np.ndarray = np.clip(np.minimum(pixels + 1, bounds[1:]) - np.maximum(pixels, bounds[:-1]), 0, None)
    return found.astype(np.float32)


@corruption
def jpeg_compression(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Compress with JPEG's quality 25 down to 7; the steps of its quantization are smaller in small images.

    RGB is compressed as one image. For other numbers of channels, each is compressed as a grey image.
    """
    steps = 50 / _QUALITY[level] * softness(pixels)  # relative to those of quality 50
    quality = max(1, round(50 / steps if steps > 1 else 100 - 50 * steps))
    bytes_ = np.rint(pixels * 255).astype(np.uint8)
    if pixels.shape[-1] == 3:
        return _compressed(bytes_, quality).astype(np.float32) / 255
    layers = [_compressed(np.ascontiguousarray(bytes_[..., channel]), quality) for channel in range(pixels.shape[-1])]
    return np.dstack(layers).astype(np.float32) / 255


def _compressed(image: np.ndarray, quality: int) -> np.ndarray:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=quality)
    return np.asarray(Image.open(content))
