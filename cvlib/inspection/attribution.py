"""Attribution methods, which show the part of an image that supports a class: Grad-CAM, saliency and occlusion.

For a segmenter, a class's logit is its mean over the pixels that are predicted as the class (Vinogradova, Dibrov &
Myers, Towards Interpretable Semantic Segmentation via Gradient-weighted Class Activation Mapping, AAAI 2020).

The network takes raw images `(batch, height, width, channels)`, 0–255, like the `model.keras` of a run. An image is
float or uint8 `(height, width, channels)` at the network's input size, as `graph.as_seen` returns it. A heat map is
float32 `(height, width)`, 0–1, with a maximum of 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from cvlib.inspection import graph
from cvlib.inspection.graph import Step
from cvlib.runtime import backend

_MIN_MAP_SIDE = 4  # units per side; smaller feature maps localize too coarsely


def grad_cam(model: keras.Model, image: np.ndarray, label: int, layer: str | None = None) -> np.ndarray:
    """Return a heat map of the features that raise the class's logit (Selvaraju et al., Grad-CAM, ICCV 2017).

    `layer` is a feature map, by default the last one of at least 4×4 units, or else the largest one. If the head reads
    every position separately (a flattened map), a channel's gradients are not averaged over the positions (Draelos &
    Carin, HiResCAM, 2020). For a head on pooled features, both variants give the same result. Raises `UserError` for an
    unknown layer.
    """
    pixels = _batch(image)
    name = layer or default_map(model).name
    features = graph.activations(model, pixels, [name], graph.behind_entry(model, pixels))[name]
    logits, of_class = _class_logit(model, pixels, label)

    def score(replacement: Any) -> Any:
        # The image is passed too, because later layers may also read earlier maps, as the decoder of a U-Net does.
        replaced = {**graph.behind_entry(model, pixels), name: replacement}
        return of_class(graph.activations(model, pixels, [logits], replaced)[logits])

    weights = gradient(score, features)
    if not any(isinstance(step.operation, keras.layers.Flatten) for step in graph.steps(model)):
        weights = weights.mean(axis=(1, 2), keepdims=True)
    heat = np.maximum((weights * graph.as_array(features)).sum(axis=-1)[0], 0)
    return _enlarged(_normalized(heat), image.shape[:2])


def has_places(model: keras.Model) -> bool:
    """Return whether a feature map has several units; that of a transformer's class token has one, without a place."""
    return any(math.prod(int(side or 0) for side in graph.shape_of(step)[:2]) > 1 for step in graph.stages(model))


def default_map(model: keras.Model) -> Step:
    """Return the feature map that Grad-CAM uses: the last with at least 4×4 units, or else the largest."""
    found = graph.stages(model)
    large = [step for step in found if min(int(side or 0) for side in graph.shape_of(step)[:2]) >= _MIN_MAP_SIDE]
    return large[-1] if large else found[0]


def saliency(model: keras.Model, image: np.ndarray, label: int, samples: int = 8, noise: float = 0.1,
             seed: int = 0) -> np.ndarray:  # fmt: skip
    """Return how strongly each pixel changes the class's logit: the absolute gradient, maximum over the channels.

    The method is that of Simonyan, Vedaldi & Zisserman 2014, averaged over noisy copies of the image (SmoothGrad,
    Smilkov et al. 2017). `noise` is the noise's standard deviation as a fraction of the image's range.
    """
    logits, of_class = _class_logit(model, _batch(image), label)
    random = np.random.default_rng(seed)
    pixels = np.repeat(_batch(image), max(samples, 1), axis=0)
    if samples > 1:
        pixels = pixels + random.normal(0, noise * np.ptp(pixels), pixels.shape).astype(np.float32)

    def score(images: Any) -> Any:
        return of_class(graph.activations(model, images, [logits], graph.behind_entry(model, images))[logits])

    return _normalized(np.abs(gradient(score, pixels)).mean(axis=0).max(axis=-1))


def occlusion(model: keras.Model, image: np.ndarray, label: int, patch: int | None = None, stride: int | None = None,
              batch: int = 64) -> np.ndarray:  # fmt: skip
    """Return how much the class's logit falls when a grey patch covers a pixel (Zeiler & Fergus, ECCV 2014).

    `patch` is the patch's side in pixels, by default a fifth of the image. `stride` is the step between patches, by
    default half a patch. A pixel's value is the mean over all patches that cover it.
    """
    height, width = image.shape[:2]
    patch = patch or max(1, round(min(height, width) / 5))
    stride = stride or max(1, patch // 2)
    corners = [(y, x) for y in _starts(height, patch, stride) for x in _starts(width, patch, stride)]
    logits, of_class = _class_logit(model, _batch(image), label)
    grey = _batch(image).mean(axis=(0, 1, 2))

    def scores(images: np.ndarray) -> np.ndarray:
        found = graph.activations(model, images, [logits], graph.behind_entry(model, images))
        return graph.as_array(of_class(found[logits]))

    whole = scores(_batch(image))[0]
    drops, counts = np.zeros((height, width)), np.zeros((height, width))
    for start in range(0, len(corners), batch):
        chunk = corners[start : start + batch]
        covered = np.repeat(_batch(image), len(chunk), axis=0)
        for pixels, (y, x) in zip(covered, chunk, strict=True):
            pixels[y : y + patch, x : x + patch] = grey
        for (y, x), value in zip(chunk, scores(covered), strict=True):
            drops[y : y + patch, x : x + patch] += whole - value
            counts[y : y + patch, x : x + patch] += 1
    return _normalized(np.maximum(drops / counts, 0))


def _class_logit(model: keras.Model, pixels: np.ndarray, label: int) -> tuple[str, Callable[[Any], Any]]:
    """Return the name of the step that outputs the logits, and a function from them to the class's logit (batch,)."""
    step = graph.scores(model)
    if len(graph.shape_of(step)) == 1:
        return step.name, lambda logits: logits[:, label]
    raw_outputs = graph.activations(model, pixels, [step.name], graph.behind_entry(model, pixels))[step.name]
    predicted = (graph.as_array(raw_outputs).argmax(axis=-1) == label).astype(np.float32)
    share = predicted / max(predicted.sum(), 1)
    return step.name, lambda logits: keras.ops.sum(logits[..., label] * share, axis=(1, 2))


def gradient(score: Callable[[Any], Any], at: Any) -> np.ndarray:
    """Return the gradient of the sum of `score(at)` with respect to `at`."""
    return slope_of(score, compiled=False)(at)


def slope_of(score: Callable[[Any], Any], compiled: bool = True) -> Callable[[Any], np.ndarray]:
    """Return a function that maps `at` to the gradient of the sum of `score(at)`.

    Compiling it pays off for many inputs of the same shape. Only this function depends on the backend.
    """
    if backend.name() == "jax":
        import jax

        differentiated = jax.grad(lambda point: keras.ops.sum(score(point)))
        of = jax.jit(differentiated) if compiled else differentiated
        return lambda at: np.asarray(of(keras.ops.convert_to_tensor(at)), np.float32)
    import tensorflow as tf

    def slope(point: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(point)
            value = score(point)
        return tape.gradient(value, point, unconnected_gradients="zero")

    found = tf.function(slope) if compiled else slope
    return lambda at: np.asarray(found(tf.convert_to_tensor(at)), np.float32)


def _batch(image: np.ndarray) -> np.ndarray:
    return np.asarray(image, np.float32)[np.newaxis]


def _starts(side: int, patch: int, stride: int) -> list[int]:
    """Return the first pixels of patches that together cover every pixel, including the last ones."""
    return sorted({*range(0, max(side - patch, 0), stride), max(side - patch, 0)})


def _normalized(heat: np.ndarray) -> np.ndarray:
    return (heat / max(float(heat.max()), 1e-12)).astype(np.float32)


def _enlarged(heat: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    resized = keras.ops.image.resize(heat[..., np.newaxis], size, data_format="channels_last")
    return graph.as_array(resized)[..., 0]
