"""The saved segmenter returns masks of the image's size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from cvlib.data.input_spec import InputSpec
from cvlib.models import network as networks
from cvlib.models.network import Network
from cvlib.tasks.segmentation import TASK
from tests.configs import model_config

pytestmark = pytest.mark.usefixtures("eager")

DECODERS = ["interpolate", "unpool", "transpose"]
RNG = np.random.default_rng(0)


def build(side: int = 20, resize: str = "stretch", **changes: Any) -> Network:
    config = model_config("segmenter", **{"filters": [4, 6], "auxiliary_weight": 0.0, **changes})
    return networks.build(config, InputSpec(side, side, 3, resize), 5)


def saved(network: Network, folder: Path) -> keras.Model:
    TASK.inference(network).save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_the_saved_model_labels_images_of_any_size(decoder: str, policy: str, tmp_path: Path) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        network = build(decoder=decoder)
        loaded = saved(network, tmp_path)
    finally:
        keras.config.set_dtype_policy("float32")
    assert isinstance(loaded.get_layer("backbone"), keras.Model)
    assert network.model.output.dtype == loaded.output.dtype == "float32"
    for height, width in ((20, 20), (33, 47), (9, 50)):
        image = RNG.integers(0, 256, (2, height, width, 3)).astype(np.float32)
        resized = tf.round(tf.image.resize(image, (20, 20), antialias=True))
        inside = tf.nn.softmax(network.model.predict_on_batch(resized))
        expected = tf.image.resize(inside, (height, width)).numpy()
        found = loaded.predict_on_batch(image)
        tolerance = 1e-5 if policy == "float32" else 0.02
        np.testing.assert_allclose(found, expected, atol=tolerance)
        np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(33, 47), (50, 9), (20, 20)])
def test_masks_of_letterboxed_images_have_no_margins(height: int, width: int) -> None:
    network = build(resize="letterbox", pooling="average")
    image = RNG.integers(0, 256, (1, height, width, 3)).astype(np.float32)
    side = max(height, width)
    rows, columns = (side - height) // 2, (side - width) // 2
    padded = np.pad(image, ((0, 0), (rows, rows), (columns, columns), (0, 0)))
    inside = tf.nn.softmax(network.model.predict_on_batch(tf.round(tf.image.resize(padded, (20, 20), antialias=True))))
    whole = tf.image.resize(inside, padded.shape[1:3]).numpy()
    expected = whole[:, rows : rows + height, columns : columns + width]
    np.testing.assert_allclose(TASK.inference(network).predict_on_batch(image), expected, atol=1e-5)


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


def test_flip_averaging_mirrors_the_probabilities_back() -> None:
    network = build(auxiliary_weight=0.4)
    images = RNG.integers(0, 256, (2, 20, 20, 3)).astype(np.float32)
    model = TASK.validated(network)
    once, mirrored = (np.asarray(tf.nn.softmax(model(one))) for one in (images, images[:, :, ::-1]))
    both = np.asarray(tf.nn.softmax(TASK.flip_averaged(model)(images)))
    np.testing.assert_allclose(both, (once + mirrored[:, :, ::-1]) / 2, atol=1e-5)
