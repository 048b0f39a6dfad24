"""Points and boxes by hand, the assignment of objects against loops, and the loss without objects."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from cvlib.models.head_parts import boxes
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
    corners, scores = (numpy(part)[0] for part in anchor_free.decode(raw, SIZE, STRIDES))
    # The centre is (4 + 4, 4 − 2), and the sides are 4 strides of 8 pixels times (2, 1).
    assert corners[0] == pytest.approx([8 - 32, 2 - 16, 8 + 32, 2 + 16], abs=1e-4)
    assert corners[24] == pytest.approx([8 - 32, 8 - 32, 8 + 32, 8 + 32], abs=1e-4)
    assert scores[24].tolist() == [0.5, 1]


def case(seed: int):
    rng = np.random.default_rng(seed)
    places = anchor_free.points(SIZE, STRIDES)
    low = rng.uniform(0, 24, (2, 3, 2))
    corners = np.concatenate([low, low + rng.uniform(3, 20, (2, 3, 2))], axis=-1)
    targets = np.concatenate([corners, rng.integers(0, 2, (2, 3, 1))], axis=-1).astype(np.float32)
    targets[1, 2] = [0, 0, 0, 0, -1]
    spread = rng.uniform(3, 20, (2, 30, 2))
    centres = places[:, :2] + rng.normal(0, 4, (2, 30, 2))
    guesses = np.concatenate([centres - spread / 2, centres + spread / 2], axis=-1).astype(np.float32)
    return targets, guesses, rng.uniform(0.01, 0.99, (2, 30, 2)).astype(np.float32), places


def loop(targets, guesses, scores, places, most):
    """Return the object of each point of one image (−1: none), and the points' target scores."""
    overlaps = numpy(boxes.iou(targets[:, None, :4], guesses[None]))
    alignment = np.zeros(overlaps.shape)
    for m, (left, top, right, bottom, label) in enumerate(targets):
        for p, (x, y, stride) in enumerate(places):
            inside = left < x < right and top < y < bottom
            near = max(abs((left + right) / 2 - x), abs((top + bottom) / 2 - y)) < stride
            if label >= 0 and (inside or near):
                alignment[m, p] = (scores[p, int(label)] + 1e-3) ** 0.5 * (overlaps[m, p] + 0.01) ** 6
    wanted = {m: [p for p in np.argsort(-alignment[m])[:most] if alignment[m, p] > 0] for m in range(len(targets))}
    owner = np.full(len(places), -1)
    for p in range(len(places)):
        rivals = [m for m in wanted if p in wanted[m]]
        if rivals:
            owner[p] = max(rivals, key=lambda m: overlaps[m, p])
    goals = np.zeros(scores.shape)
    for m, target in enumerate(targets):
        own = np.flatnonzero(owner == m)
        if len(own):
            goals[own, int(target[4])] = alignment[m, own] / alignment[m, own].max() * overlaps[m, own].max()
    return owner, goals


@pytest.mark.parametrize("most", [3, 10])
def test_objects_are_assigned_to_the_best_aligned_points(monkeypatch, most):
    monkeypatch.setattr(anchor_free, "_POSITIVES", most)
    contested = 0
    for seed in range(5):
        targets, guesses, scores, places = case(seed)
        wanted, goals = (numpy(part) for part in anchor_free.assign(targets, guesses, scores, places))
        for image in range(2):
            owner, expected = loop(targets[image], guesses[image], scores[image], places, most)
            assert goals[image] == pytest.approx(expected, abs=1e-5)
            assert wanted[image][owner >= 0] == pytest.approx(targets[image][owner[owner >= 0], :4])
            assert np.all(wanted[image][owner < 0] == 0)
            contested += (owner >= 0).sum()
    assert contested > 50


def test_even_the_smallest_object_has_a_point():
    targets = np.array([[[17, 17, 18, 18, 1]]], np.float32)  # between points, a pixel wide
    places = anchor_free.points(SIZE, STRIDES)
    raw = np.zeros((1, 30, 6), np.float32)
    corners, scores = anchor_free.decode(raw, SIZE, STRIDES)
    _, goals = anchor_free.assign(targets, corners, scores, places)
    assert numpy(goals)[0, :, 1].max() > 0 and numpy(goals)[0, :, 0].max() == 0


def test_the_loss_is_zero_for_certain_correct_predictions():
    targets = np.array([[[4, 4, 20, 28, 1], [0, 0, 0, 0, -1]]], np.float32)
    places = anchor_free.points(SIZE, STRIDES)
    raw = np.full((1, 30, 6), -30, np.float32)
    raw[0, :, :2] = (np.array([12, 16]) - places[:, :2]) / places[:, 2:]
    raw[0, :, 2:4] = np.log(np.array([16, 24]) / (4 * places[:, 2:]))
    _, goals = anchor_free.assign(targets, *anchor_free.decode(raw, SIZE, STRIDES), places)
    raw[0, numpy(goals)[0, :, 1] > 0, 5] = 30
    parts = {name: float(numpy(part)[0]) for name, part in anchor_free.loss_parts(targets, raw, SIZE, STRIDES).items()}
    assert parts["box_loss"] == pytest.approx(0, abs=1e-4) and parts["class_loss"] == pytest.approx(0, abs=1e-3)
    raw[0, :, 5] = -30
    assert float(numpy(anchor_free.loss_parts(targets, raw, SIZE, STRIDES)["class_loss"])[0]) > 20


def test_class_weights_scale_the_loss_of_the_points_of_a_class():
    targets = np.array([[[4, 4, 20, 28, 1], [0, 0, 0, 0, -1]]], np.float32)
    raw = np.random.default_rng(0).normal(0, 1, (1, 30, 6)).astype(np.float32)
    weights = [None, np.ones(2), np.array([9.0, 1.0]), np.array([1.0, 2.0]), np.array([1.0, 3.0])]
    losses = [float(numpy(anchor_free.loss_parts(targets, raw, SIZE, STRIDES, one)["class_loss"])[0])
              for one in weights]  # fmt: skip
    assert losses[0] == pytest.approx(losses[1]) == pytest.approx(losses[2])
    assert losses[4] - losses[3] == pytest.approx(losses[3] - losses[0], rel=1e-4) and losses[3] > losses[0]


@pytest.mark.parametrize("empty", [[0, 1], [1]])
def test_images_and_batches_without_boxes_give_finite_gradients(empty):
    import tensorflow as tf

    targets = np.array([[[4, 4, 20, 28, 1]]] * 2, np.float32)
    targets[empty] = [0, 0, 0, 0, -1]
    raw = tf.Variable(np.random.default_rng(0).normal(0, 3, (2, 30, 6)).astype(np.float32))
    with tf.GradientTape() as tape:
        parts = anchor_free.loss_parts(tf.constant(targets), raw, SIZE, STRIDES)
        total = tf.reduce_mean(sum(parts.values()))
    gradient = tape.gradient(total, raw).numpy()
    assert np.isfinite(float(total)) and np.isfinite(gradient).all()
    for image in empty:
        # Without objects, the predicted boxes get no gradient, and all scores are pushed down.
        assert float(parts["box_loss"][image]) == 0 and np.all(gradient[image, :, :4] == 0)
        assert np.all(gradient[image, :, 4:] > 0)
