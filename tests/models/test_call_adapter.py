"""Replaced `call` methods of layers: the class and the saved model are unchanged."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from cvlib.models import call_adapter

ONES = np.ones((2, 50, 4), np.float32)


@pytest.fixture
def nested() -> keras.Model:
    """Return a model with Dropout in a nested model."""
    given = keras.Input((50, 4))
    inner = keras.Model(given, layers.Dropout(0.5, name="inner_dropout")(given), name="inner")
    outer = keras.Input((50, 4))
    return keras.Model(outer, layers.Dropout(0.5, name="outer_dropout")(inner(outer)), name="outer")


def test_leaves_include_layers_of_nested_models(nested: keras.Model) -> None:
    names = [layer.name for layer in call_adapter.leaves(nested)]
    assert {"outer_dropout", "inner", "inner_dropout"} <= set(names)


def test_a_replacement_gets_the_original_and_its_arguments() -> None:
    layer = layers.Dropout(0.5)
    seen = []

    def call(original, inputs, training=None):
        seen.append(training)
        return original(inputs, training=False) + 1

    call_adapter.replace_call(layer, call)
    np.testing.assert_array_equal(layer(ONES, training=True), ONES + 1)
    assert seen == [True]
    assert type(layer) is layers.Dropout


def test_frozen_layers_are_deterministic_and_unfrozen_ones_random_again(nested: keras.Model) -> None:
    inner = nested.get_layer("inner")
    call_adapter.run_in_inference(inner, True)
    np.testing.assert_array_equal(inner(ONES, training=True), ONES)
    halved = np.asarray(nested(ONES, training=True))  # the outer Dropout is still random
    assert set(np.unique(halved)) == {0.0, 2.0}
    call_adapter.run_in_inference(inner, True)  # a second call has no effect
    call_adapter.run_in_inference(inner, False)
    assert set(np.unique(np.asarray(inner(ONES, training=True)))) == {0.0, 2.0}
    assert not any("call" in layer.__dict__ and hasattr(layer.__dict__["call"], "keywords") and
                   layer.__dict__["call"].func is call_adapter._without_training
                   for layer in call_adapter.leaves(inner))  # fmt: skip


def test_fit_does_not_reactivate_dropout(nested: keras.Model) -> None:
    """In `fit`, Keras passes training=True to every layer."""
    call_adapter.run_in_inference(nested, True)
    given = keras.Input((50, 4))
    scale = layers.Dense(4, use_bias=False, kernel_initializer="identity", name="scale")
    model = keras.Model(given, scale(nested(given)))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    assert model.train_on_batch(ONES, ONES) == pytest.approx(0, abs=1e-12)


def test_a_saved_model_is_plain_keras(nested: keras.Model, tmp_path: Path) -> None:
    call_adapter.run_in_inference(nested, True)
    nested.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert set(np.unique(np.asarray(loaded(ONES, training=True)))) == {0.0, 4.0}
