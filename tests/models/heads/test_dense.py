"""The classifier's head: the layers between the base and the logits, and where the network is cut."""

from __future__ import annotations

import numpy as np

from tests.networks import network


def test_a_feature_map_is_pooled_before_dropout_and_logits() -> None:
    built = network("darknet", 64, 3, 5, filters=[4, 8], dropout=0.5)
    assert [type(layer).__name__ for layer in built.model.layers[-4:]] == [
        "Functional", "GlobalAveragePooling2D", "Dropout", "Dense",
    ]  # fmt: skip
    assert [layer.name for layer in built.head_layers] == ["logits"]
    assert built.model.get_layer("logits").count_params() == (8 + 1) * 5
    assert [tuple(tensor.shape) for tensor in built.cut_at] == [(None, 8)]  # before the Dropout


def test_a_vector_needs_no_pooling() -> None:
    built = network("cnn", 16, 1, 5, dense=[7], dropout=0.5)
    assert [layer.name for layer in built.model.layers[-2:]] == ["backbone", "logits"]
    assert [tuple(tensor.shape) for tensor in built.cut_at] == [(None, 7)]


def test_logits_are_a_linear_function_of_the_mean_features() -> None:
    built = network("darknet", 64, 3, 2, filters=[4, 8])
    image = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    features = np.asarray(built.base(image / 255))
    kernel, bias = built.model.get_layer("logits").get_weights()
    expected = features.mean(axis=(1, 2)) @ kernel + bias
    np.testing.assert_allclose(built.model.predict(image, verbose=0), expected, atol=1e-5)


def test_initial_logits_are_zero_on_a_loaded_base_and_random_otherwise() -> None:
    built = network("darknet", 64, 3, 3, filters=[4, 8])
    image = np.full((1, 64, 64, 3), 200, np.float32)
    assert np.abs(built.model.predict(image, verbose=0)).max() > 0
    before = built.base.get_weights()
    built.start_on_loaded_base()
    np.testing.assert_array_equal(built.model.predict(image, verbose=0), np.zeros((1, 3)))
    for a, b in zip(before, built.base.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
