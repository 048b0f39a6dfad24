"""Average precision compared with pycocotools, and of one image by hand."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from cvlib.data.dataset import Boxes
from cvlib.tasks.detection import coco
from cvlib.tasks.detection.coco import Detections
from cvlib.tasks.detection.predictions import BoxPredictions

CLASSES = 5  # class 4 never occurs as truth, and class 3 is never predicted


def random_boxes(seed: int, images: int = 40) -> tuple[list[Boxes], list[Detections]]:
    """Return true boxes of all three sizes, with crowds and empty images, and detections.

    The detections are near true boxes, duplicated, misplaced or mislabelled.
    """
    rng = np.random.default_rng(seed)
    truths, found = [], []
    for _ in range(images):
        count = rng.integers(0, 6)
        low = rng.uniform(0, 300, (count, 2))
        corners = np.concatenate([low, low + np.exp(rng.uniform(2, 5.5, (count, 2)))], axis=1).astype(np.float32)
        labels = rng.integers(0, CLASSES - 1, count)
        truths.append(Boxes(corners, labels, rng.random(count) < 0.15))
        mean_side = (corners[:, 2:] - corners[:, :2]).mean() if count else 0
        doubled = corners[: count // 2] + rng.normal(0, 3, (count // 2, 4))
        near = np.concatenate([corners + rng.normal(0, 0.1, corners.shape) * mean_side, doubled])
        stray = rng.uniform(0, 300, (rng.integers(0, 4), 2))
        guesses = np.concatenate([near, np.concatenate([stray, stray + rng.uniform(5, 150, stray.shape)], axis=1)])
        kinds = np.concatenate([labels, labels[: count // 2], rng.integers(0, CLASSES, len(stray))])
        wrong = rng.random(len(kinds)) < 0.15
        kinds[wrong] = rng.integers(0, CLASSES, wrong.sum())
        kinds[kinds == 3] = 4
        scores = rng.permutation(len(kinds)) / max(len(kinds), 1) * 0.9 + rng.uniform(0, 0.1)
        found.append(Detections(guesses.astype(np.float32), scores.astype(np.float32), kinds))
    return truths, found


def reference(truths: list[Boxes], found: list[Detections]):
    """Return the twelve metrics of pycocotools and its precision array."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def rows(all_boxes, extra):
        return [
            {"id": i + 1, "image_id": n, "category_id": int(k), "bbox": [x, y, right - x, bottom - y], **more}
            for i, (n, (x, y, right, bottom), k, more) in enumerate(
                (n, c, k, extra(one, j)) for n, one in enumerate(all_boxes)
                for j, (c, k) in enumerate(zip(one.corners.tolist(), one.classes, strict=True)))
        ]  # fmt: skip

    def about_truth(one, j):
        return {"iscrowd": int(one.crowd[j]), "area": float(np.prod(one.corners[j, 2:] - one.corners[j, :2]))}

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {"images": [{"id": i} for i in range(len(truths))], "annotations": rows(truths, about_truth),
                         "categories": [{"id": i} for i in range(CLASSES)]}  # fmt: skip
        truth.createIndex()
        guesses = truth.loadRes(rows(found, lambda one, j: {"score": float(one.scores[j])}))
        evaluation = COCOeval(truth, guesses, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats, evaluation.eval["precision"]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_metrics_equal_pycocotools(seed):
    truths, found = random_boxes(seed)
    assert any(one.crowd.any() for one in truths) and any(not len(one) for one in truths)
    stats, precision = reference(truths, found)
    got = coco.measure(truths, found, CLASSES)
    names = ("mAP", "mAP50", "mAP75", "mAP_small", "mAP_medium", "mAP_large")
    assert [got.metrics[name] for name in names] == pytest.approx(stats[:6], abs=1e-6)
    assert got.metrics["ar_100"] == pytest.approx(stats[8], abs=1e-6)
    assert 0.05 < got.metrics["mAP"] < 0.9
    for label in range(CLASSES):
        own = precision[:, :, label, 0, -1]
        if (own > -1).any():
            assert got.per_class[label] == pytest.approx(own.mean(), abs=1e-6)
            assert got.precision[label] == pytest.approx(own[0], abs=1e-6)
    assert np.isnan(got.per_class[4]) and np.isnan(got.precision[4]).all()
    assert got.per_class[3] == 0


def test_metrics_are_0_without_detections_and_without_objects():
    truths, _ = random_boxes(0)
    none = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    assert coco.measure(truths, [none] * len(truths), CLASSES).metrics["mAP"] == 0
    empty = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, bool))
    metrics = coco.measure([empty] * 3, [none] * 3, CLASSES).metrics
    assert metrics == {"mAP": 0, "mAP50": 0, "mAP75": 0, "ar_100": 0}


def boxes(*corners, classes=None, crowd=None) -> Boxes:
    count = len(corners)
    return Boxes(np.array(corners, np.float32).reshape(-1, 4), np.array(classes or [0] * count, np.int64),
                 np.array(crowd or [False] * count, bool))  # fmt: skip


def detections(*rows, classes=None) -> Detections:
    table = np.array(rows, np.float32).reshape(-1, 5)
    return Detections(table[:, :4], table[:, 4], np.array(classes or [0] * len(rows), np.int64))


def test_the_precision_of_one_image_by_hand():
    truth = boxes([0, 0, 10, 10], [20, 0, 30, 10])
    assert coco.image_precision(truth, detections([0, 0, 10, 10, 0.9], [20, 0, 30, 10, 0.8])) == 1
    # Right, wrong, right: precision 1 at recall 1/2, then 2/3 at recall 1.
    mixed = detections([0, 0, 10, 10, 0.9], [50, 0, 60, 10, 0.8], [20, 0, 30, 10, 0.7])
    assert coco.image_precision(truth, mixed) == pytest.approx((1 + 2 / 3) / 2)
    # The second box on the same object is a false positive; the other object isn't found.
    double = detections([0, 0, 10, 10, 0.9], [0, 0, 10, 9, 0.8])
    assert coco.image_precision(truth, double) == pytest.approx(0.5)
    assert coco.image_precision(truth, detections([0, 0, 10, 10, 0.9], classes=[1])) == 0
    assert coco.image_precision(truth, detections()) == 0


def test_an_image_without_objects_is_correct_without_confident_detections():
    assert coco.image_precision(boxes(), detections()) == 1
    assert coco.image_precision(boxes(), detections([0, 0, 10, 10, 0.1])) == 1
    assert coco.image_precision(boxes(), detections([0, 0, 10, 10, 0.3])) == 0


def test_detections_in_a_crowd_are_ignored():
    truth = boxes([0, 0, 10, 10], [40, 40, 90, 90], crowd=[False, True])
    found = detections([45, 45, 60, 60, 0.9], [0, 0, 10, 10, 0.8], [0, 50, 10, 60, 0.7])
    assert coco.match(truth, found).tolist() == [-1, 1, 0]
    assert coco.image_precision(truth, found) == 1


def test_rows_by_class_equal_pycocotools_and_exclude_crowds():
    truths, found = random_boxes(0)
    _, precision = reference(truths, found)  # (IoUs, recalls, classes, sizes, most detections)
    names = list("abcde")
    rows = BoxPredictions(found, truths, names, np.full((len(truths), 2), 500), "stretch").by_class()
    assert rows[4] == {"class": "e", "AP": None, "AP50": None, "objects": 0}
    for label, row in enumerate(rows[:4]):
        assert row["AP"] == pytest.approx(precision[:, :, label, 0, 2].mean())
        assert row["AP50"] == pytest.approx(precision[0, :, label, 0, 2].mean())
        assert row["objects"] == sum(int(((one.classes == label) & ~one.crowd).sum()) for one in truths)
