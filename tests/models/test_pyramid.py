"""Pyramids: their levels, and that a classifier's base of the same family fits into them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cvlib import models
from cvlib.config.schema import Config, DataConfig, ModelConfig
from cvlib.models.pyramid import preprocess, pyramid
from cvlib.runtime.errors import UserError
from cvlib.tasks import classification
from cvlib.transfer import weights
from tests.models.conftest import config_of

CNN: dict[str, Any] = {"filters": [4, 6, 8], "dense": [8], "spatial_dropout": 0.1, "batch_norm": True}

# family, side → (side, channels) of each level, worked out from the published layer tables
LEVELS = [
    ("cnn", 20, [(20, 4), (10, 6), (5, 8), (2, 8)]),
    ("vgg", 96, [(96, 64), (48, 128), (24, 256), (12, 512), (6, 512), (3, 512)]),
    ("resnet", 96, [(48, 64), (24, 256), (12, 512), (6, 1024), (3, 2048)]),
    ("inception", 299, [(147, 64), (71, 192), (35, 288), (17, 768), (8, 2048)]),
]


def classifier(family: str, side: int, channels: int = 3) -> keras.Model:
    changes = CNN if family == "cnn" else {}
    return models.build(config_of(family, **changes), (side, side, channels), 5)


def config(family: str) -> ModelConfig:
    return ModelConfig(name="segmenter", task="segmentation", encoder=family, depth=None, **CNN)


@pytest.mark.parametrize(("family", "side", "levels"), LEVELS)
def test_levels_are_the_last_maps_of_each_resolution(family: str, side: int, levels: list[tuple[int, int]]) -> None:
    model = pyramid(config(family), family, (side, side, 3))
    assert model.name == "backbone"
    assert [tuple(output.shape[1:]) for output in model.outputs] == [(s, s, channels) for s, channels in levels]


@pytest.mark.parametrize(("family", "side"), [("cnn", 16), ("vgg", 32), ("resnet", 32), ("inception", 75)])
def test_a_saved_classification_run_gives_its_base(family: str, side: int, tmp_path: Path) -> None:
    source = classifier(family, side)
    base = source.get_layer("backbone")
    for layer in base.layers:  # moving statistics that aren't the initial ones
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(np.linspace(0, 1, layer.moving_mean.shape[0]))
    classification.inference(source, (side, side), "stretch").save(tmp_path / "model.keras")
    (tmp_path / "summary.json").write_text(json.dumps({"status": "completed", "model": family}))

    target = pyramid(config(family), family, (side, side, 3))
    names = [layer.name for layer in target.layers[1:]]
    assert names == [layer.name for layer in base.layers[1 : len(names) + 1]]
    loaded = weights.load_into(target, config(family), str(tmp_path))
    assert loaded.matched == target.count_params()
    image = np.random.default_rng(0).uniform(-1, 1, (1, side, side, 3)).astype(np.float32)
    expected = keras.Model(base.inputs, [base.get_layer(tensor._keras_history.operation.name).output
                                         for tensor in target.outputs])  # fmt: skip
    for ours, theirs in zip(target.predict(image, verbose=0), expected.predict(image, verbose=0), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_segmentation_run_gives_its_base_to_a_classifier_and_another_family_is_refused(tmp_path: Path) -> None:
    source = pyramid(config("cnn"), "cnn", (16, 16, 3))
    source.save(tmp_path / "model.keras")
    (tmp_path / "summary.json").write_text(json.dumps({"status": "completed", "model": "segmenter"}))
    (tmp_path / "config.yaml").write_text("model: {name: segmenter, encoder: cnn}\n")
    target = pyramid(config("cnn"), "cnn", (16, 16, 3))
    weights.load_into(target, config("cnn"), str(tmp_path))
    for ours, theirs in zip(target.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(UserError, match="model=segmenter on cnn, but the base here is that of model=vgg"):
        weights.load_into(target, config("vgg"), str(tmp_path))


@pytest.mark.parametrize("family", ["vgg", "resnet", "inception"])
@pytest.mark.parametrize("channels", [1, 3])
def test_preprocessing_is_the_classifiers(family: str, channels: int) -> None:
    side = 75
    image = np.random.default_rng(0).integers(0, 256, (1, side, side, channels)).astype(np.float32)
    theirs = classifier(family, side, channels)
    seen = keras.Model(theirs.inputs, theirs.get_layer("backbone")._inbound_nodes[-1].input_tensors[0])
    raw = keras.Input((side, side, channels))
    ours = keras.Model(raw, preprocess(family, raw))
    np.testing.assert_array_equal(ours.predict(image, verbose=0), seen.predict(image, verbose=0))


@pytest.mark.parametrize(("family", "side", "least"), [("cnn", 7, 8), ("vgg", 31, 32), ("inception", 74, 75)])
def test_an_image_that_leaves_nothing_at_the_coarsest_level_is_refused(family: str, side: int, least: int) -> None:
    with pytest.raises(UserError, match=f"{side}×{side} pixels are too small.*at least {least} pixels"):
        pyramid(config(family), family, (side, side, 3))


def test_a_family_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match="a base of alexnet can't be: choose one of cnn, "):
        pyramid(config("cnn"), "alexnet", (64, 64, 3))


@pytest.mark.parametrize("family", ["cnn", "vgg"])
def test_a_segmenters_base_is_pretrained_as_a_classifier(family: str) -> None:
    from cvlib.experiment import pretraining_config

    run = Config(model=dataclasses.replace(config(family), name="segmenter"), data=DataConfig(pretrain_on="letters"))
    pretraining = pretraining_config(run, 64, channels=3)
    assert (pretraining.model.name, pretraining.model.task) == (family, "classification")
    assert (pretraining.data.channels, pretraining.data.image_size) == (3, 64)
    assert pretraining.name == f"letters-{family}-64px"
    base = models.build(pretraining.model, (64, 64, 3), 7).get_layer("backbone")
    target = pyramid(config(family), family, (64, 64, 3))
    assert [w.shape for w in target.weights] == [w.shape for w in base.weights][: len(target.weights)]
