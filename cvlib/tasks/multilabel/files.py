"""The classes found in image files: predictions.json, predictions.csv and contact sheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cvlib.data.input_spec import InputSpec
from cvlib.runtime.files import write_atomically
from cvlib.tasks import image_files
from cvlib.tasks.base import Named
from cvlib.tasks.multilabel.drawing import listed

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Answer:
    """The classes found in one image, the most probable one first; there may be none."""

    file: Path | None  # None where it is no file
    classes: list[str]
    probabilities: list[float]  # of these
    scores: dict[str, float]  # the probability of every class, by its name
    pixels: np.ndarray = field(repr=False)  # uint8 (height, width, channels), as the network saw them


def answers(
    model: keras.Model, images: Iterable[tuple[Path | None, np.ndarray]], classes: Sequence[str], spec: InputSpec,
    thresholds: np.ndarray,
) -> Iterator[Answer]:  # fmt: skip
    """Yield an `Answer` for every image, uint8 `(height, width, channels)`, in order.

    A class is found where its probability is at least its threshold; `thresholds` are float `(classes,)`.
    """
    for file, pixels, row in image_files.probabilities(model, images, spec):
        order = [int(i) for i in np.argsort(-row, kind="stable") if row[i] >= thresholds[i]]
        scores = {name: float(value) for name, value in zip(classes, row, strict=True)}
        yield Answer(file, [classes[i] for i in order], [float(row[i]) for i in order], scores, pixels)


def write(found: Iterable[Answer], folder: Path, tick: Callable[[], None]) -> int:
    """Write predictions.json, predictions.csv and, 48 to a sheet, predictions-1.png, …; return the number of images."""
    kept = []
    for answer in found:
        kept.append(answer)
        tick()
    if kept:
        content = [{"file": str(one.file), "classes": one.classes, "probabilities": one.scores} for one in kept]
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        write_atomically(folder / "predictions.json", text.encode())
        write_atomically(folder / "predictions.csv", _csv(kept).encode())
        image_files.write_sheets(folder, [one.pixels for one in kept], [_caption(one) for one in kept])
    return len(kept)


def named(images: Iterable[Named]) -> Iterator[tuple[Path | None, np.ndarray]]:
    """Yield the file and the pixels of each image."""
    return ((file, pixels) for file, _, pixels in images)


def _csv(found: Sequence[Answer]) -> str:
    """The columns are file, prediction (such as cat|dog), and the probability of each class."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "prediction", *found[0].scores])
    for one in found:
        writer.writerow([str(one.file), "|".join(one.classes), *(f"{value:.6f}" for value in one.scores.values())])
    return text.getvalue()


def _caption(answer: Answer) -> str:
    words = [f"{name} {value:.0%}" for name, value in zip(answer.classes, answer.probabilities, strict=True)]
    return f"{listed(words)}\n{answer.file.name if answer.file else ''}"
