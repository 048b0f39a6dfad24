"""NumPy's operations on the pixels of images, float32 `(batch, channels, height, width)`, and of masks.

`cvlib.data.augmenting.changes.PixelOperations` describes them, and `cvlib.data.tensorflow.pixels` does the same. NumPy
is fast along the last axis, which is why the channels come before the pixels here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from cvlib.data.augmentation import MIXED, TILES
from cvlib.data.augmenting.randaugment import COLOURING, LEVELS, LUMA, SMOOTH, posterize_step, solarize_threshold
from cvlib.data.labels.mask import IGNORE

Images = Any  # float32 (batch, channels, height, width)
_AT_ONCE = 2**16  # pixels per channel that are changed at once: small images together, large ones in a core's cache


def load(pixels: np.ndarray) -> Images:
    """Return stored pixels, uint8 `(batch, height, width, channels)`, as a batch of images."""
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32)


def store(images: Images) -> np.ndarray:
    """Return a batch of images as float32 `(batch, height, width, channels)`."""
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))


def resample(images: Images, source: Any, outside: float | None) -> Images:
    result = np.empty_like(images)
    for part in _parts(images):
        result[part] = _resampled(images[part], source[part], outside)
    return result


def join(images: Images, windows: Any, tiles: Any) -> Images:
    height, width = images.shape[2:]
    result = np.zeros((tiles[-1] // TILES + 1, *images.shape[1:]), np.float32)
    for tile, image, (left, top, right, bottom) in zip(tiles, images, windows, strict=True):
        rows, columns = _within(top, bottom, height), _within(left, right, width)
        result[tile // TILES, :, rows, columns] = image[:, rows, columns]
    return result


def blur(images: Images, kernels: Any) -> Images:
    (height, width), reach = images.shape[2:], kernels.shape[1] // 2
    result = np.empty_like(images)
    for part in _parts(images):
        weights = kernels[part].T[:, :, None, None, None]
        padded = np.pad(images[part], ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="edge")
        down = sum(weight * padded[:, :, place : place + height] for place, weight in enumerate(weights))
        result[part] = sum(weight * down[..., place : place + width] for place, weight in enumerate(weights))
    return result


def recolour(images: Images, contrast: Any, brightness: Any, colours: Any) -> Images:
    offset = brightness[:, None] + (1 - contrast)[:, None] * images.mean(axis=(2, 3))
    if colours is None:
        return images * contrast[:, None, None, None] + offset[:, :, None, None]
    mixed = (contrast[:, None, None] * colours) @ images.reshape(len(images), 3, -1)
    mixed += colours @ offset[:, :, None]
    return mixed.reshape(images.shape)


def clip(images: Images) -> Images:
    return np.clip(images, 0, 255)


def operate(images: Images, operation: Any, strength: Any, magnitude: float) -> Images:
    result = images.copy()
    for target, image, number, amount in zip(result, images, operation, strength, strict=True):
        if number:
            target[:] = clip(_coloured(COLOURING[number - 1], image, amount, magnitude))
    return result


def erase(images: Images, hidden: Any, level: float) -> Images:
    return np.where(hidden[:, None], np.float32(level), images)


def mix(images: Images, weights: Any) -> Images:
    weights = weights[:, None]
    return weights * images[::MIXED] + (1 - weights) * images[1::MIXED]


def move_masks(masks: Any, source: Any) -> Any:
    """Resample masks uint8 `(batch, height, width)` by nearest neighbour; pixels from outside become `IGNORE`."""
    count, height, width = masks.shape
    x, y = (_rounded(position) for position in _positions(source, height, width))
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    column, row = (np.clip(at, 0, side - 1).astype(np.intp) for at, side in ((x, width), (y, height)))
    places = (np.arange(count)[:, None, None] * height + row) * width + column
    return np.where(inside, masks.reshape(-1)[places], np.uint8(IGNORE))


def ignore(masks: Any, hidden: Any) -> Any:
    """Set the hidden pixels of masks to `IGNORE`."""
    return np.where(hidden, np.uint8(IGNORE), masks)


def store_masks(masks: Any) -> Any:
    """Return masks as int32 `(batch, height, width)`."""
    return masks.astype(np.int32)


def _parts(images: Images) -> Iterator[slice]:
    """Divide a batch into parts that are changed at once."""
    count = max(1, _AT_ONCE // max(1, images.shape[2] * images.shape[3]))
    return (slice(first, first + count) for first in range(0, len(images), count))


# Resampling, in the order of TensorFlow's `ImageProjectiveTransformV3`: along x, then along y, all in float32


def _positions(source: Any, height: int, width: int) -> tuple[Any, Any]:
    """Return x and y of the source of each pixel, float32, that broadcast to `(batch, height, width)`."""
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    (xx, xy, shift_x), (yx, yy, shift_y) = source[:, :2].transpose(1, 2, 0)[..., None, None]
    if not xy.any() and not yx.any():
        return xx * columns + shift_x, yy * rows + shift_y
    return xx * columns + xy * rows + shift_x, yx * columns + yy * rows + shift_y


def _resampled(images: Images, source: Any, outside: float | None) -> Images:
    count, channels, height, width = images.shape
    x, y = _positions(source, height, width)
    if outside is None:
        x, y, margin = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1), 0
    else:
        margin = 1  # one pixel of the level `outside` all around
        images = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=outside)
    left, top = np.floor(x), np.floor(y)
    after_x, after_y, before_x, before_y = x - left, y - top, (left + 1) - x, (top + 1) - y
    x0, x1 = (np.clip(left + step, -margin, width - 1 + margin).astype(np.intp) + margin for step in (0, 1))
    y0, y1 = (np.clip(top + step, -margin, height - 1 + margin).astype(np.intp) + margin for step in (0, 1))
    if count == 1 and x.shape[1] == 1 and y.shape[2] == 1:  # neither rotated nor sheared: each axis by itself
        across = before_x * images[..., x0[0, 0]] + after_x * images[..., x1[0, 0]]
        return before_y * across[:, :, y0[0, :, 0]] + after_y * across[:, :, y1[0, :, 0]]
    flat = images.transpose(1, 0, 2, 3).reshape(channels, -1)
    rows, stride = np.arange(count)[:, None, None] * images.shape[2], images.shape[3]
    upper, lower = (before_x * flat.take((rows + at) * stride + x0, axis=1)
                    + after_x * flat.take((rows + at) * stride + x1, axis=1) for at in (y0, y1))  # fmt: skip
    return (before_y * upper + after_y * lower).transpose(1, 0, 2, 3)


def _rounded(values: Any) -> Any:
    """Round half away from zero, as C does."""
    whole = np.trunc(values)
    return np.where(np.abs(values - whole) >= 0.5, whole + np.sign(values), whole)


def _within(low: float, high: float, length: int) -> slice:
    """Return the pixels whose centres lie between two positions along an axis."""
    first, end = (int(np.ceil(np.float32(edge) - np.float32(0.5))) for edge in (low, high))
    return slice(max(first, 0), min(max(end, 0), length))


# RandAugment, on one image `(channels, height, width)`


def _coloured(name: str, image: Any, amount: Any, magnitude: float) -> Any:
    """Apply one operation; `amount` is the signed strength of those that blend with another image."""
    factor = np.float32(1) + amount
    if name == "brightness":
        return image * factor
    if name == "color":
        return _blend(_grey(image), image, factor) if len(image) == 3 else image
    if name == "contrast":
        return _blend(_grey(image).mean(), image, factor)
    if name == "sharpness":
        return _blend(_smoothed(image), image, factor)
    if name == "posterize":
        step = posterize_step(magnitude)
        return np.floor(np.round(image) / step) * step
    if name == "solarize":
        return np.where(image >= solarize_threshold(magnitude), 255 - image, image)
    if name == "autocontrast":
        low, high = image.min(axis=(1, 2), keepdims=True), image.max(axis=(1, 2), keepdims=True)
        return np.where(high > low, (image - low) * 255 / np.maximum(high - low, 1), image)
    return np.stack([_equalized(channel) for channel in image])


def _blend(other: Any, image: Any, factor: Any) -> Any:
    return other + factor * (image - other)


def _grey(image: Any) -> Any:
    """Return the luma of an RGB image, and the mean of the channels of another, `(1, height, width)`."""
    weights = LUMA if len(image) == 3 else np.full(len(image), 1 / len(image), np.float32)
    return sum(weight * channel for weight, channel in zip(weights, image, strict=True))[None]


def _smoothed(image: Any) -> Any:
    """Smooth with Pillow's 3×3 kernel; the pixels at the edge stay unchanged."""
    height, width = image.shape[1:]
    result = image.copy()
    if height > 2 and width > 2:
        result[:, 1:-1, 1:-1] = sum(SMOOTH[i, j] * image[:, i : height - 2 + i, j : width - 2 + j]
                                    for i in range(3) for j in range(3))  # fmt: skip
    return result


def _equalized(channel: Any) -> Any:
    """Equalize the histogram of a channel `(height, width)` as Pillow does; one level stays unchanged."""
    values = np.round(channel).astype(np.intp)
    histogram = np.bincount(values.reshape(-1), minlength=LEVELS)
    step = (values.size - histogram[values.max()]) // 255
    if step == 0:
        return values.astype(np.float32)
    table = (step // 2 + np.cumsum(histogram) - histogram) // step
    return np.minimum(table, 255).astype(np.float32)[values]
