"""Training a classifier: class weights, the loss, and the output that is predicted."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from sklearn.metrics import log_loss

from cvlib.config.schema import AugmentConfig
from cvlib.data.dataset import Split
from cvlib.data.input_spec import InputSpec
from cvlib.data.make_feed import make_feed
from cvlib.models.network import build
from cvlib.tasks.classification import TASK
from cvlib.tasks.classification.loss import WeightedCrossEntropy
from cvlib.tasks.classification.predictions import ClassPredictions
from cvlib.tasks.logits import class_shares, mixed_caption
from tests.configs import config, model_config


def test_training_metrics_exclude_the_auxiliary_output() -> None:
    logs = {"loss": 1.3, "logits_loss": 1.0, "auxiliary_loss": 1.0, "logits_accuracy": 0.5}
    assert TASK.training_metrics(logs) == {"loss": 1.0, "accuracy": 0.5}
    assert TASK.training_metrics({"loss": 2.0, "accuracy": 0.1}) == {"loss": 2.0, "accuracy": 0.1}


def test_class_weights_are_inverse_to_the_frequency_or_its_square_root() -> None:
    split = Split(["a"] * 6, np.zeros((6, 1, 1, 1), np.uint8), np.array([0, 0, 0, 0, 2, 0]))
    np.testing.assert_allclose(TASK.class_weights(split, 3, "balanced"), [6 / 10, 0, 6 / 2])
    # Weights 1/√(5/6) and 1/√(1/6), divided by their mean over the six samples, which is √(5/6) + √(1/6).
    mean = (5 / 6) ** 0.5 + (1 / 6) ** 0.5
    np.testing.assert_allclose(TASK.class_weights(split, 3, "sqrt"), [1.2**0.5 / mean, 0, 6**0.5 / mean])


def test_top5_accuracy_is_not_shown_if_it_is_always_1() -> None:
    assert "top5_accuracy" not in TASK.shown_metrics(5)
    assert "top5_accuracy" in TASK.shown_metrics(6)
    assert {*TASK.shown_metrics(2), *TASK.shown_metrics(6)} <= {spec.name for spec in TASK.metrics}


@pytest.mark.parametrize("weights", [None, np.array([0.5, 2.0, 3.0])])
def test_the_loss_equals_keras_loss_with_sample_weights(weights: np.ndarray | None) -> None:
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(7, 3)).astype(np.float32), random.integers(0, 3, 7)
    samples = None if weights is None else weights[labels]
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    expected = float(plain(labels, logits, sample_weight=samples))
    assert float(WeightedCrossEntropy(weights)(labels, logits)) == pytest.approx(expected, rel=1e-5)
    if weights is None:
        odds = np.exp(logits.astype(np.float64))
        assert expected == pytest.approx(log_loss(labels, odds / odds.sum(1, keepdims=True), labels=range(3)), rel=1e-5)


@pytest.mark.parametrize("weights", [None, np.array([0.5, 2.0, 3.0])])
def test_smoothing_spreads_a_share_of_each_target_over_all_classes(weights: np.ndarray | None) -> None:
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(7, 3)).astype(np.float32), random.integers(0, 3, 7)
    targets = np.full((7, 3), 0.2 / 3)
    targets[np.arange(7), labels] += 0.8
    odds = np.exp(logits.astype(np.float64))
    losses = -(targets * np.log(odds / odds.sum(1, keepdims=True))).sum(1)
    expected = np.mean(losses if weights is None else losses * weights[labels])
    assert float(WeightedCrossEntropy(weights, 0.2)(labels, logits)) == pytest.approx(expected, rel=1e-5)


def test_the_loss_uses_the_models_label_smoothing() -> None:
    for smoothing in (0.0, 0.1):
        loss = TASK.loss(config("cnn", label_smoothing=smoothing), None)
        assert isinstance(loss, WeightedCrossEntropy) and loss.smoothing == smoothing


def test_predictions_are_the_logits_also_of_a_cut_network() -> None:
    network = build(model_config("inception"), InputSpec(75, 75, 3), 4)
    assert len(network.outputs) == 2
    arguments = TASK.compile_arguments(network, config("inception"))
    assert arguments["loss_weights"] == {"logits": 1.0, "auxiliary": 0.3}
    images = np.random.default_rng(0).uniform(0, 255, (2, 75, 75, 3)).astype(np.float32)
    cut = network.cut()
    whole = TASK.validated(network)(images, training=False)
    assert tuple(whole.shape) == (2, 4)
    parts = TASK.validated_head(cut.head, network)(cut.base(images, training=False), training=False)
    np.testing.assert_allclose(whole, parts, atol=1e-5)


def test_the_saved_network_is_plain_keras(tmp_path) -> None:  # type: ignore[no-untyped-def]
    network = build(model_config("cnn", filters=[4, 6], dense=[8]), InputSpec(12, 12, 1), 3)
    saved = TASK.inference(network)
    assert {"resizing", "backbone"} <= {layer.name for layer in saved.layers}
    assert TASK.fits(saved, 1, 3)
    assert not TASK.fits(saved, 3, 3)
    assert not TASK.fits(saved, 1, 4)
    saved.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    images = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 1)).astype(np.float32)
    expected = keras.ops.softmax(TASK.validated(network)(images, training=False))
    np.testing.assert_allclose(again(images), expected, atol=1e-6)
    assert tuple(again(np.zeros((1, 30, 20, 1), np.float32)).shape) == (1, 3)


@pytest.mark.parametrize("weights", [None, np.array([0.5, 2.0, 3.0])])
def test_the_loss_of_mixed_images_is_that_of_both_labels_by_their_shares(weights: np.ndarray | None) -> None:
    random = np.random.default_rng(0)
    logits, pairs = random.normal(size=(7, 3)).astype(np.float32), random.integers(0, 3, (7, 2))
    shares = random.dirichlet([1, 1], 7).astype(np.float32)
    mixed = class_shares({"labels": pairs, "shares": shares}, 3)
    expected = np.zeros((7, 3), np.float32)
    np.add.at(expected, (np.arange(7)[:, None], pairs), shares)
    np.testing.assert_allclose(mixed, expected, atol=1e-6)
    single = WeightedCrossEntropy(weights, 0.1)
    each = np.stack([[float(single(pairs[i : i + 1, k], logits[i : i + 1])) for k in (0, 1)] for i in range(7)])
    found = float(WeightedCrossEntropy(weights, 0.1, mixed=True)(mixed, logits))
    assert found == pytest.approx((each * shares).sum(axis=1).mean(), rel=1e-5)


def test_feed_loss_metric_and_pictures_agree_on_mixed_labels() -> None:
    whole = config("cnn", filters=[2], dense=[], augment=AugmentConfig(mixup=0.5))
    built = build(whole.model, InputSpec(8, 8, 1), 3)
    split = Split(list("abcdef"), np.zeros((6, 8, 8, 1), np.uint8), np.array([0, 1, 2, 0, 1, 2]))
    feed = make_feed(split, built.spec, TASK.label_kind, 6, 0, augmentation=whole.augmentation)
    built.model.compile("sgd", **TASK.compile_arguments(built, whole))
    stream = feed.with_targets(lambda labels: TASK.targets(labels, built))
    (_, targets) = next(iter(stream))
    assert targets.shape == (6, 3) and np.allclose(np.sum(targets, axis=1), 1)
    logits = built.model.predict(feed.dataset.map(lambda images, labels: images), verbose=0)
    logs = built.model.evaluate(stream, verbose=0, return_dict=True)
    assert logs["accuracy"] == pytest.approx(np.mean(logits.argmax(1) == np.argmax(targets, axis=1)))
    pictures = TASK.samples(*feed.preview(6), SimpleNamespace(classes=list("xyz")))  # type: ignore[arg-type]
    assert pictures.dtype == np.uint8


def test_a_caption_names_both_classes_of_a_mixed_image() -> None:
    assert mixed_caption(["cat", "dog"], [0.7, 0.3]) == "70 % cat, 30 % dog"


def test_validation_does_not_smooth_its_loss() -> None:
    """The validation and test loss is the plain cross-entropy, whatever the loss of training is."""
    logits, labels = np.array([[2.0, 0.0], [0.0, 1.0]], np.float32), np.array([0, 0])
    plain = (np.log1p(np.exp(-2.0)) + np.log1p(np.exp(1.0))) / 2
    assert ClassPredictions(logits, labels, ["a", "b"]).metrics()["loss"] == pytest.approx(plain, rel=1e-5)
