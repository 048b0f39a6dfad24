"""FCN: dense layers as convolutions, bilinear upsampling, and the scores of finer maps."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from cvlib.models.heads import fcn
from cvlib.models.network import Network
from cvlib.runtime.errors import UserError
from tests.networks import network

pytestmark = pytest.mark.usefixtures("eager")

RNG = np.random.default_rng(0)


def build(side: int = 64, **changes: Any) -> Network:
    return network("fcn", side, 3, 4, **{"fc_width": 16, "fc_kernel": 3, **changes})


def test_a_convolution_with_the_weights_of_a_dense_layer_gives_the_same_output() -> None:
    features = RNG.normal(size=(2, 7, 7, 8)).astype(np.float32)
    flat = keras.Sequential([keras.Input((7, 7, 8)), keras.layers.Flatten(), keras.layers.Dense(5, "relu")])
    given = keras.Input((7, 7, 8))
    convolution = keras.Model(given, fcn.fully_connected(given, 5, 7, 0.0, "fc6"))
    kernel, bias = flat.layers[-1].get_weights()
    convolution.get_layer("fc6").set_weights([kernel.reshape(7, 7, 8, 5), bias])
    found = convolution.predict_on_batch(features)
    np.testing.assert_allclose(found[:, 3, 3], flat.predict_on_batch(features), rtol=1e-4, atol=1e-5)


def test_the_first_convolutions_accept_the_weights_of_vggs_dense_layers() -> None:
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
def test_upsampling_is_initialized_to_bilinear_interpolation(stride: int) -> None:
    x = RNG.normal(size=(1, 5, 6, 3)).astype(np.float32)
    given = keras.Input(x.shape[1:])
    found = keras.Model(given, fcn._bilinear(given, stride, "up")).predict_on_batch(x)
    expected = tf.image.resize(x, (5 * stride, 6 * stride)).numpy()
    inner = slice(stride, -stride)  # at the border, the convolution sees zeros, but resizing repeats the edge
    np.testing.assert_allclose(found[:, inner, inner], expected[:, inner, inner], atol=1e-5)


def test_scores_of_finer_maps_have_no_effect_before_training() -> None:
    image = RNG.uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    networks = build(prediction_stride=32), build(prediction_stride=8)
    coarse, fine = (built.model for built in networks)
    np.testing.assert_array_equal(fine.predict_on_batch(image), np.zeros((1, 64, 64, 4)))  # no class is preferred
    scores = coarse.get_layer("score32")
    scores.kernel.assign(RNG.normal(size=scores.kernel.shape))
    for layer in coarse.layers:
        if layer.weights and layer.name not in ("logits", "backbone"):
            fine.get_layer(layer.name).set_weights(layer.get_weights())
    networks[1].base.set_weights(networks[0].base.get_weights())
    a, b = (model.predict_on_batch(image)[:, 24:40, 24:40] for model in (coarse, fine))
    # Upsampling by 32, or by 2, 2 and 8, is bilinear in both cases, so the results are nearly equal.
    assert np.abs(a - b).max() < 0.15 * np.abs(a).max()


@pytest.mark.parametrize(("stride", "joins"), [(32, []), (16, ["join16"]), (8, ["join16", "join8"])])
def test_each_variant_joins_its_maps_and_returns_the_image_size(stride: int, joins: list[str]) -> None:
    model = build(prediction_stride=stride).model
    assert [layer.name for layer in model.layers if layer.name.startswith("join")] == joins
    assert model.output.shape == (None, 64, 64, 4)
    assert not model.get_layer("logits").trainable


@pytest.mark.slow
def test_it_has_the_published_parameter_count() -> None:
    model = network("fcn", 32, 3, 21, prediction_stride=32).model
    convolutions = 14_714_688
    dense = (7 * 7 * 512 + 1) * 4096 + (4096 + 1) * 4096
    assert model.count_params() == convolutions + dense + (4096 + 1) * 21 + 64 * 64 * 21 * 21


def test_a_size_that_cannot_be_halved_five_times_is_refused() -> None:
    with pytest.raises(UserError, match=r"images of 80×80 pixels don't fit model.head=fcn.*multiple of 32"):
        build(80)


@pytest.mark.parametrize(("changes", "base"), [
    ({"backbone": "resnet", "depth": None}, "resnet"),
    ({"backbone": "inception"}, "inception"), ({"backbone": "darknet"}, "darknet"),
    ({"backbone": "cnn", "filters": [8, 8]}, "cnn"), ({"backbone": "cnn", "stride": 2}, "cnn"),
    ({"backbone": "cnn", "padding": "valid"}, "cnn"),
])  # fmt: skip
def test_a_base_without_five_poolings_is_refused(changes: dict[str, Any], base: str) -> None:
    with pytest.raises(
        UserError, match=f"model.head=fcn needs a backbone with five 2×2 poolings.*unlike {base} .*model.backbone=vgg"
    ):
        build(256, **changes)


@pytest.mark.parametrize("changes", [{}, {"pooling": "average"}, {"spatial_dropout": 0.1}])
def test_a_small_cnn_works_as_the_base(changes: dict[str, Any]) -> None:
    built = build(backbone="cnn", filters=[4, 4, 6, 6, 8], prediction_stride=8, **changes)
    assert [tuple(output.shape[1:]) for output in built.base.outputs] == [(8, 8, 6), (4, 4, 6), (2, 2, 8)]
    assert built.model.output.shape == (None, 64, 64, 4)
