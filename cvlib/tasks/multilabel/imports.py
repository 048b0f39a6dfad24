"""The classes found in images, from a CSV file of another tool."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cvlib.runtime.errors import UserError
from cvlib.tasks import import_table
from cvlib.tasks.import_table import Table
from cvlib.tasks.imports import Imported, Targets, listed
from cvlib.tasks.multilabel.predictions import SetPredictions
from cvlib.tasks.thresholds import DEFAULT_THRESHOLD

_EDGE = 1e-12  # keeps the logits of the probabilities 0 and 1 finite


@dataclass(frozen=True, kw_only=True)
class _GivenSets(SetPredictions):
    """Predictions whose classes the tool has chosen itself."""

    chosen: np.ndarray | None = None  # bool (n, classes)

    @cached_property
    def found(self) -> np.ndarray:
        assert self.chosen is not None
        return self.chosen


def read(source: Path, targets: Targets, truth: np.ndarray) -> Imported:
    """Return the predictions in a table, for the true classes `truth`, bool `(n, classes)`.

    The column `prediction` holds the classes of each image, such as cat|dog. Columns named as the classes hold
    probabilities. Without `prediction`, a class is predicted if its probability is at least 0.5.
    """
    table = import_table.read(source, targets)
    classes = targets.dataset.classes
    scores = table.scores(classes)
    column = table.prediction(possible=scores is None)
    if scores is None and column is None:
        raise UserError(f"{source}: no column named prediction and none named as a class: the columns are "
                        f"{listed(table.columns, 8)}")  # fmt: skip
    if scores is not None and not (scores.min() >= 0 and scores.max() <= 1):
        raise UserError(f"{source}: the columns of the classes must hold probabilities from 0 to 1")
    notes = list(table.notes)
    if column is None:
        assert scores is not None
        notes.append("no column named prediction: a class is predicted if its probability is at least 0.5")
        chosen = scores >= DEFAULT_THRESHOLD
    else:
        chosen = _chosen(table, column, targets)
    inner = np.clip(chosen.astype(float) if scores is None else scores, _EDGE, 1 - _EDGE)
    thresholds = np.full(len(classes), DEFAULT_THRESHOLD)
    found = _GivenSets(np.log(inner) - np.log1p(-inner), truth, classes, thresholds, chosen=chosen)
    if scores is not None:
        return Imported(found, "a table with a probability for each class", notes)
    unknown = {"loss", "mAP", "roc_auc", "ranking_precision", *(f"AP/{name}" for name in classes)}
    return Imported(found, "a table of predicted classes", notes, frozenset(unknown))


def _chosen(table: Table, column: int, targets: Targets) -> np.ndarray:
    """Return whether each class is predicted, bool `(n, classes)`."""
    chosen = np.zeros((len(table.rows), len(targets.dataset.classes)), bool)
    for row, cell in enumerate(table.cells(column)):
        for name in filter(None, (part.strip() for part in cell.split("|"))):
            number = targets.number(name, table.place(row))
            if number is not None:
                chosen[row, number] = True
    return chosen
