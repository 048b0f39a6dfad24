"""What a network has learned to detect: its filters, its feature maps, and images that maximize a unit's activation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from scipy.ndimage import gaussian_filter

from cvlib.inspection import graph
from cvlib.inspection.attribution import slope_of
from cvlib.runtime.errors import UserError

_BLUR = (1.0, 0.35)  # sigma in pixels, at the first and at the last step
_FULL_BLUR_SIDE = 48  # pixels per side; smaller images are blurred less, because their strokes are thinner


def first_filters(model: keras.Model) -> np.ndarray | None:
    """Return the kernels of the first convolution as learned: (filters, height, width, channels); None without one."""
    for step in graph.steps(model):
        kernel = getattr(step.operation, "kernel", None)
        if kernel is not None and len(kernel.shape) == 4:
            return graph.as_array(kernel).transpose(3, 0, 1, 2)
    return None


def feature_maps(model: keras.Model, image: np.ndarray, layers: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the layers' feature maps for an image, 0–255, at the network's input size.

    The maps are arrays (height, width, channels) by layer name. Raises `UserError` for an unknown layer, and for one
    whose output is not a feature map.
    """
    shapes = {step.name: graph.shape_of(step) for step in graph.steps(model)}
    for name in layers:
        graph.check_name(name, list(shapes))
        if len(shapes[name]) != 3:
            raise UserError(f"{name} has no feature map: its output has the shape {shapes[name]}; choose another layer")
    pixels = np.asarray(image, np.float32)[np.newaxis]
    found = graph.activations(model, pixels, layers, graph.behind_entry(model, pixels))
    return {name: graph.as_array(found[name])[0] for name in layers}


def most_active(maps: np.ndarray, count: int) -> list[int]:
    """Return the channels of a feature map (height, width, channels) with the largest values, the largest first."""
    return [int(channel) for channel in np.argsort(-maps.max(axis=(0, 1)), kind="stable")[:count]]


def maximize(model: keras.Model, layer: str, units: Sequence[int], size: tuple[int, int], steps: int = 128,
             rate: float = 8.0, jitter: float = 0.06, seed: int = 0) -> np.ndarray:  # fmt: skip
    """Return an image for each unit that maximizes its activation: uint8 (units, height, width, channels).

    Gradient ascent starts from grey noise and maximizes the unit's mean activation (Erhan et al. 2009). To keep fine
    noise out of the pictures, each step first shifts the image by up to `jitter` of its side, and then blurs it, less
    from step to step (Yosinski et al. 2015; Olah, Mordvintsev & Schubert 2017). `rate` is the step's size in grey
    levels. Raises `UserError` for an unknown layer or unit.
    """
    _check_units(model, layer, units)
    random = np.random.default_rng(seed)
    channels = model.inputs[0].shape[-1]
    images = (128 + random.normal(0, 12, (len(units), *size, channels))).astype(np.float32)
    slope_at = slope_of(lambda pixels: _mean_activation(model, layer, units, pixels))
    strength = min(1.0, min(size) / _FULL_BLUR_SIDE)
    for step in range(steps):
        shift = [int(random.integers(-reach, reach + 1)) for reach in (round(side * jitter) for side in size)]
        images = np.roll(images, shift, axis=(1, 2))
        slope = slope_at(images)
        norm = np.sqrt((slope**2).mean(axis=(1, 2, 3), keepdims=True))
        images = images + rate * slope / np.maximum(norm, 1e-12)
        images = np.roll(images, [-distance for distance in shift], axis=(1, 2))
        sigma = strength * (_BLUR[0] + (_BLUR[1] - _BLUR[0]) * step / steps)
        images = np.clip(gaussian_filter(images, (0, sigma, sigma, 0)), 0, 255)
    return np.rint(images).astype(np.uint8)


def _mean_activation(model: keras.Model, layer: str, units: Sequence[int], pixels: Any) -> Any:
    found = graph.activations(model, pixels, [layer], graph.behind_entry(model, pixels))[layer]
    chosen = keras.ops.one_hot(np.asarray(units), found.shape[-1], dtype=found.dtype)
    chosen = keras.ops.reshape(chosen, (len(units), *[1] * (len(found.shape) - 2), found.shape[-1]))
    return keras.ops.sum(found * chosen) / max(1, int(np.prod(found.shape[1:-1])))


def _check_units(model: keras.Model, layer: str, units: Sequence[int]) -> None:
    shapes = {step.name: graph.shape_of(step) for step in graph.steps(model)}
    graph.check_name(layer, list(shapes))
    count = int(shapes[layer][-1] or 0)
    for unit in units:
        if not 0 <= unit < count:
            raise UserError(f"{layer} has no unit {unit}: expected 0 to {count - 1}")
