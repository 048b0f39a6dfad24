"""The contract of every model in `conf/model`. A new one is tested automatically."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cvlib import tasks
from cvlib.config.schema import Config, FeatureExtractor, Finetune, ModelConfig, Scratch
from cvlib.models import backbones
from cvlib.models.network import Network
from cvlib.runtime.errors import UserError
from cvlib.transfer import freezing, regimes
from tests.configs import CONF, model_config
from tests.networks import large_ones_slow, network, network_of, shared, smallest_side

pytestmark = pytest.mark.usefixtures("eager")

MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml") if path.stem != "hub")  # hub: test_hub.py
SMALL: dict[str, dict[str, Any]] = {
    "alexnet": {"dense": [16, 8]},
    "cnn": {"filters": [4, 6], "dense": [8]},
    "fcn": {"fc_kernel": 1, "fc_width": 8},
    "mobilenet": {"alpha": 0.35},
    "segmenter": {"filters": [4, 6]},
    "yolo": {"neck_channels": 8},
}
TASKS = {name: model_config(name).task for name in MODELS}
REGIMES = [Scratch(), FeatureExtractor(weights="x"), Finetune(weights="x", freeze=0.5)]


def config_of(name: str) -> ModelConfig:
    return model_config(name, **SMALL.get(name, {}))


def side(name: str) -> int:
    return max(12, smallest_side(config_of(name)))


def small(name: str, channels: int = 1, classes: int = 3) -> Network:
    return network_of(config_of(name), side(name), channels, classes)


def pixels(name: str, count: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side(name), side(name), channels)).astype(np.float32)


def predicted(model: keras.Model, given: Any) -> list[np.ndarray]:
    return keras.tree.flatten(model.predict(given, verbose=0))


def test_every_backbone_has_a_classifier_config_and_other_configs_use_these_backbones() -> None:
    own = {name for name in MODELS if not model_config(name).feature_levels}
    assert own == set(backbones.names()) - {"hub"}
    assert all(model_config(name).backbone in own for name in MODELS)


@pytest.mark.parametrize("name", large_ones_slow(MODELS))
def test_it_trains_in_each_regime_and_the_saved_model_predicts_the_same(name: str, tmp_path: Path) -> None:
    built = small(name)
    model, task = built.model, tasks.of(TASKS[name])
    images, labels = pixels(name, 4), np.array([0, 1, 2, 1])
    if TASKS[name] == "segmentation":
        labels = np.broadcast_to(labels[:, None, None], images.shape[:3])
    if TASKS[name] == "detection":
        labels = np.stack([[[2, 3, 9, 12, label]] for label in labels]).astype(np.float32)
    for mode in REGIMES:
        freezing.apply(built, regimes.phases(mode, 1)[0])
        model.compile(keras.optimizers.SGD(1e-6), **task.compile_arguments(built, Config(built.config, mode)))
        before = freezing.frozen_hashes(built)
        targets = dict.fromkeys(model.output_names, labels) if isinstance(model.output, dict) else labels
        loss = model.train_on_batch(images, targets, return_dict=True)["loss"]
        assert np.isfinite(loss)
        freezing.verify_frozen(before, freezing.frozen_hashes(built))

    saved = task.inference(built)
    saved.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert archive.getinfo("model.weights.h5").file_size < 5 * saved.count_params() + 500_000  # no optimizer
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.get_layer("backbone"), keras.Model)
    assert "auxiliary" not in [layer.name for layer in loaded.layers]
    if TASKS[name] == "detection":
        expected, found = task.validated(built).predict(images, verbose=0), loaded.predict(images, verbose=0)
        np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-5)
        return
    logits = built.predictive().predict(images, verbose=0)
    expected = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(loaded.predict(images, verbose=0), expected, atol=1e-5)
    found = loaded.predict(np.zeros((1, 50, 31, 1)), verbose=0)
    assert found.shape == ((1, 50, 31, 3) if TASKS[name] == "segmentation" else (1, 3))


@pytest.mark.parametrize("name", large_ones_slow(MODELS))
def test_calling_a_saved_model_runs_inference(name: str) -> None:
    saved = tasks.of(TASKS[name]).inference(small(name))
    before = [keras.ops.convert_to_numpy(weight) for weight in saved.weights]
    first, second = (keras.tree.flatten(saved(pixels(name, 2))) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)  # no Dropout
    for weight, value in zip(saved.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)  # BatchNorm keeps its averages


@pytest.mark.parametrize("name", large_ones_slow(MODELS))
def test_base_and_head_equal_the_whole_network_and_share_its_weights(name: str) -> None:
    built, images = small(name), pixels(name, 3)
    freezing.apply(built, regimes.phases(FeatureExtractor(weights="x"), 1)[0])
    cut = built.cut()
    assert cut.base.trainable_variables == []
    learning = {id(variable) for variable in built.model.trainable_variables}
    assert learning and {id(variable) for variable in cut.head.trainable_variables} == learning
    before = predicted(built.model, images)
    features = cut.base.predict(images, verbose=0)
    for one, other in zip(before, predicted(cut.head, features), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)

    names = [output.name for output in built.outputs]
    goals = [np.ones((3, *output.tensor.shape[1:]), np.float32) for output in built.outputs]
    several = len(names) > 1
    cut.head.compile(keras.optimizers.SGD(1e-3), dict.fromkeys(names, "mse") if several else "mse")
    cut.head.train_on_batch(features, dict(zip(names, goals, strict=True)) if several else goals[0])
    after = predicted(built.model, images)
    for one, old, new in zip(predicted(cut.head, features), before, after, strict=True):
        np.testing.assert_allclose(one, new, rtol=1e-4, atol=1e-4)
        assert np.abs(new - old).max() > 1e-5  # training the head changed the whole network


@pytest.mark.parametrize("name", shared(MODELS))
def test_training_only_outputs_are_left_out_of_predictions(name: str) -> None:
    built = small(name)
    assert sorted(output.name for output in built.outputs) == sorted(built.model.output_names)
    first, *others = built.outputs
    assert (first.training_only, first.loss_weight) == (False, 1.0)
    assert all(output.training_only for output in others)
    predictive = built.predictive()
    assert list(predictive.output_names) == [first.name]
    assert {id(weight) for weight in predictive.weights} == {
        id(weight) for weight in built.model.weights if "auxiliary" not in weight.path
    }
    both = predicted(built.model, pixels(name, 2))
    whole = built.model.predict(pixels(name, 2), verbose=0)
    expected = whole[first.name] if others else both[0]
    np.testing.assert_array_equal(predictive.predict(pixels(name, 2), verbose=0), expected)


@pytest.mark.parametrize(("name", "changes", "shape"), [
    ("cnn", {}, (5,)),
    ("resnet", {}, (5,)),
    ("segmenter", {"filters": [4, 4, 4]}, (64, 96, 5)),
    ("segmenter", {"filters": [4, 4, 4], "decoder": "unpool", "skip": False}, (64, 96, 5)),
    ("segmenter", {"encoder": "darknet", "filters": [4, 4, 4], "decoder": "transpose"}, (64, 96, 5)),
    ("fcn", {"fc_kernel": 1, "fc_width": 8, "backbone": "cnn", "filters": [4] * 5}, (64, 96, 5)),
    # 8 × 12 cells of 8 pixels with 2 boxes each, because 64 / 8 is the coarsest grid of at least 7
    ("yolo", {"head": "grid", "neck_channels": 8, "filters": [4] * 5}, (8 * 12, 2 * 5 + 5)),
    # strides 4, 8 and 16
    ("yolo", {"head": "anchor_free", "neck_channels": 8, "filters": [4] * 5}, (16 * 24 + 8 * 12 + 4 * 6, 64 + 5)),
])  # fmt: skip
def test_images_may_be_wider_than_high(name: str, changes: dict[str, Any], shape: tuple[int, ...]) -> None:
    built = network(name, (64, 96), 1, 5, **changes)
    output = built.predictive()(np.zeros((2, 64, 96, 1), np.float32))
    assert output.shape == (2, *shape)
    turned = network(name, (96, 64), 1, 5, **changes).predictive().output_shape
    assert turned[1:] == ((96, 64, 5) if shape[:2] == (64, 96) else shape)


@pytest.mark.parametrize("name", large_ones_slow(MODELS))
def test_names_are_the_same_in_every_network(name: str) -> None:
    first, second = small(name), small(name)
    assert [layer.name for layer in first.model.layers] == [layer.name for layer in second.model.layers]
    assert [layer.name for layer in first.base.layers[1:]] == [layer.name for layer in second.base.layers[1:]]
    assert [weight.path for weight in first.model.weights] == [weight.path for weight in second.model.weights]


@pytest.mark.parametrize("name", large_ones_slow(MODELS))
def test_variables_have_the_same_names_in_a_new_session(name: str) -> None:
    """Checkpoints are restored by name, including the variables of random layers, which are numbered per session."""
    paths = []
    for _ in range(2):
        keras.utils.clear_session(free_memory=False)
        paths.append([variable.path for variable in small(name).model.variables])
    assert paths[0] == paths[1]
    assert len(set(paths[0])) == len(paths[0])  # names are unique


@pytest.mark.parametrize("name", large_ones_slow(MODELS))
def test_an_image_below_the_minimum_is_refused(name: str) -> None:
    config = config_of(name)
    least = backbones.get(config.backbone).smallest_side(config.backbone_options, config.feature_levels)
    with pytest.raises(UserError, match=f"needs at least {least} pixels"):
        network_of(config, (least - 1, 300), 3, 2)


@pytest.mark.parametrize("name", large_ones_slow(MODELS))
def test_mixed_precision_keeps_preprocessing_and_logits_in_float32_and_can_be_saved(name: str, tmp_path: Path) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        built = small(name)
        saved = tasks.of(TASKS[name]).inference(built)
        saved.save(tmp_path / "model.keras")
        expected = saved.predict(pixels(name, 2), verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
    assert {output.tensor.dtype for output in built.outputs} == {"float32"}
    assert built.base._inbound_nodes[0].input_tensors[0].dtype == "float32"
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert {tensor.dtype for tensor in keras.tree.flatten(loaded.output)} <= {"float32", "int32"}
    found = loaded.predict(pixels(name, 2), verbose=0)
    for one, other in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_saved_model_opens_without_this_package(tmp_path: Path) -> None:
    tasks.of("classification").inference(small("efficientnet_lite")).save(tmp_path / "model.keras")
    code = (
        "import sys, keras, numpy as np; model = keras.saving.load_model(sys.argv[1]); "
        "assert 'cvlib' not in sys.modules; print(model.predict(np.zeros((1, 9, 9, 1)), verbose=0).sum())"
    )
    command = [sys.executable, "-I", "-c", code, str(tmp_path / "model.keras")]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.returncode == 0, result.stderr
    assert float(result.stdout.split()[-1]) == pytest.approx(1, abs=1e-5)


def test_resizing_in_the_saved_model_equals_that_of_the_feed() -> None:
    import tensorflow as tf

    built = small("cnn")
    image = np.random.default_rng(1).integers(0, 256, (1, 31, 45, 1)).astype(np.float32)
    resized = tf.round(tf.image.resize(image, (side("cnn"),) * 2, antialias=True))
    logits = built.model.predict(resized, verbose=0)
    expected = np.exp(logits) / np.exp(logits).sum()
    found = tasks.of("classification").inference(built).predict(image, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
