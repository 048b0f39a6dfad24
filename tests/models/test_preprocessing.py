"""Preprocessing of raw pixels, compared with NumPy; float32 under every policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from cvlib.models import preprocessing

pytestmark = pytest.mark.usefixtures("eager")

MEAN = np.array([103.939, 116.779, 123.68], np.float32)  # ImageNet's means of blue, green and red


def computed(function: Callable[[keras.KerasTensor], Any], image: np.ndarray) -> np.ndarray:
    given = preprocessing.image_input(image.shape[1:])
    made = function(given)
    assert made.dtype == "float32"
    return np.asarray(keras.Model(given, made).predict(image, verbose=0))


def raw(channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 3, 4, channels)).astype(np.float32)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_preprocessing_equals_numpy(channels: int, policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        image = raw(channels)
        coloured = np.repeat(image, 3 // channels, axis=-1)
        np.testing.assert_array_equal(computed(preprocessing.to_rgb, image), coloured)
        np.testing.assert_allclose(computed(preprocessing.to_unit_range, image), image / 255, atol=1e-6)
        np.testing.assert_allclose(computed(preprocessing.to_symmetric_range, image), image / 127.5 - 1, atol=1e-6)
        found = computed(preprocessing.caffe_preprocessing, image)
        np.testing.assert_allclose(found, coloured[..., ::-1] - MEAN, atol=1e-4)
    finally:
        keras.config.set_dtype_policy("float32")
