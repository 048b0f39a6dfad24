"""BatchNorm with TensorFlow's fused operation, compared with hand-computed numbers and Keras' own layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cvlib.training import batch_norm

SHAPE = (4, 3, 5, 6)  # (batch, height, width, channels)


def built(shape: tuple[int, ...] = SHAPE, ours: bool = True, **options: Any) -> layers.BatchNormalization:
    """Return a layer with random gamma, beta and averages; with `ours`, it is prepared for the fused operation."""
    layer = layers.BatchNormalization(name="bn", **options)
    image = keras.Input(shape[1:])
    model = keras.Model(image, layer(image))
    random = np.random.default_rng(0)
    layer.set_weights([random.uniform(0.5, 2, shape[-1]) for _ in layer.weights])
    if ours:
        batch_norm.prepare(model, None)
    return layer


def step(layer: layers.BatchNormalization, images: np.ndarray) -> list[np.ndarray]:
    """Return output, averages and gradients (of the input, gamma and beta) of one training step in a graph."""

    @tf.function
    def take(x: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(tf.cast(y, tf.float32) ** 3)
        return y, tape.gradient(loss, [x, *(weight.value for weight in layer.trainable_weights)])

    y, gradients = take(tf.constant(images, layer.compute_dtype))
    return [np.array(one, np.float32) for one in (y, layer.moving_mean, layer.moving_variance, *gradients)]


def random_images(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(1).normal(3, 2, shape).astype(np.float32)


def operations(layer: layers.BatchNormalization, training: bool = True) -> set[str]:
    graph = tf.function(lambda x: layer(x, training=training)).get_concrete_function(
        tf.TensorSpec((None, *layer.input.shape[1:]), layer.compute_dtype)
    )
    return {operation.type for operation in graph.graph.get_operations()}


def test_output_and_averages_by_hand() -> None:
    layer, images = built(momentum=0.8), random_images()
    gamma, beta, mean, variance = layer.get_weights()
    y, new_mean, new_variance, *_ = step(layer, images)
    assert "FusedBatchNormV3" in operations(layer)
    batch_mean, batch_variance = images.mean((0, 1, 2)), images.var((0, 1, 2))
    np.testing.assert_allclose(
        y, (images - batch_mean) / np.sqrt(batch_variance + 1e-3) * gamma + beta, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(new_mean, 0.8 * mean + 0.2 * batch_mean, rtol=1e-5)
    np.testing.assert_allclose(new_variance, 0.8 * variance + 0.2 * batch_variance, rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}, {"scale": False, "center": False}])
def test_gradients_equal_those_of_keras(options: dict[str, bool]) -> None:
    ours, theirs = (step(built(ours=one, **options), random_images()) for one in (True, False))
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=2e-3)


def test_averages_are_float32_in_bfloat16() -> None:
    ours, theirs = (step(built(ours=one, dtype="mixed_bfloat16"), random_images()) for one in (True, False))
    np.testing.assert_allclose(ours[0], theirs[0], rtol=0.02, atol=0.02)
    for mine, other in zip(ours[1:3], theirs[1:3], strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5)


def test_a_single_pixel_has_no_variance() -> None:
    layer = built((1, 1, 1, 6))
    before = layer.moving_variance.numpy()
    y, _, variance, *gradients = step(layer, random_images((1, 1, 1, 6)))
    np.testing.assert_allclose(variance, 0.99 * before, rtol=1e-6)
    np.testing.assert_allclose(y.ravel(), layer.beta.numpy(), atol=1e-5)
    assert all(np.isfinite(one).all() for one in gradients)


def test_frozen_layers_and_inference_equal_keras() -> None:
    images = random_images()
    for training, trainable in ((True, False), (False, True), (False, False)):
        ours, theirs = built(), built(ours=False)
        ours.trainable = theirs.trainable = trainable
        np.testing.assert_array_equal(ours(images, training=training), theirs(images, training=training))
        assert "FusedBatchNormV3" not in operations(ours, training)


@pytest.mark.parametrize("shape", [(8, 6), (2, 3, 3, 3, 6)])
def test_inputs_that_are_not_images_are_left_to_keras(shape: tuple[int, ...]) -> None:
    ours, theirs = (step(built(shape, one), random_images(shape)) for one in (True, False))
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_the_momentum_is_set_in_nested_models_too() -> None:
    image = keras.Input((4, 4, 1))
    backbone = keras.Model(image, layers.BatchNormalization(name="inner")(image), name="backbone")
    model = keras.Model(image, layers.BatchNormalization(name="outer")(backbone(image)))
    batch_norm.prepare(model, 0.5)
    assert (backbone.get_layer("inner").momentum, model.get_layer("outer").momentum) == (0.5, 0.5)


def test_a_saved_network_is_plain_keras(tmp_path: Any) -> None:
    image = keras.Input((4, 4, 1))
    model = keras.Model(image, layers.BatchNormalization(name="bn")(image))
    batch_norm.prepare(model, 0.5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert type(loaded.get_layer("bn")) is layers.BatchNormalization
    images = random_images((2, 4, 4, 1))
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), model.predict(images, verbose=0))
