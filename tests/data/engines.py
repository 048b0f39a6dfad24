"""Run tests on both engines of the feed: TensorFlow, and threads with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cvlib.config.schema import AugmentConfig
from cvlib.data.augmenting import changes
from cvlib.data.augmenting.draws import Draws
from cvlib.data.tensorflow import pixels as tensorflow_pixels
from cvlib.data.threaded import pixels as threaded_pixels
from cvlib.runtime import backend

ENGINES = ("tensorflow", "threaded")


def use(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `make_feed` and `apply` use an engine."""
    monkeypatch.setattr(backend, "has_tensorflow", lambda: engine == "tensorflow")


def apply(images: np.ndarray, draws: Draws, config: AugmentConfig, outside: float | None = None) -> np.ndarray:
    """Augment images `(n, height, width, channels)` on the engine in use."""
    found, _ = changes.of(draws, config, *images.shape[1:])
    images = images if found.tiles is None else images[found.tiles]
    engine: Any = tensorflow_pixels if backend.has_tensorflow() else threaded_pixels
    if backend.has_tensorflow():
        images, found = tf.constant(images), changes.Changes(**{k: tf.constant(v) for k, v in found.arrays.items()})
    result = engine.store(changes.apply(engine.load(images), found, config.rand_magnitude, outside, engine))
    assert result.dtype == np.float32
    return np.asarray(result)
