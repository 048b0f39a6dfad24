"""The encoder–decoder networks: sizes, refusals, and the saved model's way back to the image's size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from cvlib import tasks
from cvlib.models.network import Network
from cvlib.runtime.errors import UserError
from tests.networks import network

DECODERS = ["interpolate", "unpool", "transpose"]
RNG = np.random.default_rng(0)


def build(side: int = 20, channels: int = 3, **changes: Any) -> Network:
    return network("segmenter", side, channels, 5, **{"filters": [4, 6], "auxiliary_weight": 0.0, **changes})


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("skip", [True, False])
def test_logits_for_every_pixel(decoder: str, skip: bool) -> None:
    model = build(22, decoder=decoder, skip=skip).model
    assert model.output.shape == (None, 22, 22, 5)
    joined = [layer.name for layer in model.layers if layer.name.endswith("_skip")]
    assert joined == (["up2_skip", "up1_skip"] if skip else [])


@pytest.mark.parametrize(
    ("encoder", "side"), [("vgg", 32), ("resnet", 32), pytest.param("inception", 75, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("decoder", ["interpolate", "transpose"])
def test_every_encoder_comes_back_to_the_images_size(encoder: str, side: int, decoder: str) -> None:
    built = build(side, 1, encoder=encoder, decoder=decoder, decoder_filters=8)
    assert built.model.output.shape == (None, side, side, 5)


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"encoder": "resnet"}, "conv1_relu of resnet"),
        ({"encoder": "inception"}, "activation3 of inception"),
        ({"encoder": "darknet"}, "stage1_down_relu of darknet"),
        ({"pooling": "average"}, "conv1_relu of cnn"),
        ({"stride": 2}, "conv1_relu of cnn"),
        ({"padding": "valid"}, "conv1_relu of cnn"),
    ],
)
def test_unpooling_without_max_pooling_is_refused(changes: dict[str, Any], level: str) -> None:
    with pytest.raises(UserError, match=f"model.decoder=unpool needs.*{level}.*model.decoder=interpolate or transpose"):
        build(96, decoder="unpool", **changes)


def test_the_segnet_holds_what_its_layers_add_up_to() -> None:
    model = build(filters=[4, 6], convolutions=1, batch_norm=False, decoder="unpool", skip=False).model
    encoder = (3 * 9 + 1) * 4 + (4 * 9 + 1) * 6
    first = 2 * (9 * 6 * 6 + 4 * 6)  # a level up: two convolutions, each with BatchNorm
    second = (6 * 4 + 4 * 4) + 2 * (9 * 4 * 4 + 4 * 4)  # 6 channels are made 4 before they are unpooled
    assert model.count_params() == encoder + first + second + (4 + 1) * 5


@pytest.mark.parametrize(("side", "filters", "cells"), [(64, [4] * 5, 8), (57, [4] * 5, 7), (20, [4, 6], 10)])
def test_the_auxiliary_classifier_looks_at_an_eighth_or_the_first_level_up(
    side: int, filters: list[int], cells: int
) -> None:
    built = build(side, filters=filters, auxiliary_weight=0.4)
    assert built.model.output["auxiliary"].shape == (None, cells, cells, 5)
    assert built.predictive().output.shape == (None, side, side, 5)
    assert [(one.name, one.loss_weight, one.training_only) for one in built.outputs] == [
        ("logits", 1.0, False), ("auxiliary", 0.4, True),
    ]  # fmt: skip


def saved(built: Network, folder: Path) -> keras.Model:
    tasks.of("segmentation").inference(built).save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_the_saved_model_labels_images_of_any_size(decoder: str, policy: str, tmp_path: Path) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        built = build(decoder=decoder)
        loaded = saved(built, tmp_path)
    finally:
        keras.config.set_dtype_policy("float32")
    assert isinstance(loaded.get_layer("backbone"), keras.Model)
    assert built.model.output.dtype == loaded.output.dtype == "float32"
    for height, width in ((20, 20), (33, 47), (9, 50)):
        image = RNG.integers(0, 256, (2, height, width, 3)).astype(np.float32)
        resized = tf.round(tf.image.resize(image, (20, 20), antialias=True))
        inside = tf.nn.softmax(built.model.predict_on_batch(resized))
        expected = tf.image.resize(inside, (height, width)).numpy()
        found = loaded.predict_on_batch(image)
        tolerance = 1e-5 if policy == "float32" else 0.02
        np.testing.assert_allclose(found, expected, atol=tolerance)
        np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(33, 47), (50, 9), (20, 20)])
def test_letterboxed_images_come_back_without_their_margins(height: int, width: int) -> None:
    built = build(pooling="average", resize="letterbox")
    image = RNG.integers(0, 256, (1, height, width, 3)).astype(np.float32)
    side = max(height, width)
    rows, columns = (side - height) // 2, (side - width) // 2
    padded = np.pad(image, ((0, 0), (rows, rows), (columns, columns), (0, 0)))
    inside = tf.nn.softmax(built.model.predict_on_batch(tf.round(tf.image.resize(padded, (20, 20), antialias=True))))
    whole = tf.image.resize(inside, padded.shape[1:3]).numpy()
    expected = whole[:, rows : rows + height, columns : columns + width]
    found = tasks.of("segmentation").inference(built).predict_on_batch(image)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_saved_model_opens_without_this_package(tmp_path: Path) -> None:
    saved(build(decoder="unpool"), tmp_path)
    code = (
        "import sys, keras, numpy as np; model = keras.saving.load_model(sys.argv[1], safe_mode=True); "
        "assert 'cvlib' not in sys.modules; print(model.predict(np.zeros((1, 9, 31, 3)), verbose=0).shape)"
    )
    command = [sys.executable, "-I", "-c", code, str(tmp_path / "model.keras")]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().endswith("(1, 9, 31, 5)")
