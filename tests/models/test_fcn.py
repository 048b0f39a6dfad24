"""FCN: dense layers as convolutions, bilinear ways up, and what the finer maps add."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from cvlib import models
from cvlib.models import fcn
from cvlib.runtime.errors import UserError
from tests.models.conftest import config_of

RNG = np.random.default_rng(0)


def build(side: int = 64, **changes: Any) -> keras.Model:
    return models.build(config_of("fcn", fc_width=16, fc_kernel=3, **changes), (side, side, 3), 4)


def test_a_dense_layer_is_this_convolution_with_the_same_weights() -> None:
    features = RNG.normal(size=(2, 7, 7, 8)).astype(np.float32)
    flat = keras.Sequential([keras.Input((7, 7, 8)), keras.layers.Flatten(), keras.layers.Dense(5, "relu")])
    given = keras.Input((7, 7, 8))
    convolution = keras.Model(given, fcn.fully_connected(given, 5, 7, 0.0, "fc6"))
    kernel, bias = flat.layers[-1].get_weights()
    convolution.get_layer("fc6").set_weights([kernel.reshape(7, 7, 8, 5), bias])
    found = convolution.predict_on_batch(features)
    np.testing.assert_allclose(found[:, 3, 3], flat.predict_on_batch(features), rtol=1e-4, atol=1e-5)


def test_vggs_own_dense_layers_are_the_networks_first_convolutions() -> None:
    published = keras.applications.VGG16(weights=None, input_shape=(96, 96, 3), classes=3)
    features = RNG.uniform(size=(1, 3, 3, 512)).astype(np.float32)
    given = keras.Input((3, 3, 512))
    top = given
    for name in ("flatten", "fc1", "fc2"):
        top = published.get_layer(name)(top)
    expected = keras.Model(given, top).predict_on_batch(features)
    x = fcn.fully_connected(given, 4096, 3, 0.0, "fc6")
    ours = keras.Model(given, fcn.fully_connected(x, 4096, 1, 0.0, "fc7"))
    for name, theirs, side in (("fc6", "fc1", 3), ("fc7", "fc2", 1)):
        kernel, bias = published.get_layer(theirs).get_weights()
        ours.get_layer(name).set_weights([kernel.reshape(side, side, -1, 4096), bias])
    np.testing.assert_allclose(ours.predict_on_batch(features)[:, 1, 1], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("stride", [2, 8])
def test_the_way_up_begins_as_bilinear_interpolation(stride: int) -> None:
    x = RNG.normal(size=(1, 5, 6, 3)).astype(np.float32)
    given = keras.Input(x.shape[1:])
    found = keras.Model(given, fcn._bilinear(given, stride, "up")).predict_on_batch(x)
    expected = tf.image.resize(x, (5 * stride, 6 * stride)).numpy()
    inner = slice(stride, -stride)  # at the border the convolution sees zeros where resizing repeats the edge
    np.testing.assert_allclose(found[:, inner, inner], expected[:, inner, inner], atol=1e-5)


def test_the_finer_scores_change_nothing_until_they_learn() -> None:
    image = RNG.uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    coarse, fine = build(prediction_stride=32), build(prediction_stride=8)
    np.testing.assert_array_equal(fine.predict_on_batch(image), np.zeros((1, 64, 64, 4)))  # no class is preferred
    scores = coarse.get_layer("score32")
    scores.kernel.assign(RNG.normal(size=scores.kernel.shape))
    for layer in coarse.layers:
        if layer.weights and layer.name not in ("logits", "backbone"):
            fine.get_layer(layer.name).set_weights(layer.get_weights())
    fine.get_layer("backbone").set_weights(coarse.get_layer("backbone").get_weights())
    a, b = (model.predict_on_batch(image)[:, 24:40, 24:40] for model in (coarse, fine))
    # 32 times at once, or 2, 2 and 8 times: both bilinear, so equal up to how straight lines are cut into steps
    assert np.abs(a - b).max() < 0.15 * np.abs(a).max()


@pytest.mark.parametrize(("stride", "joins"), [(32, []), (16, ["join16"]), (8, ["join16", "join8"])])
def test_each_variant_joins_its_maps_and_ends_at_the_images_size(stride: int, joins: list[str]) -> None:
    model = build(prediction_stride=stride)
    assert [layer.name for layer in model.layers if layer.name.startswith("join")] == joins
    assert model.output.shape == (None, 64, 64, 4)
    assert not model.get_layer("logits").trainable


@pytest.mark.slow
def test_the_published_count() -> None:
    model = models.build(config_of("fcn", prediction_stride=32), (32, 32, 3), 21)
    convolutions = 14_714_688
    dense = (7 * 7 * 512 + 1) * 4096 + (4096 + 1) * 4096
    assert model.count_params() == convolutions + dense + (4096 + 1) * 21 + 64 * 64 * 21 * 21


def test_a_size_that_does_not_halve_five_times_and_another_base_are_refused() -> None:
    with pytest.raises(UserError, match=r"images of 80×80 pixels don't fit model=fcn.*multiple of 32"):
        build(80)
    with pytest.raises(UserError, match=r"model.backbone=resnet can't be"):
        build(backbone="resnet")
    with pytest.raises(UserError, match=r"model.filters=\[8, 8\] .*five poolings"):
        build(backbone="cnn", filters=[8, 8])


def test_a_small_base_gives_the_same_network() -> None:
    model = build(backbone="cnn", filters=[4, 4, 6, 6, 8], prediction_stride=8)
    assert [tuple(output.shape[1:]) for output in model.get_layer("backbone").outputs] == [
        (8, 8, 6),
        (4, 4, 6),
        (2, 2, 8),
    ]
    assert model.output.shape == (None, 64, 64, 4)
