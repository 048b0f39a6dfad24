"""Backbones of keras-hub from small local presets: blocks, regimes, weights, and what is refused."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cvlib import tasks
from cvlib.config.schema import DataConfig, FeatureExtractor, Finetune, Scratch
from cvlib.inspection import attribution, embedding, layers
from cvlib.runtime.errors import UserError
from cvlib.transfer import freezing, regimes, sources, weights
from cvlib.transfer.regimes import Phase
from tests.configs import config, model_config
from tests.models import hub_presets
from tests.models.hub_presets import FEATURES, SIDE, damaged, original, preset, side
from tests.networks import network, network_of, seen_by_base

pytestmark = pytest.mark.usefixtures("eager")

BLOCKS = {
    "vit": ["vit", "transformer_block_1", "transformer_block_2", "ln"],
    "gap": ["vit", "transformer_block_1", "transformer_block_2", "ln"],
    "dinov2": ["embeddings", "layers_0", "layers_1", "layernorm"],
    "resnet": ["conv1", "stack0", "stack1", "stack2", "stack3"],
}


def built(kind: str, size: int | None = None) -> Any:
    return network("hub", size or side(kind), preset=preset(kind))


@functools.cache
def shared(kind: str) -> Any:
    """Return a network that several tests use; they may only load the preset's weights into it."""
    return built(kind)


def images(size: int = SIDE, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, size, size, channels)).astype(np.float32)


@pytest.mark.parametrize("kind", BLOCKS)
def test_its_blocks_are_those_of_the_architecture(kind: str) -> None:
    found = shared(kind)
    blocks = found.backbone.blocks(found.base)
    assert [block.name for block in blocks] == BLOCKS[kind]
    assert [layer for block in blocks for layer in block.layers] == [
        layer for layer in found.base.layers if layer.count_params()
    ]


@pytest.mark.parametrize("kind", BLOCKS)
def test_the_base_computes_what_keras_hub_computes(kind: str) -> None:
    found, theirs = shared(kind), original(kind)
    loaded = weights.load_into(found.base, found.config, "imagenet")
    assert (loaded.source, loaded.matched, loaded.skipped) == (preset(kind), found.base.count_params(), [])
    raw = images(side(kind))
    pixels = raw / 255
    expected = np.asarray(theirs({"images": pixels} if kind == "dinov2" else pixels))
    features = np.asarray(found.cut().base(raw) if kind != "vit" else found.base(pixels)[:, 0, 0])
    if kind == "gap":
        expected = expected.mean(axis=1)
    elif kind == "resnet":
        expected = expected.mean(axis=(1, 2))
    else:
        expected = expected[:, 0]  # the class token
    np.testing.assert_allclose(features, expected, atol=1e-5)


def test_pixels_are_those_of_the_image_converter() -> None:
    expected = images() * hub_presets.SCALE + hub_presets.OFFSET
    np.testing.assert_allclose(seen_by_base(shared("vit"), images()), expected, rtol=1e-4, atol=1e-4)
    grey = images(channels=1)
    found = seen_by_base(network("hub", SIDE, 1, preset=preset("vit")), grey)
    np.testing.assert_allclose(found, grey * hub_presets.SCALE + hub_presets.OFFSET, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(seen_by_base(shared("gap"), images()), images() / 255, atol=1e-6)  # has no converter


@pytest.mark.parametrize("kind", ["vit", "dinov2"])
def test_frozen_blocks_run_in_inference_mode_and_stay_unchanged(kind: str) -> None:
    found = built(kind)
    last = BLOCKS[kind][1]
    freezing.apply(found, Phase(0, 1, last))
    found.model.compile(keras.optimizers.SGD(0.1), "mse")
    part = keras.Model(found.base.input, found.base.get_layer(last).output)
    expected, before = np.asarray(part(images() / 255, training=False)), freezing.frozen_hashes(found)
    np.testing.assert_array_equal(np.asarray(part(images() / 255, training=True)), expected)
    above = np.array(found.base.get_layer(BLOCKS[kind][2]).trainable_variables[-1])
    found.model.train_on_batch(images(), np.ones((2, 4), np.float32))
    assert freezing.verify_frozen(before, freezing.frozen_hashes(found)) > 0
    assert (above != np.array(found.base.get_layer(BLOCKS[kind][2]).trainable_variables[-1])).any()


def test_rates_fall_and_blocks_join_from_the_top() -> None:
    found = shared("vit")
    mode = Finetune(weights="x", head_epochs=1, unfreeze="gradual", layer_decay=0.5, backbone_lr=1.0)
    phases = freezing.phases(found, mode, 5)
    assert [freezing.first_trained_block(found, phase) for phase in phases] == [None, *reversed(BLOCKS["vit"])]
    assert [rate for _, rate in freezing.block_rates(found, phases[-1])] == [0.125, 0.25, 0.5, 1.0]


@pytest.mark.parametrize("mode", [Scratch(), FeatureExtractor(), Finetune()], ids=lambda mode: mode.name)
def test_regimes_start_where_the_preset_does(mode: Any) -> None:
    chosen = config("hub", mode=mode, data=DataConfig("digits", pretrain_on="letters"), preset=preset("vit"))
    sources.check(chosen)
    assert tasks.input_size(chosen, (8, 8)) == (SIDE, SIDE)
    found = network_of(chosen.model, SIDE)
    freezing.apply(found, regimes.phases(mode, 2)[-1])
    base = found.cut().base
    assert base.output_shape == (None, FEATURES)  # cached features; the class token
    assert bool(base.trainable_variables) == (mode.name != "feature_extractor")


@pytest.mark.parametrize("kind", ["vit", "dinov2"])
def test_weights_of_a_trained_base_are_loaded_from_a_file(kind: str, tmp_path: Path) -> None:
    first, second = built(kind), built(kind)
    for variable in first.base.trainable_variables:
        variable.assign(variable - 0.1)
    first.base.save_weights(tmp_path / "base.weights.h5")
    weights.load_into(second.base, second.config, str(tmp_path / "base.weights.h5"))
    pixels = images(side(kind))
    np.testing.assert_array_equal(second.base(pixels), first.base(pixels))


def test_detectors_and_segmenters_use_the_pyramid() -> None:
    for name, key in (("yolo", "backbone"), ("segmenter", "encoder")):
        found = network(name, 64, 1, **{key: "hub"}, preset=preset("resnet"))
        assert {"stack1_block0_out", "stack2_block0_out"} <= {layer.name for layer in found.base.layers}
        assert weights.load_into(found.base, found.config, "imagenet").matched == found.base.count_params()
    with pytest.raises(UserError, match="DINOV2Backbone, which has no pyramid of feature maps for detectors"):
        model_config("yolo", backbone="hub", preset=preset("dinov2"))


@pytest.mark.parametrize(("kind", "size", "mode", "words"), [
    ("vit", 20, Scratch(), "patches of 8×8 pixels: choose a multiple"),
    ("vit", 24, Finetune(), "fit only images of 16×16 pixels: set data.image_size=16"),
    ("vit", 24, Scratch(), None),
    ("dinov2", 24, Finetune(), None),  # its positions are interpolated
])  # fmt: skip
def test_a_size_that_does_not_fit_is_refused_before_images_are_read(
    kind: str, size: int, mode: Any, words: str | None
) -> None:
    chosen = config("hub", mode=mode, data=DataConfig(image_size=size), preset=preset(kind))
    if words is None:
        return sources.check(chosen)
    with pytest.raises(UserError, match=words):
        sources.check(chosen)
    return None


def test_positions_are_interpolated_for_images_of_another_size() -> None:
    found = built("dinov2", 32)
    weights.load_into(found.base, found.config, "imagenet")
    theirs = hub_presets.library().models.Backbone.from_preset(preset("dinov2"), image_shape=(32, 32, 3))
    expected = np.asarray(theirs({"images": images(32) / 255}))[:, 0]
    np.testing.assert_allclose(found.cut().base(images(32)), expected, atol=1e-5)


@pytest.mark.parametrize(("given", "words"), [
    (None, "model=hub needs a preset of keras-hub: set model.preset"),
    ("vit_base_patch16_224_imagenett", "no such preset: did you mean vit_base_patch16_224_imagenet"),
])  # fmt: skip
def test_a_missing_or_unknown_preset_is_refused(given: str | None, words: str) -> None:
    hub_presets.library()
    with pytest.raises(UserError, match=words):
        sources.check(config("hub", preset=given))


@pytest.mark.parametrize(("mode", "changes", "words"), [
    (Scratch(), {"module": "os", "class_name": "system"}, "system is not a backbone of keras-hub"),
    (Scratch(), {"class_name": "ViTEncoder", "registered_name": None}, "ViTEncoder is not a backbone of keras-hub"),
    (Finetune(), {}, "has no weights"),
])  # fmt: skip
def test_a_damaged_preset_is_refused(mode: Any, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        chosen = config("hub", mode=mode, preset=str(damaged("vit", "config.json", **changes)))
        sources.check(chosen)
        network_of(chosen.model, SIDE)


def test_the_layer_table_counts_the_blocks_multiply_adds() -> None:
    """A block has 5 tokens of 8 features: attention (4 projections and 2 products), and an MLP of two 8×8 layers."""
    rows = {row.name: row for row in layers.describe(shared("vit").model)}
    assert rows["transformer_block_1"].multiply_adds == 4 * 5 * 64 + 2 * 5 * 5 * 8 + 2 * 5 * 64
    assert rows["vit_patching_and_embedding"].multiply_adds == 4 * 8 * 8 * 3 * 8  # 4 patches
    assert rows["transformer_block_1"].fields is None and rows["features"].fields is None  # unknown receptive fields


@pytest.mark.parametrize(("kind", "has_places"), [("vit", False), ("gap", True)])
def test_only_patches_have_places_to_explain(kind: str, has_places: bool) -> None:
    """The map of a class token is a single unit, so Grad-CAM on it shows nothing."""
    model = tasks.of("classification").inference(shared(kind))
    assert attribution.has_places(model) == has_places
    assert embedding.features_step(model) is not None
