"""Contributions of images to a detector's metrics, compared with pycocotools and a jackknife of it."""

from __future__ import annotations

import numpy as np
import pytest

from cvlib.data.dataset import Boxes
from cvlib.tasks.detection import jackknife
from cvlib.tasks.detection.coco import Detections
from tests.tasks.detection.test_coco import CLASSES, random_boxes, reference

_STATS = {"mAP": 0, "mAP50": 1, "mAP75": 2, "ar_100": 8}  # positions in pycocotools' list


def _stats(truths: list[Boxes], found: list[Detections]) -> dict[str, float]:
    stats = reference(truths, found)[0]
    return {name: float(stats[position]) for name, position in _STATS.items()}


@pytest.mark.parametrize("seed", [0, 1])
def test_contributions_average_to_the_metric_and_differ_like_jackknife_values(seed: int) -> None:
    truths, found = random_boxes(seed, images=25)
    values, whole = jackknife.contributions(truths, found, CLASSES), _stats(truths, found)
    without = [_stats(truths[:i] + truths[i + 1 :], found[:i] + found[i + 1 :]) for i in range(len(truths))]
    assert values.keys() == whole.keys()
    for name, contributions in values.items():
        assert contributions.mean() == pytest.approx(whole[name], abs=1e-9)
        raw = np.array([25 * whole[name] - 24 * one[name] for one in without])
        np.testing.assert_allclose(contributions - contributions.mean(), raw - raw.mean(), atol=1e-8)


def test_more_than_100_detections_of_a_class_count_as_100() -> None:
    random = np.random.default_rng(0)
    low = random.uniform(0, 300, (150, 2))
    boxes = np.concatenate([low, low + 20], axis=1).astype(np.float32)
    truths = [Boxes(boxes[:120], np.zeros(120, int), np.zeros(120, bool)) for _ in range(3)]
    found = [Detections(boxes, random.random(150).astype(np.float32), np.zeros(150, int)) for _ in range(3)]
    whole = _stats(truths, found)
    for name, contributions in jackknife.contributions(truths, found, 1).items():
        assert contributions.mean() == pytest.approx(whole[name])


def test_without_any_true_box_all_contributions_are_0() -> None:
    nothing = Boxes(np.empty((0, 4), np.float32), np.empty(0, int), np.empty(0, bool))
    found = Detections(np.array([[0, 0, 9, 9]], np.float32), np.ones(1, np.float32), np.zeros(1, int))
    for contributions in jackknife.contributions([nothing, nothing], [found, found], 2).values():
        assert contributions.tolist() == [0, 0]
