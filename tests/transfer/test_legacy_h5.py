"""Files in the format of Keras 2 are matched by name, whatever was frozen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cvlib.models.network import Network
from cvlib.runtime.errors import UserError
from cvlib.transfer import legacy_h5, weights
from tests.networks import assert_same_weights, network

pytestmark = [
    pytest.mark.usefixtures("eager"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
]

# Written by tf_keras 2.21: a nested base, frozen up to conv1_bn, and a head with BatchNorm.
DATA = Path(__file__).parent / "data"


def cnn() -> Network:
    # All BatchNorm layers have the same shape, so that an array in a wrong place isn't noticed by its shape.
    return network("cnn", 8, 1, 3, filters=[4, 4], dense=[8], batch_norm=True)


@pytest.mark.parametrize("file", ["tf_keras_nested.h5", "tf_keras_nested.keras"])
def test_a_file_of_tf_keras_with_a_partly_frozen_base_is_loaded(file: str) -> None:
    target = network("cnn", 8, 1, 3, filters=[4, 6], dense=[8], batch_norm=True)
    weights.load_into(target.base, target.config, str(DATA / file))
    for layer in target.base.layers:
        for variable in layer.weights:
            seed = len(f"{layer.name}/{variable.name}:0") + int(np.prod(variable.shape))
            expected = np.random.default_rng(seed).uniform(0.5, 1.5, variable.shape)
            np.testing.assert_allclose(variable, expected, rtol=1e-6)


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("frozen", [(), ("conv1", "conv1_bn"), ("conv2_bn",)])
def test_what_was_frozen_does_not_matter(tmp_path: Path, nested: bool, frozen: tuple[str, ...]) -> None:
    source, target = cnn(), cnn()
    random = np.random.default_rng(0)
    source.base.set_weights([random.uniform(0.5, 1.5, array.shape) for array in source.base.get_weights()])
    for name in frozen:
        source.base.get_layer(name).trainable = False
    image = keras.Input((8, 8, 1))
    x = source.base(image) if nested else source.base.output
    x = keras.layers.Dense(3, name="last")(keras.layers.BatchNormalization(name="head_bn")(x))
    keras.Model(image if nested else source.base.input, x).save(tmp_path / "whole.h5")
    loaded = weights.load_into(target.base, target.config, str(tmp_path / "whole.h5"))
    assert_same_weights(target.base, source.base)
    assert len(loaded.skipped) >= 2  # the BatchNorm and the dense layer of the head


class Array:
    """An array that is only known by its name."""

    def __init__(self, name: str) -> None:
        self.name = name


def matched(wanted: list[str], *groups: list[str]) -> list[str]:
    named: list[Any] = [[(name, Array(name)) for name in group] for group in groups]
    return [name for name, _ in legacy_h5._matched(wanted, named, "x.h5")[0]]


def test_arrays_of_a_nested_base_are_matched_by_name() -> None:
    wanted = [f"backbone/bn/{name}" for name in ("gamma", "beta", "moving_mean")]
    stored = ["resnet/bn/gamma:0", "resnet/bn/moving_mean:0", "resnet/bn/beta:0", "d/kernel"]
    assert matched(wanted, stored) == [stored[0], stored[2], stored[1]]


def test_automatic_names_are_matched_by_rank() -> None:
    wanted = ["conv2d/kernel", "batch_normalization/beta", "conv2d_1/kernel", "batch_normalization_1/beta"]
    stored = [
        "conv2d_9/kernel:0",
        "batch_normalization_5/beta:0",
        "batch_normalization_10/beta:0",
        "conv2d_12/kernel:0",
    ]
    assert matched(wanted, stored) == [stored[0], stored[1], stored[3], stored[2]]


def test_layers_with_other_names_are_matched_by_order_only_if_they_are_not_nested() -> None:
    wanted = ["a/kernel", "a/bias", "b/kernel"]
    assert matched(wanted, ["x/kernel", "x/bias"], ["y/kernel"]) == ["x/kernel", "x/bias", "y/kernel"]
    for groups in ([["n/x/kernel", "n/x/bias", "n/y/kernel"]], [["x/bias", "x/kernel"], ["y/kernel"]]):
        with pytest.raises(UserError, match="different architecture: a/kernel is missing"):
            matched(wanted, *groups)


def test_the_kernel_of_a_depthwise_convolution_has_another_name_in_keras_2() -> None:
    assert matched(["b/dw/kernel"], ["dw/depthwise_kernel:0"]) == ["dw/depthwise_kernel:0"]
