"""Transfer of a base between tasks: weights fit both classifiers and networks with feature levels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cvlib import tasks
from cvlib.config.schema import ModelConfig
from cvlib.models.network import Network
from cvlib.runtime.errors import UserError
from cvlib.transfer import weights
from tests.configs import model_config
from tests.networks import assert_same_weights, large_ones_slow, network, network_of, seen_by_base

pytestmark = pytest.mark.usefixtures("eager")

CNN: dict[str, Any] = {"filters": [4, 6, 8], "spatial_dropout": 0.1, "batch_norm": True, "convolutions": 1}

# family, side, and (side, channels) of each level, computed from the published layer tables
LEVELS = [
    ("cnn", 20, [(20, 4), (10, 6), (5, 8), (2, 8)]),
    ("vgg", 96, [(96, 64), (48, 128), (24, 256), (12, 512), (6, 512), (3, 512)]),
    ("resnet", 96, [(48, 64), (24, 256), (12, 512), (6, 1024), (3, 2048)]),
    ("inception", 299, [(147, 64), (71, 192), (35, 288), (17, 768), (8, 2048)]),
]


def classifier(family: str, side: int, channels: int = 3) -> Network:
    changes = {**CNN, "dense": [8]} if family == "cnn" else {}
    return network(family, side, channels, 5, **changes)


def config(family: str) -> ModelConfig:
    return model_config("segmenter", encoder=family, **CNN)


def segmenter(family: str, side: int, channels: int = 3) -> Network:
    return network_of(config(family), side, channels, 5)


@pytest.mark.parametrize(("family", "side", "levels"), LEVELS)
def test_levels_are_the_last_maps_of_each_resolution(family: str, side: int, levels: list[tuple[int, int]]) -> None:
    base = segmenter(family, side).base
    assert base.name == "backbone"
    assert [tuple(output.shape[1:]) for output in base.outputs] == [(s, s, channels) for s, channels in levels]


@pytest.mark.parametrize(
    ("family", "side"),
    [
        ("cnn", 16),
        ("vgg", 32),
        pytest.param("resnet", 32, marks=pytest.mark.slow),
        pytest.param("inception", 75, marks=pytest.mark.slow),
    ],
)
def test_the_base_of_a_classification_run_is_loaded(family: str, side: int, tmp_path: Path) -> None:
    source = classifier(family, side)
    for layer in source.base.layers:  # moving statistics that aren't the initial ones
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(np.linspace(0, 1, layer.moving_mean.shape[0]))
    tasks.of("classification").inference(source).save(tmp_path / "model.keras")
    (tmp_path / "summary.json").write_text(json.dumps({"status": "completed", "model": family}))

    target = segmenter(family, side).base
    names = [layer.name for layer in target.layers[1:]]
    assert names == [layer.name for layer in source.base.layers[1 : len(names) + 1]]
    loaded = weights.load_into(target, config(family), str(tmp_path))
    assert loaded.matched == target.count_params()
    image = np.random.default_rng(0).uniform(-1, 1, (1, side, side, 3)).astype(np.float32)
    expected = keras.Model(source.base.inputs, [source.base.get_layer(tensor._keras_history.operation.name).output
                                                for tensor in target.outputs])  # fmt: skip
    for ours, theirs in zip(target.predict(image, verbose=0), expected.predict(image, verbose=0), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_the_base_of_a_segmentation_run_is_loaded_and_another_family_is_refused(tmp_path: Path) -> None:
    source = segmenter("cnn", 16).base
    source.save(tmp_path / "model.keras")
    (tmp_path / "summary.json").write_text(json.dumps({"status": "completed", "model": "segmenter"}))
    (tmp_path / "config.yaml").write_text("model: {name: segmenter, encoder: cnn}\n")
    target = segmenter("cnn", 16).base
    weights.load_into(target, config("cnn"), str(tmp_path))
    assert_same_weights(target, source)
    with pytest.raises(UserError, match="model=segmenter on cnn, but this run has the base of model=vgg"):
        weights.load_into(target, config("vgg"), str(tmp_path))


@pytest.mark.parametrize("family", large_ones_slow(["vgg", "resnet", "inception"]))
@pytest.mark.parametrize("channels", [1, 3])
def test_preprocessing_equals_that_of_the_classifier(family: str, channels: int) -> None:
    side = 75
    image = np.random.default_rng(0).integers(0, 256, (1, side, side, channels)).astype(np.float32)
    theirs = seen_by_base(classifier(family, side, channels), image)
    ours = seen_by_base(segmenter(family, side, channels), image)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("family", "side", "least"), [("cnn", 7, 8), ("vgg", 31, 32), ("inception", 74, 75)])
def test_an_image_too_small_for_the_coarsest_level_is_refused(family: str, side: int, least: int) -> None:
    with pytest.raises(UserError, match=f"{side}×{side} pixels are too small.*at least {least} pixels"):
        segmenter(family, side)


def test_a_family_without_levels_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"model.encoder=alexnet has no feature maps for model=segmenter: choose one of cnn"
    ):
        config("alexnet")
