"""What a run's detector finds in image files: boxes in their own pixels, as its evaluation has them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib.prediction import readable
from cvlib.runtime.files import write_atomically
from cvlib.tasks import detection
from cvlib.tasks.detection.coco import Detections, as_results
from cvlib.tasks.detection.drawing import SURE, boxed
from cvlib.viz import pictures

if TYPE_CHECKING:
    import keras

    from cvlib.models.restore import Run

_COLUMNS = ("file", "class", "score", "x_min", "y_min", "x_max", "y_max")


def predict(
    run: Run, model: keras.Model, files: Sequence[Path], folder: Path, bad: Callable[[Path, str], None],
    tick: Callable[[], None], threshold: float | None = None,
) -> int:  # fmt: skip
    """Boxes for every readable file, in COCO's format of results (with file and class names) and as CSV, and drawn.

    Those with a score of `threshold` or more; where it is None all are listed, and those from 0.25 on drawn.
    """
    least, sure = (0.0, SURE) if threshold is None else (threshold, threshold)
    surest = 0.0
    read: list[Path] = []
    found: list[Detections] = []
    for file, name, image in readable(files, run.channels, bad):
        (boxes,) = values(run, model, [image])
        surest = max(surest, float(np.max(boxes.scores, initial=0.0)))
        kept = boxes.scores >= least
        boxes = Detections(boxes.corners[kept], boxes.scores[kept], boxes.classes[kept])
        pictures.save_png(boxed(image, boxes, run.classes, sure), folder / "images" / f"{name}.png")
        read.append(file)
        found.append(boxes)
        tick()
    if read:
        _write(folder, read, found, run.classes)
        if surest < sure:
            print(f"note: no box is drawn: the surest has a score of {surest:.2f}, drawn are those from {sure:.2f} on "
                  "(--threshold); training longer makes them surer"
                  + ("; all are in predictions.csv" if threshold is None else ""))  # fmt: skip
    return len(read)


def values(run: Run, model: keras.Model, images: Sequence[np.ndarray]) -> list[Detections]:
    """The boxes found in every image, uint8 `(height, width, channels)`, in its own pixels."""
    # A call, for `predict` traces the network anew for every size of image.
    said = [model(image[np.newaxis].astype(np.float32), training=False) for image in images]
    return [one for found in said for one in detection.answers({k: np.asarray(v) for k, v in found.items()})]


def _write(folder: Path, files: Sequence[Path], found: Sequence[Detections], classes: Sequence[str]) -> None:
    rows: list[dict[str, Any]] = [
        {**row, "file": str(files[row["image_id"]]), "category": classes[row["category_id"]]}
        for row in as_results(found)
    ]
    content = json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder / "predictions.json", content.encode())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        left, top, width, height = row["bbox"]
        corners = [f"{value:.2f}" for value in (left, top, left + width, top + height)]
        writer.writerow([row["file"], row["category"], f"{row['score']:.6f}", *corners])
    write_atomically(folder / "predictions.csv", text.getvalue().encode())
