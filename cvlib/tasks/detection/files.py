"""A detector's predictions for image files: COCO's results format, a CSV table, and drawn boxes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib.data.input_spec import InputSpec
from cvlib.runtime.files import write_atomically
from cvlib.tasks.base import Named, Tell
from cvlib.tasks.detection import tiles
from cvlib.tasks.detection.coco import Detections, as_results
from cvlib.tasks.detection.drawing import MIN_DRAWN_SCORE, boxed
from cvlib.tasks.detection.predictions import detections
from cvlib.viz import pictures

if TYPE_CHECKING:
    import keras

_COLUMNS = ("file", "class", "score", "x_min", "y_min", "x_max", "y_max")


def found_in(model: keras.Model, image: np.ndarray, spec: InputSpec) -> Detections:
    """Return the saved network's detections in an image, uint8 `(height, width, channels)`, in the image's pixels.

    If the network takes tiles, the detections in all windows are merged.
    """
    from cvlib.tasks import serving

    call = serving.caller(model)

    def predict(images: np.ndarray) -> list[Detections]:
        return detections(call(images))

    return tiles.found_in(predict, image, spec) if spec.tiled else predict(image[np.newaxis])[0]


def write(
    model: keras.Model, images: Iterable[Named], classes: Sequence[str], spec: InputSpec, folder: Path,
    tell: Tell, threshold: float | None,
) -> int:  # fmt: skip
    """List and draw the boxes of every image; return the number of images.

    Boxes with a score of at least `threshold` are listed and drawn. If it is None, all boxes are listed, and boxes with
    a score of at least 0.25 are drawn.
    """
    min_listed, min_drawn = (0.0, MIN_DRAWN_SCORE) if threshold is None else (threshold, threshold)
    highest = 0.0
    read: list[Path] = []
    found: list[Detections] = []
    for file, name, image in images:
        boxes = found_in(model, image, spec)
        highest = max(highest, float(np.max(boxes.scores, initial=0.0)))
        kept = boxes.scores >= min_listed
        boxes = Detections(boxes.corners[kept], boxes.scores[kept], boxes.classes[kept])
        pictures.save_png(boxed(image, boxes, classes, min_drawn), folder / "images" / f"{name}.png")
        read.append(file)
        found.append(boxes)
        tell(file, _in_words(boxes.classes[boxes.scores >= min_drawn], classes))
    if read:
        _write_tables(folder, read, found, classes)
        if highest < min_drawn:
            print(f"note: no boxes are drawn: the highest score is {highest:.2f}, below the limit of {min_drawn:.2f} "
                  "(--threshold); longer training raises the scores"
                  + ("; all boxes are in predictions.csv" if threshold is None else ""))  # fmt: skip
    return len(read)


def _in_words(labels: np.ndarray, classes: Sequence[str]) -> str:
    """Return e.g. `3 boxes: 2 cat, 1 dog` for the class ids of boxes."""
    counts = np.bincount(labels, minlength=len(classes))
    listed = ", ".join(f"{counts[label]} {classes[label]}" for label in np.argsort(-counts, kind="stable")
                       if counts[label])  # fmt: skip
    return f"{len(labels)} box{'es' * (len(labels) != 1)}: {listed}" if len(labels) else "no boxes"


def _write_tables(folder: Path, files: Sequence[Path], found: Sequence[Detections], classes: Sequence[str]) -> None:
    rows: list[dict[str, Any]] = [
        {**row, "file": str(files[row["image_id"]]), "category": classes[row["category_id"]]}
        for row in as_results(found)
    ]
    content = json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder / "predictions.json", content)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        left, top, width, height = row["bbox"]
        corners = [f"{value:.2f}" for value in (left, top, left + width, top + height)]
        writer.writerow([row["file"], row["category"], f"{row['score']:.6f}", *corners])
    write_atomically(folder / "predictions.csv", text.getvalue())
