"""What a run's classifier says of image files: read, resized and answered as in its evaluation."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib.config import schema as configuration
from cvlib.data.images import read_image
from cvlib.runtime.errors import UserError
from cvlib.runtime.files import write_atomically

if TYPE_CHECKING:
    import keras

    from cvlib.models.restore import Run

TOP = 5
_PER_SHEET = 48


@dataclass(frozen=True)
class Answer:
    """The most probable classes of one image, the most probable one first."""

    file: Path | None  # None where it is no file
    classes: list[str]  # at most five
    probabilities: list[float]
    pixels: np.ndarray = field(repr=False)  # uint8 (height, width, channels), as the network saw them


def answers(
    model: keras.Model, files: Sequence[Path], classes: Sequence[str], size: tuple[int, int], how: str,
    bad: Callable[[Path, str], None], batch_size: int = 32,
) -> Iterator[Answer]:  # fmt: skip
    """An `Answer` for every readable file, in order; `bad` is told of the others and why.

    `size` and `how` are those that the run's images were resized with.
    """
    channels = model.inputs[0].shape[-1]
    for start in range(0, len(files), batch_size):
        read: list[tuple[Path, np.ndarray]] = []
        for file in files[start : start + batch_size]:
            try:
                read.append((file, _resized(read_image(file, channels), size, how)))
            except UserError as error:
                bad(file, str(error))
        if read:
            images = np.stack([pixels for _, pixels in read])
            probabilities = model.predict(images.astype(np.float32), verbose=0)
            for (file, pixels), row in zip(read, probabilities, strict=True):
                yield _answer(file, row, classes, pixels)


def values(run: Run, model: keras.Model, images: Sequence[np.ndarray]) -> list[Answer]:
    """An `Answer` for every image, uint8 `(height, width, channels)`."""
    seen = np.stack([_resized(image, run.size, configuration.resize(run.config)) for image in images])
    rows = model.predict(seen.astype(np.float32), verbose=0)
    return [_answer(None, row, run.classes, pixels) for row, pixels in zip(rows, seen, strict=True)]


def _answer(file: Path | None, row: np.ndarray, classes: Sequence[str], pixels: np.ndarray) -> Answer:
    order = np.argsort(-row, kind="stable")[:TOP]
    return Answer(file, [classes[i] for i in order], [float(row[i]) for i in order], pixels)


def _resized(image: np.ndarray, size: tuple[int, int], how: str) -> np.ndarray:
    from cvlib.data.tensorflow import resize

    return np.asarray(resize.image(image, size, how))


def predict(
    run: Run, model: keras.Model, files: Sequence[Path], folder: Path, bad: Callable[[Path, str], None],
    tick: Callable[[], None],
) -> int:  # fmt: skip
    """Answers of a run's network for files, written to `folder`; how many could be read."""
    found = []
    for answer in answers(model, files, run.classes, run.size, configuration.resize(run.config), bad):
        found.append(answer)
        tick()
    if found:
        write(folder, found)
    return len(found)


def write(folder: Path, found: Sequence[Answer]) -> None:
    """predictions.json, predictions.csv and, 48 to a sheet, the drawn pictures predictions-1.png, …"""
    from cvlib.viz import pictures

    content = [
        {"file": str(answer.file), "prediction": answer.classes[0], "probability": answer.probabilities[0],
         "top": [{"class": name, "probability": value}
                 for name, value in zip(answer.classes, answer.probabilities, strict=True)]}
        for answer in found
    ]  # fmt: skip
    write_atomically(folder / "predictions.json", (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
    write_atomically(folder / "predictions.csv", _csv(found).encode())
    for earlier in folder.glob("predictions-*.png"):
        earlier.unlink()
    for start in range(0, len(found), _PER_SHEET):
        some = found[start : start + _PER_SHEET]
        captions = [
            f"{answer.classes[0]} {answer.probabilities[0]:.0%}\n{answer.file.name if answer.file else ''}"
            for answer in some
        ]
        sheet = pictures.contact_sheet(np.stack([answer.pixels for answer in some]), captions, columns=8)
        pictures.save_png(sheet, folder / f"predictions-{start // _PER_SHEET + 1}.png")


def _csv(found: Sequence[Answer]) -> str:
    """file, prediction, probability, and the next ones as prediction2, probability2, …"""
    count = max((len(answer.classes) for answer in found), default=1)
    header = ["file", "prediction", "probability"]
    for place in range(2, count + 1):
        header += [f"prediction{place}", f"probability{place}"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for answer in found:
        pairs = zip(answer.classes, answer.probabilities, strict=True)
        cells: list[Any] = [cell for name, value in pairs for cell in (name, f"{value:.6f}")]
        writer.writerow([str(answer.file), *cells])
    return text.getvalue()
