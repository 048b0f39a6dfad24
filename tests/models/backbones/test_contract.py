"""The contract of every backbone. A new file in cvlib/models/backbones is tested automatically."""

from __future__ import annotations

import dataclasses
import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cvlib.config.fields import Options, check_bounds
from cvlib.config.schema import ModelConfig
from cvlib.models import backbones
from cvlib.models.backbone import Level
from cvlib.models.network import Network
from cvlib.models.options import read_model
from cvlib.runtime.errors import UserError
from cvlib.training import optimizer
from cvlib.transfer import freezing
from cvlib.transfer.regimes import ALL, Phase
from tests.networks import large_ones_slow, network_of

pytestmark = pytest.mark.usefixtures("eager")

# Options that make a base small; any other backbone is tested with its defaults.
SMALL: dict[str, dict[str, Any]] = {
    "alexnet": {"dense": [8]},
    "cnn": {"filters": [4, 6, 8], "convolutions": 2, "dense": [8], "dropout": 0.5, "batch_norm": True},
    "darknet": {"filters": [4, 4, 8, 8, 8]},
    "mobilenet": {"alpha": 0.35},
}
NAMES = [name for name in backbones.names() if name != "hub"]  # hub needs a preset: test_hub.py
WITH_LEVELS = [name for name in NAMES if backbones.get(name).has_feature_levels]
MOST_LOST = 4  # units that convolutions without padding may remove from a map's side in total


def model(name: str, feature_levels: bool = False) -> ModelConfig:
    """Return the options of a classifier, or of a segmenter with this encoder."""
    base = {"name": "segmenter", "task": "segmentation", "head": "decoder", "encoder": name}
    return read_model({**(base if feature_levels else {"name": name, "head": "dense"}), **SMALL.get(name, {})})


def smallest_side(name: str, feature_levels: bool = False) -> int:
    return backbones.get(name).smallest_side(model(name).backbone_options, feature_levels)


def side(name: str) -> int:
    """Return the smallest multiple of 64 pixels that the backbone supports."""
    return 64 * -(-smallest_side(name, name in WITH_LEVELS) // 64)


@functools.cache
def classifier(name: str) -> Network:
    return network_of(model(name), side(name))


@functools.cache
def levels_base(name: str) -> keras.Model:
    """Return the base with all its maps, for images that are 64 pixels wider than high."""
    backbone, options = backbones.get(name), model(name, feature_levels=True).backbone_options
    whole = backbone.build(options, (side(name), side(name) + 64, backbone.channels or 3), True)
    return keras.Model(whole.input, [whole.get_layer(layer).output for layer in backbone.feature_maps(options)])


@pytest.mark.parametrize("name", NAMES)
def test_it_declares_its_options_with_defaults_in_bounds(name: str) -> None:
    backbone = backbones.get(name)
    assert backbone.name == name
    assert issubclass(backbone.options, Options)
    check_bounds(backbone.options(), "model")
    assert set(backbone.shape_options) <= {field.name for field in dataclasses.fields(backbone.options)}
    assert backbone.channels in (None, 3)
    assert smallest_side(name) >= 1


def test_declarations_need_no_keras() -> None:
    code = (
        "import sys; sys.modules.update(keras=None, tensorflow=None)\n"
        "from cvlib.models import backbones, heads\n"
        "for name in backbones.names(): assert backbones.get(name).options()\n"
        "for name in heads.names(): assert heads.get(name).options()\n"
        "print(*backbones.names())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False,
                            cwd=Path(__file__).parents[3])  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == backbones.names()


@pytest.mark.parametrize("name", large_ones_slow(WITH_LEVELS))
def test_strides_and_channels_of_its_levels_match_the_maps(name: str) -> None:
    backbone, options = backbones.get(name), model(name, feature_levels=True).backbone_options
    levels, names, strides = backbone.feature_levels(options), backbone.feature_maps(options), backbone.strides(options)
    assert names[: len(levels)] == [level.layer for level in levels]
    assert strides == sorted(set(strides)) and len(names) == len(strides)
    channels = [level.channels for level in levels]
    channels += channels[-1:] * (len(names) - len(levels))  # pooling keeps them
    for layer, stride, width, tensor in zip(names, strides, channels, levels_base(name).outputs, strict=True):
        rows, columns, depth = tensor.shape[1:]
        assert depth == width, layer
        assert columns - rows == 64 / stride, layer  # 64 pixels are 64 / stride units; border losses cancel
        assert 0 <= side(name) // stride - rows <= MOST_LOST, layer


@pytest.mark.parametrize("name", large_ones_slow(WITH_LEVELS))
def test_the_poolings_of_its_levels_match_their_declaration(name: str) -> None:
    backbone, options = backbones.get(name), model(name, feature_levels=True).backbone_options
    whole = backbone.build(options, (side(name), side(name), backbone.channels or 3), True)
    levels = [level for level in backbone.feature_levels(options) if level.pooled]
    if not levels:
        assert backbone.feature_maps(options) == [level.layer for level in backbone.feature_levels(options)]
        return
    tensors = [whole.get_layer(layer).output for level in levels for layer in (level.layer, str(level.pooled))]
    image = np.random.default_rng(0).uniform(-1, 1, (1, *whole.input_shape[1:])).astype(np.float32)
    found = keras.Model(whole.input, tensors).predict(image, verbose=0)
    for level, full, pooled in zip(levels, found[::2], found[1::2], strict=True):
        _assert_pooled(level, full[0], pooled[0])


def _assert_pooled(level: Level, full: np.ndarray, pooled: np.ndarray) -> None:
    rows, columns = full.shape[0] // 2, full.shape[1] // 2
    windows = full[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2, -1)
    assert pooled.shape == (rows, columns, full.shape[-1]), level.layer
    is_maximum = np.allclose(pooled, windows.max(axis=(1, 3)), atol=1e-6)
    assert is_maximum or not level.max_pooled, level.layer


@pytest.mark.parametrize("name", large_ones_slow(NAMES))
def test_its_blocks_cover_every_layer_with_weights_in_order(name: str) -> None:
    built = classifier(name)
    blocks = built.backbone.blocks(built.base)
    in_blocks = [layer.name for block in blocks for layer in block.layers]
    assert in_blocks == [layer.name for layer in built.base.layers if layer.count_params()]
    assert len({block.name for block in blocks}) == len(blocks)


@pytest.mark.parametrize("name", large_ones_slow(NAMES))
def test_weight_decay_applies_to_its_kernels_only(name: str) -> None:
    variables = classifier(name).base.variables
    trained = [variable for variable in variables if "moving_" not in variable.name and "seed" not in variable.name]
    assert {variable.path for variable in trained if optimizer.is_decayed(variable)} == {
        variable.path for variable in trained if len(variable.shape) > 1
    }


def assert_frozen_part_is_unchanged(built: Network, freeze: Any) -> None:
    """Assert that the first layers always run in inference mode and keep their weights."""
    freezing.apply(built, Phase(0, 1, freeze))
    last = built.base.layers[freezing.frozen_layers(built, freeze) - 1]
    part = keras.Model(built.base.input, last._inbound_nodes[-1].outputs[0])  # a nested model's .output is internal
    pixels = np.random.default_rng(1).uniform(-1, 1, (2, *built.base.input_shape[1:])).astype(np.float32)
    inference = np.asarray(part(pixels, training=False))
    before = [np.array(weight) for weight in part.weights]
    for _ in range(2):
        np.testing.assert_array_equal(np.asarray(part(pixels, training=True)), inference)
    for weight, value in zip(part.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize("name", large_ones_slow(NAMES))
@pytest.mark.parametrize("freeze", [ALL, 0.5])
def test_frozen_layers_run_in_inference_mode_regardless_of_training(name: str, freeze: Any) -> None:
    built = classifier(name)
    try:
        assert_frozen_part_is_unchanged(built, freeze)
    finally:
        freezing.apply(built, Phase(0, 1))


@pytest.mark.parametrize("name", NAMES)
def test_an_image_below_its_smallest_side_is_refused(name: str) -> None:
    for levels in {False, name in WITH_LEVELS}:
        smallest = smallest_side(name, levels)
        with pytest.raises(
            UserError, match=f"images of {smallest - 1}×300 pixels are too small.*at least {smallest} p"
        ):
            network_of(model(name, levels), (smallest - 1, 300))


@pytest.mark.parametrize("name", large_ones_slow(NAMES))
def test_it_accepts_images_of_its_smallest_side(name: str) -> None:
    levels = name in WITH_LEVELS
    smallest = smallest_side(name, levels)
    assert network_of(model(name, levels), smallest, 1).model.input_shape == (None, smallest, smallest, 1)


@pytest.mark.parametrize("name", large_ones_slow(WITH_LEVELS))
def test_a_classifiers_weights_fit_the_base_with_levels(name: str) -> None:
    as_classifier = [weight.shape for weight in classifier(name).base.weights]
    with_levels = [weight.shape for weight in levels_base(name).weights]
    assert 0 < len(with_levels) <= len(as_classifier)
    assert as_classifier[: len(with_levels)] == with_levels


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITH_LEVELS])
def test_a_backbone_without_levels_is_refused_as_an_encoder(name: str) -> None:
    with pytest.raises(UserError, match=f"model.encoder={name} has no feature maps.*choose one of {WITH_LEVELS[0]}"):
        model(name, feature_levels=True)
