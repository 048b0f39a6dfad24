"""Classes in tables: a column with one class or a list of classes, or one column of 0 and 1 per class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cvlib.data.layouts import table_file
from cvlib.data.layouts.collection import text_of
from cvlib.runtime.errors import UserError

Names = tuple[str, ...]  # the classes of an image, sorted
Read = Callable[[Sequence[str]], Names]  # reads a row; raises `ValueError` with the problem in its cells

_SEPARATORS = ("|", ";", ",")
_YES, _NO = {"1", "true", "t", "yes", "y"}, {"0", "false", "f", "no", "n"}
_UNKNOWN = ("nan", "null", "n/a", "#n/a")  # what programs write for an empty cell
_EXAMPLES = "a|b, a;b, a,b or a b"


@dataclass(frozen=True)
class Cells:
    """The part of one table that holds the classes."""

    file: Path
    rows: list[tuple[int, list[str]]]  # each with its line number, without the header
    width: int  # the number of columns in the table
    column: int | None  # the column of class names
    flags: dict[str, int]  # the columns of 0 and 1 by class; empty if there is a column of names

    @property
    def names(self) -> list[str]:
        """The cells of the column of names."""
        column = self.column
        return [] if column is None else [row[column].strip() for _, row in self.rows if column < len(row)]


def flag_columns(rows: Sequence[tuple[int, list[str]]], columns: Sequence[int]) -> list[int]:
    """Return the columns whose cells are mostly 0 and 1, or words for them."""
    found = []
    for column in columns:
        cells = [_mark(row[column]) for _, row in rows if column < len(row)]
        filled = [cell for cell in cells if cell and cell not in _UNKNOWN]
        if 2 * sum(cell in _YES | _NO | {"-1"} for cell in filled) > len(filled):
            found.append(column)
    return found


def readers(tables: Sequence[Cells]) -> dict[Path, Read]:
    """Return a reader of a row's classes for each table; raise `UserError` if each image has exactly one class."""
    cells = _cells(tables)
    separator = _separator(cells)
    _refuse_single(tables, cells, separator)
    return {table.file: _flags(table) if table.flags else _list(table, separator) for table in tables}


def count_list_classes(tables: Sequence[Cells]) -> int | None:
    """Return the number of classes if the cells may be lists separated by spaces, else None."""
    cells = _cells(tables)
    whole, parts = _vocabularies(cells, " ")
    return len(parts) if not certain_separator(cells) and len(parts) < len(whole) else None


# Reading a row.


def _mark(cell: str) -> str:
    """Return a normalised mark: 1.0 and 1,0 become 1."""
    return table_file.whole(cell.strip()) or cell.strip().lower()


def _list(table: Cells, separator: str | None) -> Read:
    def read(row: Sequence[str]) -> Names:
        cell = text_of(row[table.column or 0].strip())
        if cell.lower() in _UNKNOWN:
            raise ValueError(f"the label is {cell}: leave the cell empty if the image has no class")
        if any(extra.strip() for extra in row[table.width :]):
            raise ValueError(f"found {len(row)} columns, expected {table.width}: quote lists that contain commas")
        return tuple(sorted(_parts(cell, separator)))

    return read


def _flags(table: Cells) -> Read:
    marks = {_mark(row[column]) for _, row in table.rows for column in table.flags.values() if column < len(row)}
    absent = _NO if marks & _NO else _NO | {"-1"}  # 1 and -1 as in CelebA

    def read(row: Sequence[str]) -> Names:
        found = []
        for name, column in table.flags.items():
            cell = _mark(row[column])
            if cell not in _YES | absent:
                raise ValueError(f"column {name} is {cell or 'empty'}, expected 0 or 1")
            found += [name] * (cell in _YES)
        return tuple(sorted(found))

    return read


# Distinguishing lists from single classes.


def _cells(tables: Sequence[Cells]) -> list[str]:
    return [cell for table in tables for cell in table.names if cell.lower() not in _UNKNOWN]


def _parts(cell: str, separator: str | None) -> set[str]:
    parts = cell.split(separator) if separator else [cell]
    return {part.strip() for part in parts} - {""}


def _vocabularies(cells: Sequence[str], separator: str) -> tuple[set[str], set[str]]:
    """Return the distinct non-empty cells, and the distinct parts of them."""
    whole = {cell for cell in cells if cell}
    return whole, {part for cell in whole for part in _parts(cell, separator)}


def certain_separator(cells: Sequence[str]) -> str | None:
    """Return the separator of the cells if they are certainly lists, else None.

    Classes in lists recur in other combinations. So there are fewer classes than distinct cells, or equally many if
    one of them also occurs alone. In a name such as "Animal|Dog", the part "Dog" occurs nowhere else.
    """
    for separator in _SEPARATORS:
        whole, parts = _vocabularies(cells, separator)
        joined = {cell for cell in whole if len(_parts(cell, separator)) > 1}
        alone = any(part in whole for cell in joined for part in _parts(cell, separator))
        if joined and (len(parts) < len(whole) or (len(parts) == len(whole) and alone)):
            return separator
    return None


def _separator(cells: Sequence[str]) -> str | None:
    """Return the separator of lists; a space only if the parts recur, because class names can contain spaces."""
    for separator in _SEPARATORS:
        if any(separator in cell for cell in cells):
            return separator
    whole, parts = _vocabularies(cells, " ")
    return " " if parts != whole and len(parts) <= len(whole) else None


def _exactly_one(tables: Sequence[Cells]) -> bool:
    """Return whether the columns of 0 and 1 have exactly one 1 in each row."""
    for table in tables:
        for _, row in table.rows:
            marks = [_mark(row[column]) for column in table.flags.values() if column < len(row)]
            if sum(mark in _YES for mark in marks) != 1:
                return False
    return True


def _refuse_single(tables: Sequence[Cells], cells: Sequence[str], separator: str | None) -> None:
    """Raise `UserError` if every image has exactly one class."""
    single = _exactly_one(tables) if tables[0].flags else separator is None and "" not in cells
    if single:
        lists = "" if tables[0].flags else f" (lists look like {_EXAMPLES})"
        raise UserError(f"{tables[0].file}: every image has exactly one class{lists}: omit task=multilabel, or "
                        "choose task=classification")  # fmt: skip
