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
def test_contributions_average_to_the_metric(seed: int) -> None:
    truths, found = random_boxes(seed, images=25)
    values, whole = jackknife.contributions(truths, found, CLASSES), _stats(truths, found)
    assert values.keys() == whole.keys()
    for name, contributions in values.items():
        assert contributions.mean() == pytest.approx(whole[name], abs=1e-9)


def _area(images: list[int], hits: list[int], objects: list[int], weights: np.ndarray) -> float:
    """Return the area under the non-increasing precision–recall curve if each image counts `weights` times."""
    true = found = 0.0
    points = []  # weight and precision of each true positive
    for image, hit in zip(images, hits, strict=True):
        found += weights[image]
        if hit:
            true += weights[image]
            points.append((weights[image], true / found))
    total = sum(weight * max(precision for _, precision in points[i:]) for i, (weight, _) in enumerate(points))
    return float(total / np.dot(objects, weights))


def test_contributions_are_the_slopes_of_the_area_under_the_curve() -> None:
    """The infinitesimal jackknife: n times the derivative by an image's weight, here by finite differences."""
    random = np.random.default_rng(3)
    objects = random.integers(0, 4, 12)
    images, hits = random.integers(0, 12, 40), random.integers(0, 2, 40)
    matches = np.where(random.random(40) < 0.1, -1, hits)  # detections in a crowd don't count
    kept = matches >= 0
    values = jackknife.of_average_precision(images, matches, objects)
    curve = (images[kept].tolist(), matches[kept].tolist(), objects.tolist())
    slopes = [(_area(*curve, 1 + 1e-6 * one) - _area(*curve, 1 - 1e-6 * one)) / 2e-6 for one in np.eye(12)]
    np.testing.assert_allclose(values - values.mean(), 12 * np.array(slopes), atol=1e-6)


def test_the_spread_of_the_contributions_is_the_standard_error() -> None:
    """Average precision at 101 recalls is a step function; its delete-one jackknife is wrong by a factor of 2 to 3."""
    random, precisions, errors = np.random.default_rng(0), [], []
    for _ in range(300):
        objects = 1 + random.poisson(1, 300)
        owner = np.repeat(np.arange(300), objects)
        margin = 1.8 - random.normal(0, 1.2, 300)[owner] + random.normal(0, 1, len(owner))
        order = np.argsort(-margin - random.normal(0, 1, len(owner)))
        values = jackknife.of_average_precision(owner[order], (margin[order] > 0).astype(int), objects)
        precisions.append(values.mean())
        errors.append(values.std(ddof=1) / np.sqrt(300))
    assert np.std(precisions) == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=0.15)


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
