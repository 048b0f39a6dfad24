"""Train a detector of Ultralytics from scratch with its own defaults: `python -m accuracy_parts.yolo_peer JOB.json`.

Augmentation, optimizer and learning rate (optimizer=auto), averaged weights, the choice of the best epoch, non-maximum
suppression and the boxes' threshold are Ultralytics' own. Nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from accuracy_parts import job as jobs
from accuracy_parts.collection import Collection, Sample, read
from accuracy_parts.rows import EVERY_BATCH

_MIN_SCORE = 0.001  # of the boxes of the timed prediction


def main() -> None:
    """Train, and write the detections in the test images."""
    job = jobs.from_arguments()
    os.environ |= {"YOLO_CONFIG_DIR": str(job.folder), "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
    data = write_yolo(read(job.collection), job.folder / "data")
    from ultralytics import YOLO, settings
    from ultralytics.utils import torch_utils

    settings.update({"sync": False})  # no usage statistics
    torch_utils.NUM_THREADS = job.cores  # otherwise one less than the machine has, whatever the job may use
    name, every_batch = job.model.removesuffix(EVERY_BATCH), job.model.endswith(EVERY_BATCH)
    model, seconds = YOLO(f"{name}.yaml"), _Seconds(job.epochs)
    model.add_callback("on_train_start", seconds.start)
    model.add_callback("on_fit_epoch_end", seconds.end_of_epoch)
    shared = {"data": str(data), "imgsz": job.image_size, "batch": job.batch_size, "device": "cpu", "plots": False,
              "project": str(job.folder), "exist_ok": True}  # fmt: skip
    nominal = {"nbs": job.batch_size} if every_batch else {}
    model.train(epochs=job.epochs, seed=job.seed, pretrained=False, amp=False, name="train", **nominal, **shared)
    best = YOLO(job.folder / "train/weights/best.pt")
    own = best.val(split="test", save_json=True, name="test", **shared)
    found = json.loads((job.folder / "test/predictions.json").read_text())
    job.predictions.write_text(json.dumps([_from_one(row) for row in found]))
    parameters = sum(value.numel() for value in best.model.parameters())
    images = data.parent / "images/test"

    def predict() -> Any:
        return best.predict(str(images), imgsz=job.image_size, batch=job.batch_size, device="cpu", conf=_MIN_SCORE,
                            verbose=False)  # fmt: skip

    predict()  # prepares the network
    speed = jobs.images_per_second(len(list(images.iterdir())), predict)
    jobs.write_result(job, seconds.spent, parameters, recorded={"mAP": own.box.map, "mAP50": own.box.map50},
                      predict_speed=speed)  # fmt: skip


class _Seconds:
    """Callbacks that measure the epochs with their validation, without the preparation and the final validation."""

    def __init__(self, epochs: int):
        self._left = epochs
        self._started = 0.0
        self.spent = 0.0

    def start(self, _: Any) -> None:
        self._started = time.perf_counter()

    def end_of_epoch(self, _: Any) -> None:
        if self._left:  # called once more after the final validation
            self.spent, self._left = time.perf_counter() - self._started, self._left - 1


def _from_one(row: dict[str, Any]) -> dict[str, Any]:
    """Return a COCO result with the index of the image and the class; Ultralytics counts classes from 1."""
    return {"image_id": int(row["image_id"]), "category_id": row["category_id"] - 1, "score": row["score"],
            "bbox": row["bbox"]}  # fmt: skip


def write_yolo(collection: Collection, folder: Path) -> Path:
    """Write the collection in YOLO's layout, and return its data.yaml.

    Images are copied rather than linked, because Ultralytics saves damaged JPEGs again in their own place.
    """
    for split, samples in collection.splits.items():
        images, labels = folder / "images" / split, folder / "labels" / split
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for number, sample in enumerate(samples):
            shutil.copy(sample.file, images / f"{number:06d}{Path(sample.file).suffix.lower()}")
            (labels / f"{number:06d}.txt").write_text("".join(_lines(sample)))
    names = "\n".join(f"  {number}: {json.dumps(name)}" for number, name in enumerate(collection.classes))
    places = "".join(f"{split}: images/{split}\n" for split in collection.splits)
    file = folder / "data.yaml"
    file.write_text(f"path: {json.dumps(str(folder))}\n{places}names:\n{names}\n", encoding="utf-8")
    return file


def _lines(sample: Sample) -> list[str]:
    """Return YOLO's lines: class, centre and sides relative to the image; crowds are left out."""
    lines, boxes = [], sample.label
    for (left, top, right, bottom), label, crowd in zip(
        boxes["corners"], boxes["classes"], boxes["crowd"], strict=True
    ):
        if not crowd:
            values = ((left + right) / 2 / sample.width, (top + bottom) / 2 / sample.height,
                      (right - left) / sample.width, (bottom - top) / sample.height)  # fmt: skip
            lines.append(f"{label} " + " ".join(f"{value:.6f}" for value in values) + "\n")
    return lines


if __name__ == "__main__":
    main()
