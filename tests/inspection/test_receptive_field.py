"""Receptive fields, compared with published ones, hand-computed cases, and gradients of the input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cvlib.data.input_spec import InputSpec
from cvlib.inspection import receptive_field
from cvlib.inspection.layers import Layer, describe
from cvlib.inspection.receptive_field import PIXELS, Field
from cvlib.models import backbones, heads
from cvlib.models.head_parts.decoders import max_unpool
from cvlib.models.network import build
from tests.configs import model_config
from tests.networks import shared

pytestmark = pytest.mark.usefixtures("eager")


def base_of(name: str, height: int, width: int, **changes: Any) -> keras.Model:
    """Return the base of the shipped network with this name, for RGB images."""
    return build(model_config(name, **changes), InputSpec(height, width, 3), 2).base


def smallest_side(name: str) -> int:
    config = model_config(name)
    return backbones.get(config.backbone).smallest_side(config.backbone_options, heads.get(config.head).feature_levels)


def row(model: keras.Model, name: str) -> Layer:
    return next(layer for layer in describe(model) if layer.name == name)


def fields(model: keras.Model, name: str) -> tuple[Field, Field]:
    found = row(model, name).fields
    assert found is not None
    return found


def skeleton(model: keras.Model, precision: str) -> keras.Model:
    """Return the same graph with one channel per layer (two if it splits maps), average pooling and positive weights.

    No contributions cancel and no maximum hides a neighbour, so a gradient is zero only for unseen pixels.
    """
    random = np.random.default_rng(0)
    width = 2 if any(type(operation).__name__ == "Split" for operation in model.operations) else 1

    def thin(layer: keras.Operation) -> keras.Operation:
        if not isinstance(layer, layers.Layer):
            return type(layer).from_config(layer.get_config())
        config = {**layer.get_config(), "dtype": precision}
        if "filters" in config:
            config |= {"filters": width, "groups": 1} if "groups" in config else {"filters": width}
        if "max_value" in config:
            config["max_value"] = None  # saturated units have no gradient
        if isinstance(layer, layers.MaxPooling2D):
            return layers.AveragePooling2D.from_config(config)
        return type(layer).from_config(config)

    thinned = keras.models.clone_model(model, clone_function=thin, recursive=True)
    for kernel in thinned.weights:
        if len(kernel.shape) == 4:
            kernel.assign(random.uniform(0.5, 1.5, kernel.shape) / np.prod(kernel.shape))
    return thinned


def seen(gradient: tf.Tensor) -> list[tuple[int, int]]:
    """Return the first and last row, and the first and last column, that a unit depends on."""
    reached = np.abs(gradient.numpy()[0]).sum(axis=2) > 0
    rows, columns = np.flatnonzero(reached.any(axis=1)), np.flatnonzero(reached.any(axis=0))
    return [(int(found[0]), int(found[-1])) for found in (rows, columns)]


def compare_with_gradients(model: keras.Model, names: list[str], units: Callable[[int], list[int]],
                           precision: str = "float64") -> int:  # fmt: skip
    """Assert that the units see exactly the predicted pixels; return the number of compared units.

    If a window extends over the border, zeros of a map replace pixels that may be in the image. There, the unit may see
    fewer pixels than predicted.
    """
    thinned = skeleton(model, precision)
    probe = keras.Model(thinned.inputs, [thinned.get_layer(name).output for name in names])
    sides = model.inputs[0].shape[1:3]
    image = tf.random.stateless_uniform((1, *model.inputs[0].shape[1:]), (0, 0), 0.5, 1.5, precision)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(image)
        outputs = probe(image)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        picked = [(name, (y, x), tf.reduce_sum(output[0, y, x])) for name, output in zip(names, outputs, strict=True)
                  for y in units(output.shape[1]) for x in units(output.shape[2])]  # fmt: skip
    exact = 0
    for name, place, unit in picked:
        theory = [field.at(index) for field, index in zip(fields(model, name), place, strict=True)]
        if any(low >= side or high < 0 for (low, high), side in zip(theory, sides, strict=True)):
            continue  # in the padding
        for found, (low, high), side in zip(seen(tape.gradient(unit, image)), theory, sides, strict=True):
            inside = low >= 0 and high < side
            exact += inside
            message = (name, place, found, (low, high))
            assert found == (low, high) if inside else low <= found[0] and found[1] <= high, message
    return exact


@pytest.mark.parametrize("name", shared(backbones.names()))
def test_theory_and_gradients_agree_in_every_architecture(name: str) -> None:
    side = max(smallest_side(name), 29) + 90  # maps have both even and odd sides
    backbone = base_of(name, side, side + 9)
    maps = [layer.name for layer in describe(backbone) if len(layer.shape) == 3]
    some = [maps[i] for i in np.unique(np.linspace(0, len(maps) - 1, 7).astype(int))]
    assert compare_with_gradients(backbone, some, lambda count: [count // 2]) >= 4


@pytest.mark.parametrize("decoder", ["interpolate", "transpose"])
def test_theory_and_gradients_agree_in_the_decoder(decoder: str) -> None:
    config = model_config("segmenter", filters=[4, 6, 8], decoder=decoder)
    model = build(config, InputSpec(160, 160, 1), 2).predictive()
    assert compare_with_gradients(model, ["logits"], lambda count: [count // 2, count // 2 + 1], "float32") == 8


def test_unpooling_sees_the_pixels_of_its_values_and_of_its_maxima() -> None:
    """After 2×2 pooling, a 3×3 convolution and unpooling, units 2i and 2i + 1 see pooled units i − 1 to i + 1."""
    image = keras.Input((8, 12, 1))
    x = layers.Conv2D(1, 3, padding="same")(layers.MaxPooling2D(2)(image))
    model = keras.Model(image, layers.ReLU(name="last")(max_unpool(x, image)))
    assert fields(model, "last") == (Field((-2, -2), (3, 3), 2), Field((-2, -2), (3, 3), 2))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "last", "published"), [("resnet", "conv5_block3_out", 483),
                                                         ("inception", "mixed10", 1311), ("vgg", "block5_pool", 212),
                                                         ("alexnet", "conv5_pool", 195)])  # fmt: skip
def test_theory_and_gradients_agree_for_a_whole_field_within_a_large_image(
    name: str, last: str, published: int
) -> None:
    side = published + 130
    backbone = base_of(name, side, side)
    assert fields(backbone, last)[0].size == published
    assert compare_with_gradients(backbone, [last], lambda count: [count // 2]) == 2


@pytest.mark.parametrize(("name", "changes", "last", "size", "jump"), [
    ("vgg", {}, "block5_pool", 212, 32),
    ("vgg", {"depth": 19}, "block5_pool", 268, 32),
    ("resnet", {}, "conv5_block3_out", 483, 32),
    ("resnet", {"depth": 101}, "conv5_block3_out", 1027, 32),
    ("resnet", {"depth": 152}, "conv5_block3_out", 1507, 32),
    ("inception", {}, "mixed10", 1311, 32),
    ("alexnet", {}, "conv5_pool", 195, 32),
])  # fmt: skip
def test_fields_have_their_published_sizes(name: str, changes: dict[str, Any], last: str, size: int, jump: int) -> None:
    model = build(model_config(name, **changes), InputSpec(75, 75, 3), 2).model
    vertical, horizontal = fields(model, last)
    assert (vertical.size, horizontal.size, vertical.jump) == (size, size, jump)


def test_two_convolutions_and_pooling_by_hand() -> None:
    image = keras.Input((20, 30, 1))
    x = layers.Conv2D(2, (3, 5), strides=(1, 2), name="wide")(image)  # rows 0–2, columns 0–4
    x = layers.MaxPooling2D(2, name="pool")(x)  # rows 0–3, columns 0–6
    x = layers.Conv2D(2, 3, padding="same", dilation_rate=2, name="apart")(x)
    model = keras.Model(image, x)
    assert fields(model, "wide") == (Field((0,), (2,), 1), Field((0,), (4,), 2))
    assert fields(model, "pool") == (Field((0,), (3,), 2), Field((0,), (6,), 4))
    # a reach of 2 units to either side: −4 … 3 + 4 in rows, −8 … 6 + 8 in columns
    assert fields(model, "apart") == (Field((-4,), (7,), 2), Field((-8,), (14,), 4))
    assert [field.size for field in fields(model, "apart")] == [12, 23]
    assert [field.centre for field in fields(model, "apart")] == [1.5, 3.0]


BRANCHES = {
    "transposed": lambda x: layers.Conv2DTranspose(2, 3, 2, "same", name="last")(x),
    "transposed_valid": lambda x: layers.Conv2DTranspose(2, 5, 3, "valid", name="last")(x),
    "transposed_gaps": lambda x: layers.Conv2DTranspose(2, 2, 2, "same", name="last")(x),
    "nearest": lambda x: layers.UpSampling2D(3, name="last")(x),
    "repeated": lambda x: layers.Activation("linear", name="last")(keras.ops.repeat(keras.ops.repeat(x, 2, 1), 3, 2)),
    "bilinear": lambda x: layers.UpSampling2D(2, interpolation="bilinear", name="last")(x),
    "resized_up": lambda x: layers.Resizing(19, 23, name="last")(x),
    "resized_down": lambda x: layers.Resizing(5, 4, antialias=True, name="last")(x),
    "cropped": lambda x: layers.Cropping2D(((1, 2), (0, 3)), name="last")(x),
    "depthwise": lambda x: layers.DepthwiseConv2D(3, 2, "same", name="last")(x),
    "separable": lambda x: layers.SeparableConv2D(3, 5, 1, "same", name="last")(x),
    "upsampled_and_convolved": lambda x: layers.Conv2D(2, 3, name="last")(layers.UpSampling2D(2)(x)),
    "skip": lambda x: layers.Concatenate(name="last")([x, layers.UpSampling2D(2)(layers.MaxPooling2D(2)(x))]),
    "unequal": lambda x: layers.Add(name="last")([layers.Conv2D(2, 5, padding="same")(x), x]),
}


@pytest.mark.parametrize("kind", BRANCHES)
def test_theory_and_gradients_agree_in_other_layers(kind: str) -> None:
    image = keras.Input((24, 28, 2))
    x = layers.Conv2D(2, 3, 2, "same")(image)  # 12×14
    model = keras.Model(image, BRANCHES[kind](x))
    assert compare_with_gradients(model, ["last"], lambda count: list(range(0, count, 3)), "float32") >= 2


def test_global_pooling_and_later_layers_see_the_whole_image() -> None:
    image = keras.Input((12, 10, 3))
    x = layers.Conv2D(4, 3)(image)
    scale = layers.Dense(4)(layers.GlobalAveragePooling2D(keepdims=True, name="squeezed")(x))
    x = layers.Multiply(name="excited")([x, scale])
    model = keras.Model(image, layers.Dense(2, name="out")(layers.Flatten(name="flat")(x)))
    for name in ("squeezed", "excited", "flat", "out"):
        assert [(field.size, field.shift) for field in fields(model, name)] == [(12, 0), (10, 0)]


def test_pixels_that_a_strided_network_leaves_out_are_not_counted() -> None:
    image = keras.Input((11, 12, 1))
    model = keras.Model(image, layers.Flatten(name="flat")(layers.MaxPooling2D(4)(image)))
    assert [field.size for field in fields(model, "flat")] == [8, 12]


def test_unknown_operations_and_later_layers_have_no_field() -> None:
    image = keras.Input((8, 6, 1))
    x = layers.Permute((2, 1, 3), name="turned")(image)
    model = keras.Model(image, layers.Conv2D(1, 3, name="after")(x))
    assert row(model, "turned").fields is None
    assert row(model, "after").fields is None


def test_a_pattern_is_reduced_to_its_shortest_period() -> None:
    twice = receptive_field.through(PIXELS, receptive_field.Window(lambda i: i // 2, lambda i: i // 2, 2, 1))
    assert (twice.low, twice.shift) == ((0, 0), 1)
    pooled = receptive_field.through(twice, receptive_field.Window(lambda i: 2 * i, lambda i: 2 * i + 1, 1, 2))
    assert pooled == PIXELS
