"""cvlib's detection metrics against pycocotools, on 5,000 images with 100 predicted boxes each."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import measure
import numpy as np
from measure import Row, timed

from cvlib.data.labels import Boxes
from cvlib.tasks.detection import coco as ours
from cvlib.tasks.detection.coco import Detections

CLASSES, TRUE, FOUND = 10, 7, 100  # TRUE and FOUND: true and predicted boxes per image


def coco(quick: bool, **_: Any) -> list[Row]:
    """Compute the metrics with both, in turns. The note gives the difference in mAP, which must be small."""
    truths, found = scenes(500 if quick else 5000)
    own, theirs, results = [], [], {}

    def run_ours() -> None:
        results["ours"] = ours.measure(truths, found, CLASSES).metrics["mAP"]

    def run_theirs() -> None:
        results["theirs"] = reference(truths, found)

    for _ in range(1 if quick else 3):
        own.append(timed(run_ours))
        theirs.append(timed(run_theirs))
        print(f"  ours {own[-1].seconds:.1f} s, pycocotools {theirs[-1].seconds:.1f} s", flush=True)
    return [measure.sooner(f"COCO metrics of {len(truths):,} images", own, theirs, "pycocotools",
                           note=f"mAP differs by {abs(results['ours'] - results['theirs']):.1e}")]  # fmt: skip


def scenes(count: int) -> tuple[list[Boxes], list[Detections]]:
    """Return the true boxes of each image, and its detections: boxes near the true ones, and random boxes."""
    random = np.random.default_rng(0)
    truths, found = [], []
    for _ in range(count):
        low = random.uniform(0, 300, (TRUE, 2))
        corners = np.concatenate([low, low + random.uniform(10, 150, (TRUE, 2))], 1).astype(np.float32)
        classes = random.integers(0, CLASSES, TRUE)
        truths.append(Boxes(corners, classes, np.zeros(TRUE, bool)))
        stray = random.uniform(0, 300, (FOUND - 2 * TRUE, 2))
        near = [corners + random.normal(0, spread, corners.shape) for spread in (2, 8)]
        boxes = np.concatenate([*near, np.concatenate([stray, stray + random.uniform(5, 150, stray.shape)], 1)])
        labels = np.concatenate([classes, classes, random.integers(0, CLASSES, len(stray))])
        found.append(Detections(boxes.astype(np.float32), random.random(FOUND).astype(np.float32), labels))
    return truths, found


def reference(truths: list[Boxes], found: list[Detections]) -> float:
    """Return the mAP from pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def rows(images: list[Any]) -> list[dict[str, Any]]:
        made = []
        for number, one in enumerate(images):
            scores = one.scores.tolist() if isinstance(one, Detections) else [1.0] * len(one)
            for (x, y, right, bottom), label, score in zip(
                one.corners.tolist(), one.classes.tolist(), scores, strict=True
            ):
                made.append({"id": len(made) + 1, "image_id": number, "category_id": label, "score": score,
                             "bbox": [x, y, right - x, bottom - y], "area": (right - x) * (bottom - y),
                             "iscrowd": 0})  # fmt: skip
        return made

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {"images": [{"id": i} for i in range(len(truths))], "annotations": rows(truths),
                         "categories": [{"id": i} for i in range(CLASSES)]}  # fmt: skip
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(rows(found)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])
