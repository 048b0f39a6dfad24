"""A classifier's predictions from a CSV file of another tool."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cvlib.data.layouts import table_file
from cvlib.runtime.errors import UserError
from cvlib.tasks import import_table
from cvlib.tasks.classification.predictions import ClassPredictions
from cvlib.tasks.import_table import Table
from cvlib.tasks.imports import Imported, Targets, listed

_TOP = 5
_SMALLEST = 1e-7  # probabilities with six decimals may be 0, and the logarithm of 0 is infinite
_TIE = 1e-9  # keeps the order of classes whose rounded probabilities are equal
_ROUNDING = 1e-2  # probabilities that were rounded to a few decimals may not sum to 1 exactly


def read(source: Path, targets: Targets) -> Imported:
    """Return the predictions in a table.

    It has a probability (or a logit) for each class, in columns named as the classes; or the predicted class in the
    column `prediction`, and optionally further classes in `prediction2`, …, the most probable first.
    """
    table = import_table.read(source, targets)
    classes, labels = targets.dataset.classes, np.asarray(targets.dataset.test.labels)
    scores = table.scores(classes)
    if scores is None:
        scores = _all_ranked(table, targets)
    if scores is not None:
        logits, notes = _logits(scores, labels)
        found = ClassPredictions(logits, labels, classes)
        return Imported(found, "a table with a probability for each class", [*table.notes, *notes])
    ranks, by_id = _ranks(table, targets)
    logits = np.full((len(labels), len(classes)), -float(len(classes)))
    for place in reversed(range(ranks.shape[1])):  # if a class is listed twice, its higher rank counts
        logits[np.arange(len(labels)), ranks[:, place]] = -place
    unknown = {"loss", "score", "roc_auc", "average_precision"} | (
        {"top5_accuracy"} if ranks.shape[1] < min(_TOP, len(classes)) else set()
    )
    notes = [f"the predictions are class ids: {targets.order}"] if by_id else []
    return Imported(ClassPredictions(logits, labels, classes), "a table of predicted classes", [*table.notes, *notes],
                    frozenset(unknown))  # fmt: skip


def _logits(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return logits for rows of probabilities or logits, `(n, classes)`, and notes about assumptions."""
    if scores.min() < -_SMALLEST or np.abs(scores.sum(axis=1) - 1).max() > _ROUNDING:
        return scores, ["the rows don't sum to 1, so they are read as logits (softmax is applied)"]
    zeros = int((scores[np.arange(len(labels)), labels] < _SMALLEST).sum())
    notes = [f"{zeros} true classes have the probability 0: the loss counts it as {_SMALLEST:g}"] if zeros else []
    return np.log(np.maximum(scores, _SMALLEST)), notes


def _rank_columns(table: Table) -> list[int]:
    """Return the columns of the predicted classes, the most probable first."""
    first = table.prediction()
    if first is None:
        raise UserError(f"{table.source}: no column named prediction and none named as a class: the columns are "
                        f"{listed(table.columns, 8)}")  # fmt: skip
    columns = [first]
    while (following := table.column([f"prediction{len(columns) + 1}"])) is not None:
        columns.append(following)
    return columns


def _ranks(table: Table, targets: Targets) -> tuple[np.ndarray, bool]:
    """Return the predicted classes, int `(n, ranks)`, and whether the table holds ids instead of names."""
    columns = _rank_columns(table)
    cells = [table.cells(column) for column in columns]
    by_id = _are_ids([cell for column in cells for cell in column], targets)
    ranks = np.zeros((len(table.rows), len(columns)), np.int64)
    for place, column in enumerate(cells):
        for row, cell in enumerate(column):
            name = targets.ids[int(table_file.whole(cell) or 0)] if by_id else cell
            number = targets.number(name, table.place(row))
            if number is None:
                raise UserError(f"{table.place(row)}: the class {name} is left out by data.classes: predict only the "
                                "chosen classes")  # fmt: skip
            ranks[row, place] = number
    return ranks, by_id


def _are_ids(cells: list[str], targets: Targets) -> bool:
    """Return whether the cells are ids of classes: whole numbers that are not names."""
    if all(cell in targets.numbers for cell in cells):
        return False
    numbers = [table_file.whole(cell) for cell in cells]
    return all(number is not None and 0 <= int(number) < len(targets.ids) for number in numbers)


def _all_ranked(table: Table, targets: Targets) -> np.ndarray | None:
    """Return the probability of each class if the table ranks all classes with their probabilities, else None."""
    columns = _rank_columns(table)
    values = [table.column([f"probability{'' if place == 1 else place}"]) for place in range(1, len(columns) + 1)]
    if len(columns) < len(targets.dataset.classes) or None in values:
        return None
    ranks, _ = _ranks(table, targets)
    scores = np.zeros(ranks.shape)
    for place, column in enumerate(values):
        assert column is not None
        values_of_rank = np.array([table.number(row, column) for row in range(len(ranks))])
        scores[np.arange(len(ranks)), ranks[:, place]] = values_of_rank - place * _TIE
    return scores
