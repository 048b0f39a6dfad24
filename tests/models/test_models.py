"""What holds for every architecture in `cvlib/models`: a new one is tested before anyone writes a test for it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from cvlib import models, tasks
from cvlib.config.schema import Config, ModeConfig
from cvlib.runtime.errors import UserError
from cvlib.tasks import classification
from cvlib.transfer import freezing as modes
from cvlib.transfer.freezing import Phase
from tests.models.conftest import CONF, config_of

SMALL = {
    "alexnet": {"dense": [16, 8]},
    "cnn": {"filters": [4, 6], "dense": [8]},
    "fcn": {"fc_kernel": 1, "fc_width": 8},
    "segmenter": {"filters": [4, 6]},
    "yolo": {"neck": 8},
}
DETECTORS = [name for name in models.names() if config_of(name).task == "detection"]
PER_PIXEL = [name for name in models.names() if config_of(name).task == "segmentation"]
REGIMES = {
    "scratch": (ModeConfig(), Phase(0, 1, None)),
    "feature_extractor": (ModeConfig("feature_extractor", "x", "all", batch_norm="frozen"), Phase(0, 1, "all")),
    "finetune": (ModeConfig("finetune", "x", 0.5), Phase(0, 1, 0.5)),
}


def side(name: str) -> int:
    return max(12, config_of(name).minimum_size)


def small(name: str, channels: int = 1, outputs: int = 3) -> keras.Model:
    return models.build(config_of(name, **SMALL.get(name, {})), (side(name), side(name), channels), outputs)


def pixels(name: str, count: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side(name), side(name), channels)).astype(np.float32)


def test_every_architecture_has_its_config_and_every_config_its_architecture() -> None:
    assert models.names() == sorted(path.stem for path in CONF.glob("*.yaml"))


@pytest.mark.parametrize("name", models.names())
def test_it_trains_a_step_in_each_regime_and_the_saved_model_predicts_the_same(name: str, tmp_path: Path) -> None:
    model = small(name)
    backbone = model.get_layer("backbone")
    rates = modes.dropout_rates(backbone)
    task = tasks.of(config_of(name).task)
    images, labels = pixels(name, 4), np.array([0, 1, 2, 1])
    if name in PER_PIXEL:
        labels = np.broadcast_to(labels[:, None, None], images.shape[:3])
    if name in DETECTORS:
        labels = np.stack([[[2, 3, 9, 12, label]] for label in labels]).astype(np.float32)
    for mode, phase in REGIMES.values():
        modes.apply(backbone, mode, phase, rates)
        model.compile(keras.optimizers.SGD(1e-6), **task.compile_arguments(model, Config(config_of(name))))
        before = modes.frozen_hashes(model)
        targets = dict.fromkeys(model.output_names, labels) if isinstance(model.output, dict) else labels
        loss = model.train_on_batch(images, targets, return_dict=True)["loss"]
        assert np.isfinite(loss)
        modes.prove_unmoved(before, modes.frozen_hashes(model))

    saved = task.inference(model, (side(name), side(name)), "stretch")
    saved.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert archive.getinfo("model.weights.h5").file_size < 5 * saved.count_params() + 500_000  # no optimizer
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.get_layer("backbone"), keras.Model)
    assert "auxiliary" not in [layer.name for layer in loaded.layers]
    if name in DETECTORS:
        expected, found = task.network(model).predict(images, verbose=0), loaded.predict(images, verbose=0)
        np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-5)
        return
    logits = models.logits(model).predict(images, verbose=0)
    expected = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(loaded.predict(images, verbose=0), expected, atol=1e-5)
    found = loaded.predict(np.zeros((1, 50, 31, 1)), verbose=0)
    assert found.shape == ((1, 50, 31, 3) if name in PER_PIXEL else (1, 3))


@pytest.mark.parametrize("name", models.names())
def test_a_saved_model_that_is_simply_called_infers(name: str) -> None:
    task = tasks.of(config_of(name).task)
    saved = task.inference(small(name), (side(name), side(name)), "stretch")
    before = [keras.ops.convert_to_numpy(weight) for weight in saved.weights]
    first, second = (keras.tree.flatten(saved(pixels(name, 2))) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)  # no Dropout
    for weight, value in zip(saved.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)  # no BatchNorm that follows


@pytest.mark.parametrize("name", models.names())
def test_names_do_not_drift_from_one_network_to_the_next(name: str) -> None:
    first, second = small(name), small(name)
    assert [layer.name for layer in first.layers] == [layer.name for layer in second.layers]
    bases = first.get_layer("backbone"), second.get_layer("backbone")
    assert [layer.name for layer in bases[0].layers[1:]] == [layer.name for layer in bases[1].layers[1:]]
    assert [weight.path for weight in first.weights] == [weight.path for weight in second.weights]


@pytest.mark.parametrize("name", models.names())
def test_an_image_below_the_minimum_is_refused(name: str) -> None:
    config = config_of(name)
    with pytest.raises(UserError, match=f"needs at least {config.minimum_size} pixels"):
        models.build(config, (config.minimum_size - 1, 300, 3), 2)


@pytest.mark.parametrize("name", models.names())
def test_mixed_precision_spares_preprocessing_and_logits_and_can_be_saved(name: str, tmp_path: Path) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = small(name)
        saved = tasks.of(config_of(name).task).inference(model, (side(name), side(name)), "stretch")
        saved.save(tmp_path / "model.keras")
        expected = saved.predict(pixels(name, 2), verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
    assert {tensor.dtype for tensor in keras.tree.flatten(models.logits(model).output)} == {"float32"}
    assert model.get_layer("backbone")._inbound_nodes[0].input_tensors[0].dtype == "float32"
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert {tensor.dtype for tensor in keras.tree.flatten(loaded.output)} <= {"float32", "int32"}
    found = loaded.predict(pixels(name, 2), verbose=0)
    for one, other in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_saved_model_opens_without_this_package(tmp_path: Path) -> None:
    classification.inference(small("resnet"), (32, 32), "stretch").save(tmp_path / "model.keras")
    code = (
        "import sys, keras, numpy as np; model = keras.saving.load_model(sys.argv[1]); "
        "assert 'cvlib' not in sys.modules; print(model.predict(np.zeros((1, 9, 9, 1)), verbose=0).sum())"
    )
    command = [sys.executable, "-I", "-c", code, str(tmp_path / "model.keras")]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.returncode == 0, result.stderr
    assert float(result.stdout.split()[-1]) == pytest.approx(1, abs=1e-5)


def test_resizing_inside_the_saved_model_is_the_pipelines(tmp_path: Path) -> None:
    import tensorflow as tf

    model = small("cnn")
    image = np.random.default_rng(1).integers(0, 256, (1, 31, 45, 1)).astype(np.float32)
    resized = tf.round(tf.image.resize(image, (side("cnn"),) * 2, antialias=True))
    logits = model.predict(resized, verbose=0)
    expected = np.exp(logits) / np.exp(logits).sum()
    found = classification.inference(model, (side("cnn"),) * 2, "stretch").predict(image, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
