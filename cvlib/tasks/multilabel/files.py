"""The classes found in image files: predictions.json, predictions.csv and contact sheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cvlib.data.input_spec import InputSpec
from cvlib.runtime.files import write_atomically
from cvlib.tasks import image_files
from cvlib.tasks.base import Named, Tell
from cvlib.tasks.multilabel.drawing import listed

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Answer:
    """The classes found in one image, the most probable one first; there may be none."""

    file: Path | None  # None if the image is not from a file
    classes: list[str]
    probabilities: list[float]  # of `classes`
    scores: dict[str, float]  # the probability of every class, by name
    pixels: np.ndarray = field(repr=False)  # uint8 (height, width, channels), at the network's size


def answers(
    model: keras.Model, images: Iterable[tuple[Path | None, np.ndarray]], classes: Sequence[str], spec: InputSpec,
    thresholds: np.ndarray,
) -> Iterator[Answer]:  # fmt: skip
    """Yield an `Answer` for each image, uint8 `(height, width, channels)`, in order.

    A class is found if its probability is at least its threshold; `thresholds` are float `(classes,)`.
    """
    for file, pixels, row in image_files.probabilities(model, images, spec):
        order = [int(i) for i in np.argsort(-row, kind="stable") if row[i] >= thresholds[i]]
        scores = {name: float(value) for name, value in zip(classes, row, strict=True)}
        yield Answer(file, [classes[i] for i in order], [float(row[i]) for i in order], scores, pixels)


def write(found: Iterable[Answer], folder: Path, tell: Tell) -> int:
    """Write predictions.json, predictions.csv and contact sheets; return the number of images."""
    rows = []
    for answer in found:
        rows.append(answer)
        assert answer.file is not None
        pairs = zip(answer.classes, answer.probabilities, strict=True)
        tell(answer.file, ", ".join(f"{name} {probability:.2f}" for name, probability in pairs) or "no class")
    if rows:
        content = [{"file": str(row.file), "classes": row.classes, "probabilities": row.scores} for row in rows]
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        write_atomically(folder / "predictions.json", text)
        write_atomically(folder / "predictions.csv", _csv(rows))
        image_files.write_sheets(folder, [row.pixels for row in rows], [_caption(row) for row in rows])
    return len(rows)


def named(images: Iterable[Named]) -> Iterator[tuple[Path | None, np.ndarray]]:
    """Yield the file and the pixels of each image."""
    return ((file, pixels) for file, _, pixels in images)


def _csv(found: Sequence[Answer]) -> str:
    """Return a table with the columns file, prediction (such as cat|dog), and the probability of each class."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "prediction", *found[0].scores])
    for row in found:
        writer.writerow([str(row.file), "|".join(row.classes), *(f"{value:.6f}" for value in row.scores.values())])
    return text.getvalue()


def _caption(answer: Answer) -> str:
    words = [f"{name} {value:.0%}" for name, value in zip(answer.classes, answer.probabilities, strict=True)]
    return f"{listed(words)}\n{answer.file.name if answer.file else ''}"
