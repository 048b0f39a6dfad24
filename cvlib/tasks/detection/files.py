"""A detector's predictions for image files: COCO's results format, a CSV table, and drawn boxes."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cvlib.data import resampling, resize
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

T = TypeVar("T")
_BATCH = 16
_COLUMNS = ("file", "class", "score", "x_min", "y_min", "x_max", "y_max")


def found_in(
    model: keras.Model, images: Iterable[tuple[T, np.ndarray]], spec: InputSpec
) -> Iterator[tuple[T, np.ndarray, Detections]]:  # fmt: skip
    """Yield, for each name with an image, the saved network's detections in pixels of the image.

    Images are uint8 `(height, width, channels)`. If the network takes tiles, the detections in all windows are merged.
    """
    from cvlib.tasks import serving

    call = serving.caller(model, spec.size)

    def predict(images: np.ndarray) -> list[Detections]:
        return detections(call(images))

    given = iter(images)
    while batch := list(itertools.islice(given, 1 if spec.tiled else _BATCH)):
        pixels = [image for _, image in batch]
        found = [tiles.found_in(predict, pixels[0], spec)] if spec.tiled else _resized(predict, pixels, spec)
        for (name, image), one in zip(batch, found, strict=True):
            yield name, image, one


def _resized(
    predict: Callable[[np.ndarray], list[Detections]], images: Sequence[np.ndarray], spec: InputSpec
) -> list[Detections]:  # fmt: skip
    """Return the detections in a batch of images, each resized as in training."""
    found = predict(np.stack([resampling.image(image, spec.size, spec.resize) for image in images]))
    moved = []
    for image, one in zip(images, found, strict=True):
        height, width = image.shape[:2]
        corners = resize.back(one.corners, height, width, spec.size, spec.resize)
        moved.append(replace(one, corners=corners.astype(np.float32)))
    return moved


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
    named = (((file, name), image) for file, name, image in images)
    for (file, name), image, boxes in found_in(model, named, spec):
        highest = max(highest, float(np.max(boxes.scores, initial=0.0)))
        kept = boxes.scores >= min_listed
        listed = Detections(boxes.corners[kept], boxes.scores[kept], boxes.classes[kept])
        pictures.save_png(boxed(image, listed, classes, min_drawn), folder / "images" / f"{name}.png")
        read.append(file)
        found.append(listed)
        tell(file, _in_words(listed.classes[listed.scores >= min_drawn], classes))
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
