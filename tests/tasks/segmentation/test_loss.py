"""Mask losses compared with NumPy and scikit-learn. Ignored pixels have no effect."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import log_loss

from cvlib.data.labels import IGNORE
from cvlib.tasks.segmentation.loss import PixelAccuracy, SegmentationLoss

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(2, 4, 5, 3)).astype(np.float32) * 2
TRUTH = RNG.integers(0, 3, (2, 4, 5)).astype(np.int32)
TRUTH[0, :2] = IGNORE
VALID = TRUTH != IGNORE
EACH = [{"cross_entropy": 1.0}, {"dice": 1.0}, {"focal": 1.0}, {"cross_entropy": 1.0, "dice": 0.5, "focal": 0.25}]


def probabilities() -> np.ndarray:
    exponentials = np.exp(LOGITS.astype(np.float64))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def loss(weights: dict[str, float], truth: Any = TRUTH, logits: Any = LOGITS, pixels: Any = None) -> float:
    return float(SegmentationLoss(weights)(truth, logits, pixels))


def test_cross_entropy_equals_scikit_learns_over_the_labelled_pixels() -> None:
    expected = log_loss(TRUTH[VALID], probabilities()[VALID], labels=[0, 1, 2])
    assert loss({"cross_entropy": 1.0}) == pytest.approx(expected, rel=1e-5)


def test_cross_entropy_uses_the_weight_of_each_pixel() -> None:
    by_class = np.array([1.0, 3.0, 0.5])
    weights = np.where(VALID, by_class[np.where(VALID, TRUTH, 0)], 7.0)  # weights of ignored pixels must not count
    expected = log_loss(TRUTH[VALID], probabilities()[VALID], labels=[0, 1, 2], sample_weight=weights[VALID])
    assert loss({"cross_entropy": 1.0}, pixels=weights) == pytest.approx(expected, rel=1e-5)


def test_class_weights_change_the_gradient_but_not_the_optimum() -> None:
    frequency = np.array([0.7, 0.1, 0.2])
    weights = np.array([0.5, 4.0, 2.0])
    truth = np.repeat([0, 1, 2], [7, 1, 2]).reshape(1, 2, 5)
    logits = tf.Variable(np.tile(np.log(frequency), (1, 2, 5, 1)).astype(np.float32))  # predicts the true frequencies
    criterion = SegmentationLoss({"cross_entropy": 1.0}, class_weights=weights)
    with tf.GradientTape() as tape:
        value = criterion(truth, logits)
    shifted = frequency * weights / (frequency * weights).sum()
    expected = log_loss(
        truth.ravel(), np.tile(shifted, (10, 1)), labels=[0, 1, 2], sample_weight=weights[truth.ravel()]
    )
    assert float(value) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(tape.gradient(value, logits).numpy().sum(axis=(0, 1, 2)), 0, atol=1e-6)
    plain = SegmentationLoss({"dice": 1.0}, class_weights=weights)
    assert float(plain(TRUTH, LOGITS)) == loss({"dice": 1.0})


def test_a_class_with_zero_weight_gives_a_finite_loss() -> None:
    criterion = SegmentationLoss({"cross_entropy": 1.0, "focal": 1.0}, class_weights=np.array([1.0, 0.0, 2.0]))
    assert np.isfinite(float(criterion(np.where(TRUTH == 1, 2, TRUTH), LOGITS)))


def test_focal_loss_equals_the_papers_formula() -> None:
    right = np.take_along_axis(probabilities(), np.where(VALID, TRUTH, 0)[..., None], axis=-1)[..., 0][VALID]
    expected = (-((1 - right) ** 2) * np.log(right)).mean()
    assert loss({"focal": 1.0}) == pytest.approx(expected, rel=1e-4)
    without = SegmentationLoss({"focal": 1.0}, focal_gamma=0.0)(TRUTH, LOGITS)
    assert float(without) == pytest.approx(loss({"cross_entropy": 1.0}), rel=1e-5)


def test_dice_is_averaged_over_the_classes_of_the_truth() -> None:
    truth = np.where(TRUTH == 1, 2, TRUTH)  # no pixel of class 1
    scores = []
    for c in (0, 2):
        p, t = probabilities()[VALID][:, c], truth[VALID] == c
        scores.append(2 * p[t].sum() / (p.sum() + t.sum()))
    assert loss({"dice": 1.0}, truth) == pytest.approx(1 - np.mean(scores), rel=1e-5)


def test_certain_correct_predictions_have_zero_loss() -> None:
    logits = 100.0 * (np.arange(3) == np.where(VALID, TRUTH, 0)[..., None])
    for weights in EACH:
        assert loss(weights, logits=logits) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("weights", EACH)
def test_all_labelled_pixels_and_no_ignored_ones_have_a_gradient(weights: dict[str, float]) -> None:
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        value = SegmentationLoss(weights)(TRUTH, logits)
    gradient = tape.gradient(value, logits).numpy()
    assert (gradient[~VALID] == 0).all()
    assert (np.abs(gradient[VALID]).max(axis=-1) > 0).all()


@pytest.mark.parametrize("weights", EACH)
def test_losses_are_finite_without_labelled_pixels_and_with_huge_logits(weights: dict[str, float]) -> None:
    for truth, factor in ((np.full_like(TRUTH, IGNORE), 1.0), (TRUTH, 1e4)):
        logits = tf.Variable(LOGITS * factor)
        with tf.GradientTape() as tape:
            value = SegmentationLoss(weights)(truth, logits)
        assert np.isfinite(float(value))
        assert np.isfinite(tape.gradient(value, logits).numpy()).all()


def test_combined_losses_are_weighted_sums() -> None:
    parts = [loss({name: 1.0}) for name in ("cross_entropy", "dice", "focal")]
    assert loss(EACH[-1]) == pytest.approx(np.dot(parts, [1.0, 0.5, 0.25]), rel=1e-5)


def test_coarse_logits_are_compared_with_the_centres_of_their_cells() -> None:
    truth = np.array([[[0, 0, 0, 1, 1], [0, 2, 0, 1, 1], [0, 0, 0, 1, 1], [2, 2, 2, 2, 2], [2, 2, 2, IGNORE, 2]]])
    right = 50 * np.eye(3, dtype=np.float32)[np.array([[[2, 1], [2, 0]]])]  # true classes of rows and columns 1 and 3
    assert float(SegmentationLoss({"cross_entropy": 1.0})(truth, right)) == pytest.approx(50 / 4)
    truth[0, 3, 3] = IGNORE
    assert float(SegmentationLoss({"cross_entropy": 1.0})(truth, right)) == pytest.approx(0)


def test_losses_of_bfloat16_logits_are_computed_in_float32() -> None:
    rounded = tf.cast(LOGITS, "bfloat16")
    assert loss({"dice": 1.0}, logits=rounded) == pytest.approx(loss({"dice": 1.0}, logits=tf.cast(rounded, "float32")))


def test_pixel_accuracy_covers_only_the_labelled_pixels() -> None:
    accuracy = PixelAccuracy()
    accuracy.update_state(TRUTH, LOGITS)
    assert float(accuracy.result()) == pytest.approx((LOGITS.argmax(-1) == TRUTH)[VALID].mean())
