"""A classifier's predictions for image files: predictions.json, predictions.csv and contact sheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib.data.input_spec import InputSpec
from cvlib.runtime.files import write_atomically
from cvlib.tasks import image_files
from cvlib.tasks.base import Named, Tell

if TYPE_CHECKING:
    import keras

TOP = 5


@dataclass(frozen=True)
class Answer:
    """The most probable classes of one image, the predicted one first."""

    file: Path | None  # None if the image is not from a file
    classes: list[str]  # at most five
    probabilities: list[float]
    pixels: np.ndarray = field(repr=False)  # uint8 (height, width, channels), at the network's size


def answers(
    model: keras.Model, images: Iterable[tuple[Path | None, np.ndarray]], classes: Sequence[str], spec: InputSpec,
    threshold: float | None = None,
) -> Iterator[Answer]:  # fmt: skip
    """Yield an `Answer` for each image, uint8 `(height, width, channels)`, in order; `model` returns probabilities.

    With a `threshold`, the second of two classes is predicted if its probability is at least this.
    """
    for file, pixels, row in image_files.probabilities(model, images, spec):
        order = np.argsort(-row, kind="stable")[:TOP]
        if threshold is not None:
            order = np.array([1, 0] if row[1] >= threshold else [0, 1])
        yield Answer(file, [classes[i] for i in order], [float(row[i]) for i in order], pixels)


def write(
    model: keras.Model, images: Iterable[Named], classes: Sequence[str], spec: InputSpec, folder: Path,
    tell: Tell, threshold: float | None = None,
) -> int:  # fmt: skip
    """Write predictions.json, predictions.csv and contact sheets; return the number of images."""
    found = []
    for answer in answers(model, ((file, pixels) for file, _, pixels in images), classes, spec, threshold):
        found.append(answer)
        assert answer.file is not None
        tell(answer.file, f"{answer.classes[0]} {answer.probabilities[0]:.2f}")
    if found:
        _write_tables(folder, found)
        image_files.write_sheets(folder, [answer.pixels for answer in found], [_caption(answer) for answer in found])
    return len(found)


def _write_tables(folder: Path, found: Sequence[Answer]) -> None:
    content = [
        {"file": str(answer.file), "prediction": answer.classes[0], "probability": answer.probabilities[0],
         "top": [{"class": name, "probability": value}
                 for name, value in zip(answer.classes, answer.probabilities, strict=True)]}
        for answer in found
    ]  # fmt: skip
    write_atomically(folder / "predictions.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    write_atomically(folder / "predictions.csv", _csv(found))


def _caption(answer: Answer) -> str:
    return f"{answer.classes[0]} {answer.probabilities[0]:.0%}\n{answer.file.name if answer.file else ''}"


def _csv(found: Sequence[Answer]) -> str:
    """Return a table with the columns file, prediction, probability, prediction2, probability2, …"""
    count = max((len(answer.classes) for answer in found), default=1)
    header = ["file", "prediction", "probability"]
    for rank in range(2, count + 1):
        header += [f"prediction{rank}", f"probability{rank}"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for answer in found:
        pairs = zip(answer.classes, answer.probabilities, strict=True)
        cells: list[Any] = [cell for name, value in pairs for cell in (name, f"{value:.6f}")]
        writer.writerow([str(answer.file), *cells])
    return text.getvalue()
