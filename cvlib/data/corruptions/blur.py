"""Blur. All lengths are relative to the image's size, and kernels of less than a pixel still blur a little."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage, signal

from cvlib.data.corruptions.base import corruption, scale

# Pixels, for an image of 224 px.
_RADIUS = (3.0, 4.0, 6.0, 8.0, 10.0)
_GLASS = ((0.7, 1.0), (0.9, 1.5), (1.0, 2.0), (1.1, 3.0), (1.5, 4.0))  # deviation of the blur, largest displacement
_LENGTH = (6.0, 10.0, 14.0, 18.0, 22.0)
_ZOOM = (1.11, 1.16, 1.21, 1.26, 1.31)
_STEPS = 12  # zoomed copies


@corruption
def defocus_blur(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Blur by a disk, the aperture of a lens out of focus, with a radius of 3 to 10 of 224 pixels."""
    radius = _RADIUS[level] * scale(pixels)
    places = np.mgrid[-1:1:41j, -1:1:41j].reshape(2, -1) * radius
    inside = np.hypot(*places) <= radius
    return convolved(pixels, splatted(places[0, inside], places[1, inside]))


@corruption
def glass_blur(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Scatter pixels as frosted glass does: blur, displace every pixel by up to 1 to 4 of 224 pixels twice, blur."""
    deviation, reach = (value * scale(pixels) for value in _GLASS[level])
    blurred = ndimage.gaussian_filter(pixels, (deviation, deviation, 0), mode="nearest")
    for _ in range(2):
        blurred = displaced(blurred, reach * generator.uniform(-1, 1, (2, *pixels.shape[:2])))
    result: np.ndarray = ndimage.gaussian_filter(blurred, (deviation, deviation, 0), mode="nearest")
    return result


@corruption
def motion_blur(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Blur along a line in a random direction, 6 to 22 of 224 pixels long, centred so that objects don't move."""
    return moved_camera(pixels, _LENGTH[level] * scale(pixels), generator.uniform(0, np.pi))


@corruption
def zoom_blur(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Average the image over zooms from 1 to 1.11–1.31 about its centre, as a camera that approaches."""
    height, width, channels = pixels.shape
    total = np.zeros_like(pixels)
    for zoom in np.linspace(1, _ZOOM[level], _STEPS):
        rows, columns = height * (1 - 1 / zoom) / 2, width * (1 - 1 / zoom) / 2
        box = (columns, rows, width - columns, height - rows)
        for channel in range(channels):
            layer = Image.fromarray(pixels[..., channel])
            total[..., channel] += layer.resize((width, height), Image.Resampling.BILINEAR, box)
    return total / _STEPS


def moved_camera(pixels: np.ndarray, length: float, angle: float) -> np.ndarray:
    """Return the image blurred along a line, `length` in pixels and `angle` in radians from the horizontal."""
    steps = np.linspace(-length / 2, length / 2, max(3, int(4 * length) | 1))
    return convolved(pixels, splatted(steps * np.sin(angle), steps * np.cos(angle)))


def splatted(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the kernel, float32 with odd sides and sum 1, of equal weights at these places (pixels from its centre).

    Every weight is divided among the four nearest pixels, so that a kernel smaller than a pixel isn't lost.
    """
    reach = int(np.ceil(max(np.abs(rows).max(), np.abs(columns).max()))) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = rows - top, columns - left
    for row, row_weight in ((0, 1 - down), (1, down)):
        for column, weight in ((0, 1 - right), (1, right)):
            np.add.at(kernel, (top + reach + row, left + reach + column), row_weight * weight)
    kernel /= kernel.sum()
    return kernel


def convolved(pixels: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return the image convolved with a kernel; the image's edge is continued."""
    rows, columns = (side // 2 for side in kernel.shape)
    around = np.pad(pixels, ((rows, rows), (columns, columns), (0, 0)), mode="edge")
    found: np.ndarray = signal.fftconvolve(around, kernel[..., np.newaxis], mode="valid", axes=(0, 1))
    return found.astype(np.float32)


def displaced(pixels: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return the image with each pixel read from (row, column) + offsets `(2, height, width)`; bilinear."""
    places = np.indices(pixels.shape[:2]) + offsets
    layers = [ndimage.map_coordinates(layer, places, order=1, mode="nearest") for layer in np.moveaxis(pixels, -1, 0)]
    return np.stack(layers, axis=-1)
