"""Sliding-window prediction of masks."""

from __future__ import annotations

import numpy as np

from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import MASK
from cvlib.data.make_feed import make_feed
from cvlib.data.split import Split
from cvlib.tasks.segmentation import sliding

SPEC = InputSpec(16, 16, 1, overlap=0.25)


def logits(images: np.ndarray) -> np.ndarray:
    """Return logits that depend on the pixel alone, so that all windows agree."""
    return np.concatenate([images / 255, 1 - images / 255], axis=-1).astype(np.float32)


def test_windows_are_joined_to_whole_images() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 30, 21, 1)).astype(np.uint8)
    masks = (images[..., 0] > 100).astype(np.uint8)
    feed = make_feed(Split(list("abc"), images, masks), SPEC, MASK, 5, 0)
    found = list(sliding.whole_images(logits, feed))
    assert len(found) == 3
    for index, (mask, joined) in enumerate(found):
        np.testing.assert_array_equal(mask, masks[index])
        np.testing.assert_allclose(joined, logits(images[index]), atol=1e-6)


def test_probabilities_are_joined_to_the_same_classes() -> None:
    image = np.random.default_rng(1).integers(0, 256, (40, 19, 1)).astype(np.uint8)

    def probabilities(images: np.ndarray) -> np.ndarray:
        raised = np.exp(logits(images))
        return raised / raised.sum(axis=-1, keepdims=True)

    joined = sliding.log_probabilities(probabilities, image, SPEC)
    np.testing.assert_allclose(joined, np.log(probabilities(image)), atol=1e-5)
    one = image[:16, :16]
    np.testing.assert_array_equal(sliding.log_probabilities(probabilities, one, SPEC), np.log(probabilities(one)))
