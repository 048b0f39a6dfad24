"""The assignment of objects to points, against loops."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from cvlib.models.head_parts import assignment, boxes
from cvlib.models.heads import anchor_free

SIZE, STRIDES = (32, 48), [8, 16]  # 24 + 6 points


def numpy(value) -> np.ndarray:
    return keras.ops.convert_to_numpy(value)


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
    monkeypatch.setattr(assignment, "_POSITIVES", most)
    contested = 0
    for seed in range(5):
        targets, guesses, scores, places = case(seed)
        wanted, goals = (numpy(part) for part in assignment.assign(targets, guesses, scores, places))
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
    corners, scores = anchor_free.decode(raw, SIZE, STRIDES, None)
    _, goals = assignment.assign(targets, corners, scores, places)
    assert numpy(goals)[0, :, 1].max() > 0 and numpy(goals)[0, :, 0].max() == 0
