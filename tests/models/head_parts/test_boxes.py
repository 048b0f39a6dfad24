"""IoU by hand, complete IoU by the paper's formula in NumPy, and suppression against a greedy loop."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from cvlib.models.head_parts import boxes


def number(value) -> float:
    return float(keras.ops.convert_to_numpy(value))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([0, 0, 10, 10], [0, 0, 10, 10], 1.0),
        ([0, 0, 10, 10], [5, 0, 15, 10], 50 / 150),
        ([0, 0, 10, 10], [2, 2, 4, 4], 4 / 100),
        ([0, 0, 10, 10], [10, 0, 20, 10], 0.0),
        ([0, 0, 10, 10], [20, 20, 30, 30], 0.0),
        ([0, 0, 0, 0], [0, 0, 0, 0], 0.0),
        ([5, 5, 2, 2], [0, 0, 10, 10], 0.0),
    ],
)
def test_iou_by_hand(first, second, expected):
    one, other = np.array(first, np.float32), np.array(second, np.float32)
    assert number(boxes.iou(one, other)) == pytest.approx(expected, abs=1e-6)
    assert number(boxes.iou(other, one)) == pytest.approx(expected, abs=1e-6)


def ciou(truth, guess) -> float:
    """Return the complete IoU of one pair of boxes by equations 7 to 11 of the paper."""
    width = max(0, min(truth[2], guess[2]) - max(truth[0], guess[0]))
    height = max(0, min(truth[3], guess[3]) - max(truth[1], guess[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (truth, guess)]
    iou = width * height / (sum(areas) - width * height)
    apart = sum(((truth[i] + truth[i + 2]) / 2 - (guess[i] + guess[i + 2]) / 2) ** 2 for i in (0, 1))
    diagonal = sum((max(truth[i + 2], guess[i + 2]) - min(truth[i], guess[i])) ** 2 for i in (0, 1))
    angles = [math.atan((box[2] - box[0]) / (box[3] - box[1])) for box in (truth, guess)]
    v = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    alpha = v / (1 - iou + v) if v else 0
    return iou - apart / diagonal - alpha * v


def test_complete_iou_equals_the_papers_formula():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 50, (2, 40, 2))
    pairs = np.concatenate([corners, corners + rng.uniform(1, 40, (2, 40, 2))], axis=-1).astype(np.float32)
    got = keras.ops.convert_to_numpy(boxes.ciou(pairs[0], pairs[1]))
    assert got == pytest.approx([ciou(t, g) for t, g in zip(*pairs.tolist(), strict=True)], abs=1e-5)
    assert number(boxes.ciou(pairs[0][0], pairs[0][0])) == pytest.approx(1, abs=1e-6)
    # Same shape and no overlap: centres 20 apart, hull 30 × 10.
    apart = number(boxes.ciou(np.array([0.0, 0, 10, 10]), np.array([20.0, 0, 30, 10])))
    assert apart == pytest.approx(-400 / 1000, abs=1e-6)


def greedy(corners, scores, threshold, least, most):
    """Run the textbook's greedy loop over (score, box, class), best first."""
    entries = sorted(((scores[i, k], i, k) for i in range(len(scores)) for k in range(scores.shape[1])), reverse=True)
    kept: list[tuple[float, int, int]] = []
    for score, index, label in entries:
        rivals = [other for _, other, kind in kept if kind == label]
        if score >= least and all(iou(corners[index], corners[other]) <= threshold for other in rivals):
            kept.append((score, index, label))
    return kept[:most]


def iou(first, second) -> float:
    width = max(0, min(first[2], second[2]) - max(first[0], second[0]))
    height = max(0, min(first[3], second[3]) - max(first[1], second[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return width * height / (sum(areas) - width * height)


def test_suppression_equals_the_greedy_loop():
    rng = np.random.default_rng(1)
    low = rng.uniform(0, 40, (3, 60, 2))
    corners = np.concatenate([low, low + rng.uniform(8, 30, (3, 60, 2))], axis=-1).astype(np.float32)
    scores = rng.permutation(3 * 60 * 3).reshape(3, 60, 3).astype(np.float32) / 540
    found = [keras.ops.convert_to_numpy(part) for part in boxes.non_max_suppression(corners, scores, 180, 50, 0.4, 0.1)]
    for image in range(3):
        expected = greedy(corners[image], scores[image], 0.4, 0.1, 50)
        assert 20 < len(expected) <= 50
        count = len(expected)
        assert found[1][image][:count] == pytest.approx([score for score, _, _ in expected])
        assert found[2][image][:count].tolist() == [label for _, _, label in expected]
        assert np.array_equal(found[0][image][:count], corners[image][[index for _, index, _ in expected]])
        assert np.all(found[1][image][count:] == 0) and np.all(found[2][image][count:] == -1)


def test_suppression_keeps_every_other_box_of_a_chain():
    """Each box overlaps only its neighbours, so the greedy rule keeps every other box."""
    left = np.arange(12) * 4.0
    corners = np.stack([left, np.zeros(12), left + 10, np.full(12, 10.0)], axis=-1).astype(np.float32)[None]
    scores = np.linspace(0.9, 0.3, 12, dtype=np.float32)[None, :, None]
    found = [
        keras.ops.convert_to_numpy(part)[0] for part in boxes.non_max_suppression(corners, scores, 300, 100, 0.4, 0.01)
    ]
    assert found[0].shape == (100, 4) and found[1].shape == found[2].shape == (100,)
    assert found[0][found[2] >= 0][:, 0].tolist() == left[::2].tolist()


def test_suppression_can_be_saved_in_a_model(tmp_path):
    corners = keras.Input((20, 4))
    scores = keras.Input((20, 2))
    model = keras.Model([corners, scores], list(boxes.non_max_suppression(corners, scores, 30, 10, 0.5, 0.01)))
    model.save(tmp_path / "model.keras")
    rng = np.random.default_rng(2)
    low = rng.uniform(0, 10, (2, 20, 2))
    given = [np.concatenate([low, low + 8], axis=-1).astype(np.float32), rng.uniform(size=(2, 20, 2)).astype("float32")]
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    for own, loaded in zip(model.predict(given, verbose=0), again.predict(given, verbose=0), strict=True):
        assert np.array_equal(own, loaded)


def test_suppression_in_a_model_works_on_single_images():
    rng = np.random.default_rng(3)
    low = rng.uniform(0, 40, (4, 30, 2))
    corners = np.concatenate([low, low + rng.uniform(8, 30, (4, 30, 2))], axis=-1).astype(np.float32)
    scores = rng.permutation(4 * 30 * 2).reshape(4, 30, 2).astype(np.float32) / 240
    given = keras.Input((30, 4)), keras.Input((30, 2))
    model = keras.Model(given, list(boxes.non_max_suppression(*given, 60, 20, 0.4, 0.1)))
    for image in range(4):
        alone = model([corners[image : image + 1], scores[image : image + 1]])
        expected = greedy(corners[image], scores[image], 0.4, 0.1, 20)
        assert keras.ops.convert_to_numpy(alone[1])[0][: len(expected)] == pytest.approx([row[0] for row in expected])
        assert keras.ops.convert_to_numpy(alone[2])[0][: len(expected)].tolist() == [row[2] for row in expected]
