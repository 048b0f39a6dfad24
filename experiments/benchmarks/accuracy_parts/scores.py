"""The test metrics of a job, by one evaluator for all rows: `python -m accuracy_parts.scores JOB.json`; needs cvlib.

The predictions of peers are in the job's folder. Those of cvlib's run come from its saved network, as `cvlib predict`
uses it. Boxes are scored by pycocotools, in pixels of the original images, and masks at the images' own size, without
undefined pixels.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from accuracy_parts import job as jobs
from accuracy_parts.collection import Collection, Sample, read
from accuracy_parts.job import Job

_AT_A_TIME = 500  # images in memory
METRICS = {
    "detection": ("mAP", "mAP50", "mAP75"),
    "segmentation": ("mIoU", "boundary_IoU", "pixel_accuracy"),
    "classification": ("accuracy", "macro_f1"),
}


def main() -> None:
    """Write the metrics to scores.json in the job's folder."""
    job = jobs.from_arguments()
    collection = read(job.collection)
    if job.overrides:
        predict(job, collection.splits["test"])
    (job.folder / "scores.json").write_text(json.dumps(score(job, collection), indent=1) + "\n")


def score(job: Job, collection: Collection) -> dict[str, float]:
    """Return the metrics of a job's predictions for the test images, 0–1."""
    test = collection.splits["test"]
    if job.task == "segmentation":
        return of_masks(test, len(collection.classes), job.predictions)
    found = json.loads(job.predictions.read_text())
    if job.task == "detection":
        return of_boxes(test, len(collection.classes), found)
    return of_classes([sample.label for sample in test], found)


def predict(job: Job, test: Sequence[Sample]) -> None:
    """Write the predictions of cvlib's run, and its result, in the peers' form."""
    import cvlib

    run, found = cvlib.load_run(job.folder / "run"), []
    for start in range(0, len(test), _AT_A_TIME):
        found += cvlib.predict(run, [sample.file for sample in test[start : start + _AT_A_TIME]])
    if job.task == "segmentation":
        job.predictions.mkdir(exist_ok=True)
        for number, mask in enumerate(found):
            Image.fromarray(mask).save(job.predictions / f"{number:06d}.png")
    elif job.task == "detection":
        from cvlib.tasks.detection.coco import as_results

        job.predictions.write_text(json.dumps(as_results(found)))
    else:
        job.predictions.write_text(json.dumps([run.classes.index(one.classes[0]) for one in found]))
    files = [sample.file for sample in test[:_AT_A_TIME]]
    speed = jobs.images_per_second(len(files), lambda: cvlib.predict(run, files))
    summary = run.summary
    recorded = {name: summary["metrics"].get(f"test/{name}") for name in METRICS[job.task]}
    with (run.folder / "metrics.csv").open(newline="") as file:  # the summary's seconds don't include validation
        seconds = sum(float(row["seconds"]) for row in csv.DictReader(file))
    jobs.write_result(job, seconds, summary["parameters"]["total"], recorded=recorded, timing=summary["timing"],
                      git=summary.get("git"), versions=summary["versions"], predict_speed=speed)  # fmt: skip


def of_boxes(test: Sequence[Sample], classes: int, found: list[dict[str, Any]]) -> dict[str, float]:
    """Return mAP over IoU 0.50 to 0.95, mAP50 and mAP75, with at most 100 boxes per image; `found` are COCO results."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    if not found:
        return dict.fromkeys(METRICS["detection"], 0.0)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {}, "images": [{"id": number} for number in range(len(test))], "annotations": _annotations(test),
            "categories": [{"id": label} for label in range(classes)],
        }  # fmt: skip
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(METRICS["detection"], map(float, evaluation.stats[:3]), strict=True))


def _annotations(test: Sequence[Sample]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number, sample in enumerate(test):
        boxes = (sample.label[name] for name in ("corners", "classes", "crowd"))
        for (left, top, right, bottom), label, crowd in zip(*boxes, strict=True):
            sides = right - left, bottom - top
            rows.append({"id": len(rows) + 1, "image_id": number, "category_id": label, "iscrowd": int(crowd),
                         "bbox": [left, top, *sides], "area": sides[0] * sides[1]})  # fmt: skip
    return rows


def of_masks(test: Sequence[Sample], classes: int, folder: Path) -> dict[str, float]:
    """Return mIoU, boundary IoU and pixel accuracy over all images; `folder` has a mask for each of them."""
    from cvlib.tasks.segmentation import counts

    matrix, edges = np.zeros((classes, classes), np.int64), np.zeros((2, classes), np.int64)
    for number, sample in enumerate(test):
        truth, found = (np.array(Image.open(file)) for file in (sample.label, folder / f"{number:06d}.png"))
        matrix += counts.confusion(truth, found, classes)
        edges += counts.boundaries(truth, found, classes)
    return {"mIoU": counts.mean_iou(matrix), "boundary_IoU": counts.mean_ratio(edges),
            "pixel_accuracy": counts.pixel_accuracy(matrix)}  # fmt: skip


def of_classes(truth: Sequence[int], found: Sequence[int]) -> dict[str, float]:
    """Return the accuracy, and the mean F1 score over the classes in truth or predictions."""
    from sklearn.metrics import f1_score

    return {
        "accuracy": float(np.mean(np.equal(truth, found))),
        "macro_f1": float(f1_score(truth, found, average="macro")),
    }


if __name__ == "__main__":
    main()
