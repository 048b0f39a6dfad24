"""The layer table, compared with hand-computed numbers, published totals and Keras' counts."""

from __future__ import annotations

import keras
import pytest
from keras import layers

from cvlib.data.input_spec import InputSpec
from cvlib.inspection import layer_table
from cvlib.inspection import layers as inspection
from cvlib.models.network import build
from cvlib.transfer import freezing
from cvlib.transfer.regimes import Phase
from tests.configs import CONF, model_config
from tests.networks import shared

SHIPPED = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))


def small() -> keras.Model:
    image = keras.Input((9, 12, 3))
    x = layers.Conv2D(8, (3, 5), strides=(2, 1), padding="same", name="convolution")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Conv2D(6, 3, groups=2, use_bias=False, dilation_rate=2, name="grouped")(x)
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="depthwise")(x)
    x = layers.SeparableConv2D(5, 3, padding="same", name="separable")(x)
    x = layers.Conv2DTranspose(4, 2, strides=2, name="transposed")(x)
    return keras.Model(image, layers.Dense(7, name="dense")(layers.Flatten(name="flat")(x)))


def test_a_row_of_the_layer_table_by_hand() -> None:
    rows = {row.name: row for row in inspection.describe(small())}
    first = rows["convolution"]
    assert (first.kind, first.shape, first.change) == ("Conv2D", (5, 12, 8), (-4, 0, 5))
    assert (first.kernel, first.stride, first.padding, first.dilation) == ((3, 5), (2, 1), "same", (1, 1))
    assert (first.parameters, first.multiply_adds) == ((3 * 5 * 3 + 1) * 8, 3 * 5 * 3 * 8 * 5 * 12)
    assert first.activation_bytes == 4 * 5 * 12 * 8
    assert (rows["grouped"].shape, rows["grouped"].dilation) == ((1, 8, 6), (2, 2))


@pytest.mark.parametrize(("name", "parameters", "multiply_adds"), [
    ("norm", 4 * 8, 0),
    ("grouped", 3 * 3 * 4 * 6, 3 * 3 * 4 * 6 * 8),
    ("depthwise", (3 * 3 + 1) * 12, 3 * 3 * 12 * 8),
    ("separable", 3 * 3 * 12 + (12 + 1) * 5, 8 * (3 * 3 * 12 + 12 * 5)),
    ("transposed", (2 * 2 * 5 + 1) * 4, 8 * 5 * 2 * 2 * 4),
    ("flat", 0, 0),
    ("dense", (2 * 16 * 4 + 1) * 7, 2 * 16 * 4 * 7),
])  # fmt: skip
def test_parameters_and_multiply_adds_by_hand(name: str, parameters: int, multiply_adds: int) -> None:
    row = next(row for row in inspection.describe(small()) if row.name == name)
    assert (row.parameters, row.formula, row.multiply_adds) == (parameters, parameters, multiply_adds)


def test_multiply_adds_of_attention_by_hand() -> None:
    """5 tokens of 8 features: 4 projections of 8×8, queries times keys, and weights times values."""
    assert inspection.multiply_adds(_attention(), [5, 8], [5, 8]) == 4 * 5 * 8 * 8 + 2 * 5 * 5 * 8


def _attention() -> keras.layers.Layer:
    layer = layers.MultiHeadAttention(num_heads=2, key_dim=4)
    tokens = keras.Input((5, 8))
    layer(tokens, tokens)
    return layer


@pytest.mark.parametrize("name", shared(SHIPPED))
def test_every_formula_agrees_with_keras_in_every_architecture(name: str) -> None:
    side = {"alexnet": 67, "inception": 75}.get(name, 32)
    model = build(model_config(name), InputSpec(side, side, 3), 10).model
    rows = inspection.describe(model)
    assert inspection.miscounted(rows) == []
    assert sum(row.parameters for row in rows) == model.count_params()
    assert all(row.formula is not None for row in rows if row.parameters)
    assert all(row.fields is not None for row in rows)


@pytest.mark.parametrize(("name", "side", "billions"), [("resnet", 224, 3.86), ("vgg", 224, 15.35),
                                                        ("alexnet", 227, 1.135)])  # fmt: skip
def test_multiply_adds_equal_published_numbers(name: str, side: int, billions: float) -> None:
    model = build(model_config(name), InputSpec(side, side, 3), 1000).model
    found = inspection.total(inspection.describe(model), model)["multiply_adds"]
    assert found / 1e9 == pytest.approx(billions, abs=0.006)


def test_a_shared_layer_is_counted_once() -> None:
    image = keras.Input((6, 6, 2))
    shared = layers.Conv2D(2, 3, padding="same", name="shared")
    model = keras.Model(image, shared(shared(image)))
    rows = inspection.describe(model)
    assert [(row.name, row.parameters, row.state) for row in rows] == [("shared", 38, "trainable"),
                                                                       ("shared#2", 0, "shared")]  # fmt: skip
    assert inspection.miscounted(rows) == []
    assert inspection.total(rows, model)["parameters"] == 38


def test_averages_of_an_unfrozen_batch_norm_do_not_count_as_frozen() -> None:
    network = build(model_config("cnn", filters=[4, 6], dense=[], batch_norm=True), InputSpec(12, 12, 1), 2)
    model = network.model
    whole = inspection.total(inspection.describe(model), model)
    assert (whole["frozen"], whole["averages"]) == (0, 2 * (4 + 6))
    assert ", 0 frozen, 20 BatchNorm averages)" in layer_table.lines(layer_table.table(model))[-1]
    network.base.trainable = False
    whole = inspection.total(inspection.describe(model), model)
    assert (whole["frozen"], whole["averages"]) == (whole["parameters"] - whole["trainable"], 0)


def test_frozen_layers_are_marked() -> None:
    network = build(model_config("cnn", batch_norm=False), InputSpec(12, 12, 1), 2)
    freezing.apply(network, Phase(0, 1, "conv1_pool"))
    model = network.model
    rows = inspection.describe(model)
    assert {row.name: row.state for row in rows if row.state} == {
        "conv1": "frozen", "conv2": "trainable", "dense1": "trainable", "logits": "trainable"
    }  # fmt: skip
    whole = inspection.total(rows, model)
    assert whole["frozen"] == 320
    assert whole["trainable"] == whole["parameters"] - 320


def test_the_table_is_printed_as_text() -> None:
    rows = layer_table.table(build(model_config("cnn", batch_norm=False), InputSpec(28, 28, 1), 10).model)
    lines = layer_table.lines(rows)
    assert lines[0].startswith("layer")
    assert lines[0].split()[-3:] == ["field", "jump", "centre"]
    conv2 = next(line for line in lines if line.startswith("conv2 "))
    assert " ".join(conv2.split()) == (
        "conv2 Conv2D 14×14×64 0 0 +32 3×3 1×1 same 1×1 18,496 trainable 3,612,672 49.0 KiB 8×8 2×2 0.5, 0.5"
    )
    assert lines[-1].startswith("total: 421,642 parameters (421,642 trainable, 0 frozen), 4,241,152 multiply–adds and ")


def test_records_hold_plain_numbers() -> None:
    found = layer_table.records(inspection.describe(small()))[0]
    assert found["layer"] == "convolution"
    assert (found["delta_height"], found["kernel_width"], found["field_size_y"], found["field_jump_y"]) == (-4, 5, 3, 2)
    assert found["field_centre_y"] == 0


def test_objects_larger_than_the_field_or_smaller_than_the_jump_give_warnings() -> None:
    image = keras.Input((64, 64, 1))
    x = layers.Conv2D(2, 3, 2, "same")(image)
    model = keras.Model(image, layers.Conv2D(2, 3, 2, "same")(x))  # a field of 7, a unit every 4 pixels
    rows = inspection.describe(model)
    assert inspection.field_warnings(rows, [(7, 7), (4, 4)]) == []
    large = inspection.field_warnings(rows, [(2, 5), (30, 5), (8, 5)])
    assert len(large) == 1
    assert "is 7×7 pixels, but the typical object is 8×5" in large[0]
    tiny = inspection.field_warnings(rows, [(3, 3)], "digit")
    assert [line.split(":")[0] for line in tiny] == [
        "the last feature map has a unit every 4×4 pixels, but the typical digit is only 3×3"
    ]
    assert inspection.field_warnings(rows, []) == []
