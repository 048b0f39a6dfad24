"""The published loss, compared with a loop over cells, and decoding by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from cvlib.models.heads import grid

SIZE, CELLS, COUNT, CLASSES = (64, 96), (2, 3), 2, 4  # cells of 32 pixels


def numpy(value) -> np.ndarray:
    return keras.ops.convert_to_numpy(value)


def iou(first, second) -> float:
    width = max(0, min(first[2], second[2]) - max(first[0], second[0]))
    height = max(0, min(first[3], second[3]) - max(first[1], second[1]))
    areas = [max(box[2] - box[0], 0) * max(box[3] - box[1], 0) for box in (first, second)]
    return width * height / max(sum(areas) - width * height, 1e-9)


def loop(targets, raw) -> np.ndarray:
    """Return the loss of one image by equation 3 of the paper: (coordinates, objectness, classes)."""
    objects: dict[tuple[int, int], np.ndarray] = {}
    for row in targets:
        if row[4] >= 0:
            cell = int((row[1] + row[3]) / 2 // 32), int((row[0] + row[2]) / 2 // 32)
            objects.setdefault(cell, row)
    coordinates = objectness = classes = 0.0
    for index in range(6):
        y, x = divmod(index, 3)
        pred = raw[index, : 5 * COUNT].reshape(COUNT, 5)
        if (y, x) not in objects:
            objectness += 0.5 * (pred[:, 4] ** 2).sum()
            continue
        left, top, right, bottom, label = objects[y, x]
        overlaps = []
        for bx, by, root_w, root_h, _ in pred:
            centre, sides = np.array([(x + bx) * 32, (y + by) * 32]), np.array([root_w**2 * 96, root_h**2 * 64])
            overlaps.append(iou([*(centre - sides / 2), *(centre + sides / 2)], (left, top, right, bottom)))
        best = int(np.argmax(overlaps))
        bx, by, root_w, root_h, confidence = pred[best]
        coordinates += 5 * (
            (bx - ((left + right) / 2 / 32 - x)) ** 2 + (by - ((top + bottom) / 2 / 32 - y)) ** 2
            + (root_w - ((right - left) / 96) ** 0.5) ** 2 + (root_h - ((bottom - top) / 64) ** 0.5) ** 2
        )  # fmt: skip
        objectness += (confidence - overlaps[best]) ** 2 + 0.5 * sum(pred[k, 4] ** 2 for k in range(2) if k != best)
        classes += ((raw[index, 5 * COUNT :] - np.eye(CLASSES)[int(label)]) ** 2).sum()
    return np.array([coordinates, objectness, classes])


def batch() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 40, (5, 3, 2))
    corners = np.concatenate([low, low + rng.uniform(6, 24, (5, 3, 2))], axis=-1)
    targets = np.concatenate([corners, rng.integers(0, CLASSES, (5, 3, 1))], axis=-1).astype(np.float32)
    targets[1, 2] = targets[2, 1:] = targets[3] = [0, 0, 0, 0, -1]
    return targets, rng.uniform(0.1, 0.9, (5, 6, 5 * COUNT + CLASSES)).astype(np.float32)


def test_the_loss_equals_the_published_one():
    targets, raw = batch()
    parts = grid.loss_parts(targets, raw, SIZE, CELLS, COUNT)
    got = np.stack([numpy(parts[name]) for name in ("box_loss", "objectness_loss", "class_loss")], axis=-1)
    assert got == pytest.approx(np.stack([loop(*pair) for pair in zip(targets, raw, strict=True)]), rel=1e-4)
    assert got[3, 0] == got[3, 2] == 0 and got[3, 1] > 0


def test_class_weights_scale_the_class_loss_of_their_cells():
    targets = np.array([[[32, 0, 64, 32, 2]], [[0, 0, 32, 32, 1]]], np.float32)
    raw = np.random.default_rng(1).uniform(0.1, 0.9, (2, 6, 5 * COUNT + CLASSES)).astype(np.float32)
    plain, weighted = (grid.loss_parts(targets, raw, SIZE, CELLS, COUNT, weights)
                       for weights in (None, np.array([1, 5, 0.5, 1])[:CLASSES]))  # fmt: skip
    assert numpy(weighted["class_loss"]) == pytest.approx(numpy(plain["class_loss"]) * [0.5, 5], rel=1e-5)
    assert numpy(weighted["box_loss"]) == pytest.approx(numpy(plain["box_loss"]))


def test_a_perfect_prediction_has_zero_loss():
    targets = np.array([[[32, 0, 64, 32, 2]]], np.float32)  # fills the cell in row 0, column 1
    raw = np.zeros((1, 6, 5 * COUNT + CLASSES), np.float32)
    raw[0, 1, :5] = [0.5, 0.5, (1 / 3) ** 0.5, (1 / 2) ** 0.5, 1]
    raw[0, 1, 10 + 2] = 1
    parts = grid.loss_parts(targets, raw, SIZE, CELLS, COUNT)
    assert sum(float(numpy(part)[0]) for part in parts.values()) == pytest.approx(0, abs=1e-6)
    corners, scores = (numpy(part)[0] for part in grid.decode(raw, SIZE, CELLS, COUNT))
    assert corners.shape == (12, 4) and scores.shape == (12, 4)
    assert corners[2] == pytest.approx([32, 0, 64, 32], abs=1e-4)
    assert scores[2].tolist() == [0, 0, 1, 0] and scores.sum() == 1


def test_the_nearest_box_is_responsible_if_no_box_overlaps():
    targets = np.array([[[0, 0, 4, 4, 0]]], np.float32)
    raw = np.zeros((1, 6, 5 * COUNT + CLASSES), np.float32)
    raw[0, 0, [0, 1, 5, 6]] = [0.9, 0.9, 0.5, 0.5]  # both have no area; the second is nearer
    raw[0, 0, [4, 9]] = [0.6, 0.2]
    objectness = float(numpy(grid.loss_parts(targets, raw, SIZE, CELLS, COUNT)["objectness_loss"])[0])
    assert objectness == pytest.approx(0.2**2 + 0.5 * 0.6**2, abs=1e-6)


def test_crowded_cells_are_counted():
    targets = np.array([
        [[0, 0, 10, 10, 0], [4, 4, 20, 20, 1], [40, 0, 50, 10, 0], [2, 2, 8, 8, 3]],
        [[0, 0, 10, 10, 0], [40, 0, 50, 10, 0], [0, 0, 0, 0, -1], [0, 0, 0, 0, -1]],
    ], np.float32)  # fmt: skip
    assert numpy(grid.crowded(targets, SIZE, CELLS)).tolist() == [2, 0]


def test_gradients_are_finite_without_objects():
    import tensorflow as tf

    raw = tf.Variable(np.zeros((2, 6, 5 * COUNT + CLASSES), np.float32))
    targets = tf.constant([[[0, 0, 0, 0, -1.0]]] * 2)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(sum(grid.loss_parts(targets, raw, SIZE, CELLS, COUNT).values()))
    assert np.isfinite(tape.gradient(total, raw).numpy()).all() and float(total) == 0
