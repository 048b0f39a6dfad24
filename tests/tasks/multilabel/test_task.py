"""Training a multi-label network: the loss, class weights, targets, and the saved network."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from sklearn.metrics import log_loss

from cvlib.config.schema import AugmentConfig
from cvlib.data.dataset import Split
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import CLASS_SET
from cvlib.models.network import build
from cvlib.tasks.logits import class_shares
from cvlib.tasks.multilabel import TASK
from cvlib.tasks.multilabel.loss import BinaryCrossEntropy, marks
from tests.configs import config, model_config
from tests.data.feeds import a_feed

LABELS = [frozenset({0}), frozenset({0, 2}), frozenset({0}), frozenset()]


def ids(truth: np.ndarray) -> np.ndarray:
    """Return the ids of each sample's classes, padded with −1 as in a feed."""
    found = [np.flatnonzero(row) for row in truth]
    return np.array([[*row, *[-1] * (truth.shape[1] - len(row))] for row in found], np.int32)


def split() -> Split:
    return Split(list("abcd"), np.zeros((4, 12, 12, 1), np.uint8), LABELS)


@pytest.mark.parametrize("weights", [None, np.array([0.5, 2.0, 3.0])])
def test_the_loss_is_binary_cross_entropy_with_weights_for_present_classes(weights: np.ndarray | None) -> None:
    random = np.random.default_rng(0)
    logits, truth = random.normal(size=(7, 3)).astype(np.float32), random.integers(0, 2, (7, 3)).astype(np.float32)
    found = float(BinaryCrossEntropy(weights)(ids(truth), logits))
    chances = 1 / (1 + np.exp(-logits.astype(np.float64)))
    each = np.where(truth, 1.0 if weights is None else weights, 1.0)
    expected = log_loss(truth.ravel(), chances.ravel(), sample_weight=each.ravel()) * each.mean()
    assert found == pytest.approx(expected, rel=1e-5)


def test_smoothing_equals_that_of_keras_and_extreme_logits_give_finite_losses() -> None:
    random = np.random.default_rng(0)
    logits, truth = random.normal(size=(7, 3)).astype(np.float32), random.integers(0, 2, (7, 3)).astype(np.float32)
    keras_own = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.2)
    assert float(BinaryCrossEntropy(None, 0.2)(ids(truth), logits)) == pytest.approx(
        float(keras_own(truth, logits)), rel=1e-5
    )
    assert float(BinaryCrossEntropy()(np.array([[0, -1]]), np.array([[-1e4, 1e4]], np.float32))) == pytest.approx(1e4)
    loss = TASK.loss(config("cnn", task="multilabel", label_smoothing=0.1), None)
    assert isinstance(loss, BinaryCrossEntropy) and loss.smoothing == 0.1


def test_class_weights_by_hand() -> None:
    # Of 4 images, 3 show the first class, 1 shows the last, and none shows the second.
    np.testing.assert_allclose(TASK.class_weights(split(), 3, "balanced"), [1 / 3, 1, 3])
    np.testing.assert_allclose(TASK.class_weights(split(), 3, "sqrt"), [(1 / 3) ** 0.5, 1, 3**0.5])


def test_padded_ids_become_marks() -> None:
    feed = a_feed(split(), (12, 12), 1, 4, 0, kind=CLASS_SET)
    ((_, fed),) = feed.batches()
    expected = [[1, 0, 0], [1, 0, 1], [1, 0, 0], [0, 0, 0]]
    np.testing.assert_array_equal(marks(fed, np.zeros((4, 3), np.float32)), expected)
    np.testing.assert_array_equal(marks(np.full((2, 1), -1), np.zeros((2, 1), np.float32)), [[0], [0]])


def test_every_output_has_the_loss() -> None:
    inception = build(model_config("inception", task="multilabel"), InputSpec(75, 75, 1), 3)
    arguments = TASK.compile_arguments(inception, config("inception", task="multilabel"))
    assert arguments["loss_weights"] == {"logits": 1.0, "auxiliary": 0.3}
    assert {type(loss) for loss in arguments["loss"].values()} == {BinaryCrossEntropy}


def test_the_share_of_correct_decisions_by_hand() -> None:
    metric = TASK.accuracy()
    metric.update_state(np.array([[0, -1], [1, -1]]), np.array([[2.0, 1.0], [-1.0, 3.0]]))
    assert float(metric.result()) == 0.75


def test_mixed_images_have_the_losses_of_both_labels_by_their_shares() -> None:
    """A mixed image has a share of each class, and the loss is linear in the shares."""
    random = np.random.default_rng(0)
    logits, pairs = random.normal(size=(5, 3)).astype(np.float32), random.integers(0, 2, (5, 2, 3))
    shares, weights = random.dirichlet([1, 1], 5).astype(np.float32), np.array([0.5, 2.0, 3.0])
    padded = np.stack([ids(pairs[:, k]) for k in (0, 1)], axis=1)
    mixed = np.asarray(class_shares({"labels": padded, "shares": shares}, 3))
    np.testing.assert_allclose(mixed, (pairs * shares[:, :, None]).sum(axis=1), atol=1e-6)
    single = BinaryCrossEntropy(weights, 0.1)
    each = [[float(single(padded[i : i + 1, k], logits[i : i + 1])) for k in (0, 1)] for i in range(5)]
    chosen = config("cnn", task="multilabel", label_smoothing=0.1, augment=AugmentConfig(cutmix=1.0))
    found = float(TASK.loss(chosen, weights)(mixed, logits))
    assert found == pytest.approx((np.array(each) * shares).sum(axis=1).mean(), rel=1e-5)
    metric = TASK.accuracy(mixed=True)
    metric.update_state(np.array([[0.6, 0.4], [1.0, 0.0]]), np.array([[2.0, 1.0], [-1.0, -3.0]]))
    assert float(metric.result()) == 0.5


def test_pictures_of_mixed_images_name_both_sets_of_classes() -> None:
    feed = a_feed(split(), (12, 12), 1, 4, 0, AugmentConfig(mixup=1.0), kind=CLASS_SET)
    picture = TASK.samples(*feed.preview(4), SimpleNamespace(classes=list("xyz")))  # type: ignore[arg-type]
    assert picture.dtype == np.uint8


def test_the_saved_network_gives_a_probability_for_each_class(tmp_path) -> None:  # type: ignore[no-untyped-def]
    network = build(model_config("cnn", filters=[4, 6], dense=[8], task="multilabel"), InputSpec(12, 12, 1), 3)
    saved = TASK.inference(network)
    assert TASK.fits(saved, 1, 3) and not TASK.fits(saved, 1, 4)
    saved.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    images = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 1)).astype(np.float32)
    logits = np.asarray(TASK.validated(network)(images, training=False))
    np.testing.assert_allclose(again(images), 1 / (1 + np.exp(-logits)), atol=1e-6)
    assert tuple(again(np.zeros((1, 30, 20, 1), np.float32)).shape) == (1, 3)


def test_flip_averaging_averages_probabilities() -> None:
    network = build(model_config("cnn", filters=[4, 6], dense=[8], task="multilabel"), InputSpec(12, 12, 1), 3)
    validated = TASK.validated(network)
    images = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 1)).astype(np.float32)
    both = [1 / (1 + np.exp(-np.asarray(validated(view)))) for view in (images, images[:, :, ::-1])]
    found = 1 / (1 + np.exp(-np.asarray(TASK.flip_averaged(validated)(images))))
    np.testing.assert_allclose(found, np.mean(both, axis=0), atol=1e-5)


def test_predictions_agree_on_the_same_side_of_one_half() -> None:
    one, other = {"p": np.array([[0.2, 0.6, 0.9]])}, {"p": np.array([[0.3, 0.4, 0.9]])}
    found = TASK.agreement(one, other, 12)
    assert (found.same, found.answers) == (2, 3)
    assert found.difference == pytest.approx(0.2)
    assert np.isnan(TASK.agreement(one, {"p": np.array([[0.2, np.nan, 0.9]])}, 12).difference)
