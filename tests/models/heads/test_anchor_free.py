"""Points and boxes by hand, and the loss with and without objects."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from cvlib.models.head_parts import assignment
from cvlib.models.heads import anchor_free

SIZE, STRIDES = (32, 48), [8, 16]  # 24 + 6 points


def numpy(value) -> np.ndarray:
    return keras.ops.convert_to_numpy(value)


def test_points_are_the_centres_of_the_cells():
    places = anchor_free.points(SIZE, STRIDES)
    assert places.shape == (30, 3)
    assert places[0].tolist() == [4, 4, 8] and places[7].tolist() == [12, 12, 8]
    assert places[24].tolist() == [8, 8, 16] and places[29].tolist() == [40, 24, 16]


def test_boxes_are_decoded_from_their_points():
    raw = np.zeros((1, 30, 4 + 2), np.float32)
    raw[0, 0, :4] = [0.5, -0.25, np.log(2), 0]
    raw[0, 24, 4:] = [0, 100]
    corners, scores = (numpy(part)[0] for part in anchor_free.decode(raw, SIZE, STRIDES, None))
    # The centre is (4 + 4, 4 − 2), and the sides are 4 strides of 8 pixels times (2, 1).
    assert corners[0] == pytest.approx([8 - 32, 2 - 16, 8 + 32, 2 + 16], abs=1e-4)
    assert corners[24] == pytest.approx([8 - 32, 8 - 32, 8 + 32, 8 + 32], abs=1e-4)
    assert scores[24].tolist() == [0.5, 1]


def test_the_loss_is_zero_for_certain_correct_predictions():
    targets = np.array([[[4, 4, 20, 28, 1], [0, 0, 0, 0, -1]]], np.float32)
    places = anchor_free.points(SIZE, STRIDES)
    raw = np.full((1, 30, 6), -30, np.float32)
    raw[0, :, :2] = (np.array([12, 16]) - places[:, :2]) / places[:, 2:]
    raw[0, :, 2:4] = np.log(np.array([16, 24]) / (4 * places[:, 2:]))
    _, goals = assignment.assign(targets, *anchor_free.decode(raw, SIZE, STRIDES, None), places)
    raw[0, numpy(goals)[0, :, 1] > 0, 5] = 30
    parts = {
        name: float(numpy(part)[0]) for name, part in anchor_free.loss_parts(targets, raw, SIZE, STRIDES, None).items()
    }
    assert parts["box_loss"] == pytest.approx(0, abs=1e-4) and parts["class_loss"] == pytest.approx(0, abs=1e-3)
    raw[0, :, 5] = -30
    assert float(numpy(anchor_free.loss_parts(targets, raw, SIZE, STRIDES, None)["class_loss"])[0]) > 10


def test_class_weights_scale_the_loss_of_the_points_of_a_class():
    targets = np.array([[[4, 4, 20, 28, 1], [0, 0, 0, 0, -1]]], np.float32)
    raw = np.random.default_rng(0).normal(0, 1, (1, 30, 6)).astype(np.float32)
    weights = [None, np.ones(2), np.array([9.0, 1.0]), np.array([1.0, 2.0]), np.array([1.0, 3.0])]
    losses = [float(numpy(anchor_free.loss_parts(targets, raw, SIZE, STRIDES, None, one)["class_loss"])[0])
              for one in weights]  # fmt: skip
    assert losses[0] == pytest.approx(losses[1]) == pytest.approx(losses[2])
    assert losses[4] - losses[3] == pytest.approx(losses[3] - losses[0], rel=1e-4) and losses[3] > losses[0]


@pytest.mark.parametrize("bins", [None, 16])
@pytest.mark.parametrize("empty", [[0, 1], [1]])
def test_images_and_batches_without_boxes_give_finite_gradients(empty, bins):
    import tensorflow as tf

    targets = np.array([[[4, 4, 20, 28, 1]]] * 2, np.float32)
    targets[empty] = [0, 0, 0, 0, -1]
    values = 4 * (bins or 1)
    raw = tf.Variable(np.random.default_rng(0).normal(0, 3, (2, 30, values + 2)).astype(np.float32))
    with tf.GradientTape() as tape:
        parts = anchor_free.loss_parts(tf.constant(targets), raw, SIZE, STRIDES, bins)
        total = tf.reduce_mean(sum(parts.values()))
    gradient = tape.gradient(total, raw).numpy()
    assert np.isfinite(float(total)) and np.isfinite(gradient).all()
    for image in empty:
        # Without objects, the predicted boxes get no gradient, and all scores are pushed down.
        assert float(parts["box_loss"][image] + parts["distance_loss"][image]) == 0
        assert np.all(gradient[image, :, :values] == 0) and np.all(gradient[image, :, values:] > 0)
