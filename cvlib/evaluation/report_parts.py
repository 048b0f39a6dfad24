"""The pictures and tables of a run's page, written at the end of the run into RUN/report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from cvlib.data.dataset import Dataset
from cvlib.evaluation.calibration import calibration_of, diagram
from cvlib.inspection import attribution, sheets
from cvlib.report import confusion, parts
from cvlib.runtime.files import csv_of, write_atomically
from cvlib.tasks.base import Task
from cvlib.tasks.predictions import DecidedClasses, Predictions
from cvlib.viz import pictures

_CELLS, _OF_A_CELL = 24, 6  # cells of the confusion matrix that get a picture, and images in it
_EXPLAINED = 4  # images with Grad-CAM
Read = Callable[[np.ndarray], np.ndarray]  # indices of the split's images → images, uint8 (n, height, width, channels)
_Cell = tuple[int, int]  # true and predicted class id


def write(
    folder: Path, task: Task, found: Predictions, dataset: Dataset, names: Sequence[str], read: Read,
    model: keras.Model, drawn: Mapping[str, np.ndarray],
) -> None:  # fmt: skip
    """Write the tables and pictures of the results on one split, usually test.

    Args:
        folder: the run's folder.
        found: the predictions for the split.
        names: the names of its samples.
        read: reads its images at the network's input size.
        model: the network that the run saves.
        drawn: further pictures, uint8 `(height, width, 3)`, by name.
    """
    decided, worst = found.decided_classes(), found.worst(task.worst_shown)
    cells = _largest_errors(decided)
    needed = np.unique(np.concatenate([worst, *cells.values()]).astype(int))
    images = dict(zip(needed.tolist(), read(needed), strict=True)) if len(needed) else {}
    shown = dict(drawn)
    if calibrated := calibration_of(found):
        shown["reliability"] = diagram(calibrated)
    if len(worst):
        worst_names = [names[index] for index in worst]
        shown["worst"] = found.drawn(np.stack([images[index] for index in worst.tolist()]), worst, dataset, worst_names)
        if decided and attribution.has_places(model):  # Grad-CAM needs a feature map
            shown["explained"] = _explained(model, decided, dataset.classes, names, worst[:_EXPLAINED].tolist(), images)
    for name, rows in found.tables().items():
        write_atomically(folder / parts.FOLDER / f"{name}.csv", csv_of(rows))
    for (truth, prediction), indices in cells.items():
        captions = pictures.with_names([""] * len(indices), [names[index] for index in indices])
        sheet = pictures.contact_sheet([images[index] for index in indices.tolist()], captions)
        shown[f"cell_{truth}_{prediction}"] = sheet
    for name, picture in shown.items():
        pictures.save_png(picture, folder / parts.FOLDER / f"{name}.png")
    if decided and len(dataset.classes) <= confusion.MOST_CLASSES:
        _write_confusions(folder, decided, dataset.classes, list(cells))


def _largest_errors(decided: DecidedClasses | None) -> dict[_Cell, np.ndarray]:
    """Return the cells of the confusion matrix with the most errors, and the most confident samples of each."""
    if decided is None:
        return {}
    wrong = np.flatnonzero(decided.truth != decided.prediction)
    pairs, counts = np.unique(np.stack([decided.truth, decided.prediction])[:, wrong], axis=1, return_counts=True)
    found = {}
    for truth, prediction in pairs[:, np.argsort(-counts, kind="stable")[:_CELLS]].T.tolist():
        cell = np.flatnonzero((decided.truth == truth) & (decided.prediction == prediction))
        found[truth, prediction] = cell[np.argsort(-decided.score[cell], kind="stable")][:_OF_A_CELL]
    return found


def _explained(
    model: keras.Model, decided: DecidedClasses, classes: Sequence[str], names: Sequence[str], chosen: list[int],
    images: Mapping[int, np.ndarray],
) -> np.ndarray:  # fmt: skip
    """Draw wrongly classified images, each with the evidence for the prediction and for the truth."""
    rows = []
    for index in chosen:
        truth, prediction = int(decided.truth[index]), int(decided.prediction[index])
        heats = {f"{kind}\n{pictures.shortened(classes[label], 16)}":
                 attribution.grad_cam(model, images[index].astype(np.float32), label)
                 for kind, label in (("prediction", prediction), ("truth", truth))}  # fmt: skip
        rows.append((images[index], pictures.with_names([""], [names[index]])[0], heats))
    return sheets.explanations(rows)


def _write_confusions(folder: Path, decided: DecidedClasses, classes: Sequence[str], cells: list[_Cell]) -> None:
    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, (decided.truth, decided.prediction), 1)
    shown = {f"{truth},{prediction}": f"cell_{truth}_{prediction}.png" for truth, prediction in cells}
    content = {"classes": list(classes), "counts": counts.tolist(), "pictures": shown}
    write_atomically(folder / parts.FOLDER / parts.CONFUSION, json.dumps(content, ensure_ascii=False))
