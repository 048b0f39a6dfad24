"""Filters, feature maps, and images that maximize a unit's activation."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from cvlib.inspection import features, graph, sheets
from cvlib.runtime.errors import UserError
from tests.inspection.conftest import SIDE, Planted


def test_filters_are_the_kernels_of_the_first_convolution(planted: Planted) -> None:
    kernels = features.first_filters(planted.model)
    kernel = planted.model.get_layer("conv1").get_weights()[0]
    assert kernels.shape == (8, 5, 5, 1)
    np.testing.assert_array_equal(kernels[3], kernel[..., 3])
    assert sheets.filters(kernels).dtype == np.uint8


def test_a_network_without_a_convolution_has_no_filters() -> None:
    image = keras.Input((4, 4, 1))
    assert features.first_filters(keras.Model(image, layers.Flatten()(image))) is None


def test_feature_maps_are_the_layers_output(planted: Planted) -> None:
    image = planted.images[0]
    found = features.feature_maps(planted.model, image, ["conv1", "pool2"])
    expected = keras.Model(planted.model.inputs, planted.model.get_layer("pool2").output)([image[None]])
    np.testing.assert_allclose(found["pool2"], expected[0], atol=1e-6)
    assert found["conv1"].shape == (SIDE, SIDE, 8)
    with pytest.raises(UserError, match="logits has no feature map"):
        features.feature_maps(planted.model, image, ["logits"])


def test_the_most_active_channels_come_first() -> None:
    maps = np.zeros((3, 3, 4))
    maps[1, 1, 2], maps[0, 0, 1] = 5, 3
    assert features.most_active(maps, 2) == [2, 1]


def test_maximizing_a_unit_that_detects_a_colour_gives_that_colour() -> None:
    image = keras.Input((12, 12, 3))
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[0, 0, :, 0], kernel[0, 0, :, 1] = (1, -1, -1), (-1, -1, 1)
    model = keras.Model(image, layers.Conv2D(2, 1, use_bias=False, name="colours")(image))
    model.set_weights([kernel])
    red, blue = features.maximize(model, "colours", [0, 1], (12, 12), steps=40).mean(axis=(1, 2))
    assert red[0] > 240
    assert red[1:].max() < 15
    assert blue[2] > 240
    assert blue[:2].max() < 15


def test_maximizing_a_class_of_stripes_gives_stripes(planted: Planted) -> None:
    made = features.maximize(planted.model, "logits", [0, 1], (SIDE, SIDE), steps=60).astype(np.float32)
    assert made.shape == (2, SIDE, SIDE, 1)
    logits = graph.as_array(graph.activations(planted.model, made, ["logits"])["logits"])
    assert logits.argmax(axis=1).tolist() == [0, 1]
    down, across = (np.abs(np.diff(made[..., 0], axis=axis)).mean(axis=(1, 2)) for axis in (1, 2))
    assert down[0] > 1.5 * across[0]  # horizontal stripes change from row to row
    assert across[1] > 1.5 * down[1]


def test_an_unknown_unit_is_refused(planted: Planted) -> None:
    with pytest.raises(UserError, match="conv1 has no unit 8: expected 0 to 7"):
        features.maximize(planted.model, "conv1", [8], (SIDE, SIDE), steps=1)
