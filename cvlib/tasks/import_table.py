"""Predictions in a CSV file: a row for each image, with class names or a probability for each class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cvlib.data.layouts import table_file
from cvlib.runtime.errors import UserError
from cvlib.tasks.imports import Targets, listed, match, require_all

FILE_COLUMNS = ("file", "name", "filename", "file_name", "image", "image_name", "image_path", "path", "image_id", "id")
_PREDICTION = ("prediction", "predicted", "predicted_class", "pred", "label", "class", "index")


@dataclass(frozen=True)
class Table:
    """The rows of the test images, in the order of the test split."""

    source: Path
    columns: list[str]
    rows: list[list[str]]
    lines: list[int]  # line number of each row
    notes: list[str]

    def column(self, names: Sequence[str]) -> int | None:
        """Return the index of the first of these columns that the table has; case is ignored."""
        lowered = [column.casefold() for column in self.columns]
        return next((lowered.index(name) for name in names if name in lowered), None)

    def prediction(self) -> int | None:
        """Return the index of the column with the predicted classes."""
        return self.column(_PREDICTION)

    def cells(self, column: int) -> list[str]:
        """Return the cells of a column."""
        return [row[column].strip() for row in self.rows]

    def scores(self, classes: Sequence[str]) -> np.ndarray | None:
        """Return the numbers in the columns named as the classes, float `(rows, classes)`; None without such columns.

        Raises `UserError` if only some classes have a column, or if a cell is not a finite number.
        """
        absent = [name for name in classes if name not in self.columns]
        if len(absent) == len(classes):
            return None
        if absent:
            raise UserError(f"{self.source}: no column for the classes {listed(absent)}: expected one for each class")
        places = [self.columns.index(name) for name in classes]
        return np.array([[self.number(row, place) for place in places] for row in range(len(self.rows))])

    def number(self, row: int, column: int) -> float:
        """Return the finite number in a cell; raise `UserError` if it holds something else."""
        value = table_file.number(self.rows[row][column])
        if value is None:
            raise UserError(f"{self.place(row)}: {self.rows[row][column]!r} in column {self.columns[column]} is not a "
                            "number")  # fmt: skip
        return value

    def place(self, row: int) -> str:
        """Return the file and the line of a row, for messages."""
        return f"{self.source}, line {self.lines[row]}"


def read(source: Path, targets: Targets) -> Table:
    """Return the rows of the test images; raise `UserError` unless every test image has exactly one."""
    read_rows = table_file.read(source)
    if len(read_rows.rows) < 2:
        raise UserError(f"{source}: the table is empty: expected a header and a row for each test image")
    columns = [cell.strip() for cell in read_rows.rows[0][1]]
    whole = Table(source, columns, [row for _, row in read_rows.rows[1:]], [line for line, _ in read_rows.rows[1:]], [])
    for row, cells in enumerate(whole.rows):
        if len(cells) != len(columns):
            raise UserError(f"{whole.place(row)}: {len(cells)} cells, but the header has {len(columns)}")
    names = whole.column(FILE_COLUMNS)
    if names is None:
        raise UserError(f"{source}: no column with the images' file names: expected a column named file")
    files = whole.cells(names)
    if repeated := [file for file, count in Counter(files).items() if count > 1]:
        raise UserError(f"{source}: {repeated[0]} has several rows: expected one row for each image")
    matches = match(files, targets.dataset, source)
    require_all(matches, targets.names, source)
    order = {matches.positions[file]: row for row, file in enumerate(files)}
    chosen = [order[position] for position in range(len(targets.names))]
    notes = [*read_rows.notes, *matches.notes()]
    return Table(source, columns, [whole.rows[i] for i in chosen], [whole.lines[i] for i in chosen], notes)
