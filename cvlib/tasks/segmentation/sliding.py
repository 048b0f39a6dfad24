"""A segmenter's outputs for whole images from overlapping windows. Needs no Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float32

from cvlib.data import tiles
from cvlib.data.feed import Feed
from cvlib.data.input_spec import InputSpec
from cvlib.data.split import image_sizes
from cvlib.data.tiles import Canvas

_BATCH = 8
_LEAST = 1e-12  # a smaller probability counts as this
Predict = Callable[[np.ndarray], np.ndarray]  # images (batch, height, width, channels) → (batch, height, width, values)


def whole_images(predict: Predict, feed: Feed) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the mask `(height, width)` and the logits `(height, width, classes)` of each image, at its own size.

    `predict` returns the logits of windows. The logits of overlapping windows are averaged; see `tiles.blending`.
    """
    sizes, index = [(int(height), int(width)) for height, width in image_sizes(feed.split)], 0
    canvas = Canvas(sizes[0], feed.spec)
    for images, _ in feed.batches():
        for output in np.asarray(predict(images)):
            if (logits := canvas.add(output)) is not None:
                label = feed.split.labels[index]
                yield (label() if callable(label) else np.asarray(label)), logits
                index += 1
                if index < len(sizes):
                    canvas = Canvas(sizes[index], feed.spec)


def log_probabilities(
    predict: Predict, image: np.ndarray, spec: InputSpec
) -> Float32[np.ndarray, "height width classes"]:  # fmt: skip
    """Return the unnormalized log-probabilities of every pixel of an image `(height, width, channels)`.

    `predict` returns the probabilities of windows. Their logarithms are averaged, which gives the same classes as
    averaging logits.
    """
    size = image.shape[0], image.shape[1]
    canvas, corners = Canvas(size, spec), tiles.windows(np.array([size]), spec).corners.tolist()
    joined = None
    for start in range(0, len(corners), _BATCH):
        cut = [tiles.cut(image, (top, left), spec.size) for top, left in corners[start : start + _BATCH]]
        for output in predict(np.stack(cut)):
            joined = canvas.add(np.log(np.maximum(output, _LEAST)))
    assert joined is not None
    return joined
