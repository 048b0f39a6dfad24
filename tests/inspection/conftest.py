"""A network trained on images in which the direction of the stripes in a small patch decides the class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from cvlib import tasks
from cvlib.data.input_spec import InputSpec
from cvlib.models.network import build
from tests.configs import model_config

SIDE, PATCH = 32, 8


def saved_classifier(name: str, spec: InputSpec, classes: int = 3, **changes: Any) -> keras.Model:
    """Return an untrained classifier in the form that a run saves."""
    return tasks.of("classification").inference(build(model_config(name, **changes), spec, classes))


@dataclass(frozen=True)
class Planted:
    """The classifier, and images with a patch at (row, column)."""

    model: keras.Model
    images: np.ndarray
    labels: np.ndarray
    places: np.ndarray


def planted_images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return noise images with a patch of horizontal (class 0) or vertical (class 1) stripes at a random position."""
    random = np.random.default_rng(seed)
    images = random.normal(110, 12, (count, SIDE, SIDE, 1))
    labels = np.arange(count) % 2
    places = random.integers(0, SIDE - PATCH + 1, (count, 2))
    stripes = np.where(np.arange(PATCH) % 4 < 2, 240.0, 15.0)
    for image, label, (row, column) in zip(images, labels, places, strict=True):
        patch = np.broadcast_to(stripes[:, None] if label == 0 else stripes, (PATCH, PATCH))
        image[row : row + PATCH, column : column + PATCH, 0] = patch
    return np.clip(images, 0, 255).astype(np.float32), labels, places


@pytest.fixture(scope="session")
def planted() -> Planted:
    keras.utils.set_random_seed(0)
    image = keras.Input((SIDE, SIDE, 1), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="rescaling")(image)
    for number, filters in enumerate((8, 16), start=1):
        x = layers.Conv2D(filters, 5, padding="same", activation="relu", name=f"conv{number}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{number}")(x)
    x = layers.GlobalAveragePooling2D(name="pooled")(x)
    model = keras.Model(image, layers.Softmax(name="probabilities")(layers.Dense(2, name="logits")(x)))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    images, labels, _ = planted_images(256, 1)
    model.fit(images, labels, batch_size=32, epochs=8, verbose=0)
    images, labels, places = planted_images(40, 2)
    assert model.evaluate(images, labels, verbose=0)[1] > 0.95
    return Planted(model, images, labels, places)
