"""Images are resized for predictions as in training."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
import pytest

from cvlib.data import resampling
from cvlib.data.input_spec import InputSpec
from cvlib.tasks import serving


@pytest.mark.parametrize("method", ["stretch", "letterbox"])
@pytest.mark.parametrize(
    ("height", "width", "channels"), [(31, 45, 3), (96, 48, 1), (5, 9, 3), (200, 7, 1), (12, 16, 1)]
)
def test_a_saved_network_resizes_an_image_as_the_feed_does(height: int, width: int, channels: int, method: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, channels)).astype(np.uint8)
    network = keras.Model(*serving.raw_input(InputSpec(12, 16, channels, method)))
    found = network(image[np.newaxis].astype(np.float32))[0]
    np.testing.assert_array_equal(found, resampling.image(image, (12, 16), method))


def test_a_caller_answers_as_the_network_does_for_images_of_all_sizes() -> None:
    image = keras.Input((None, None, 3))
    resized = keras.layers.Resizing(8, 8)(image)
    model = keras.Model(
        image, {"mean": keras.ops.mean(resized, axis=(1, 2)), "size": keras.ops.sum(image[..., 0] * 0 + 1)}
    )
    call, random = serving.caller(model), np.random.default_rng(0)
    for number in range(12):  # after the eighth image, it is compiled
        pixels = random.integers(0, 256, (1 + number % 2, 9 + number, 20 - number, 3)).astype(np.uint8)
        found = call(pixels)
        assert isinstance(found["mean"], np.ndarray)
        assert found["size"] == pixels[..., 0].size
        np.testing.assert_allclose(found["mean"], model(pixels.astype(np.float32))["mean"], atol=1e-3)
    assert serving.caller(model) is call


def test_a_frozen_network_answers_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_TRACED", 20)
    image, random = keras.Input((None, None, 3)), np.random.default_rng(0)
    x = keras.layers.Conv2D(4, 3, use_bias=False)(image)
    x = keras.layers.ReLU(max_value=6.0)(keras.layers.BatchNormalization()(x))
    model = keras.Model(image, {"maps": x, "parts": [keras.ops.mean(x, axis=(1, 2)), keras.ops.max(x, axis=(1, 2))]})
    for layer in model.layers:
        layer.set_weights([random.uniform(0.1, 1.0, weight.shape) for weight in layer.get_weights()])
    call, answers = serving.caller(model), []
    pixels = random.uniform(0, 1, (5, 9, 7, 3)).astype(np.float32)
    for _ in range(6):  # after 8 images it is traced, after 20 frozen
        answers.append(call(pixels))
    for answer in answers[1:]:
        keras.tree.map_structure(partial(np.testing.assert_allclose, rtol=1e-5), answer, answers[0])
    other = call(pixels[:2, :6, :5])  # any size
    np.testing.assert_allclose(other["maps"], model(pixels[:2, :6, :5])["maps"], rtol=1e-5)
