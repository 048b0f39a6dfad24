"""The usable rows of a table of images, each with its image, split and label."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from cvlib.data.findings import ERROR, WARNING
from cvlib.data.layouts import columns as column_forms
from cvlib.data.layouts import names, table_choice, table_file
from cvlib.data.layouts.collection import Collection, name_of, text_of
from cvlib.data.layouts.columns import Columns
from cvlib.data.layouts.find import ImageFinder
from cvlib.data.layouts.table_choice import Table
from cvlib.data.layouts.table_labels import Names, Read


@dataclass(frozen=True)
class Row:
    """A usable row of a table."""

    split: str
    image: Path
    name: str
    label: str | Names
    table: Path
    place: str
    corners: tuple[float, float, float, float] | None = None
    group: str | None = None  # the value in the column `data.group`


def usable(
    collection: Collection, table: Table, read_set: Read | None = None, group: str | None = None,
    finder: ImageFinder | None = None,
) -> list[Row]:  # fmt: skip
    """Return the usable rows of a table, and report the problems of the others.

    `read_set` reads the classes of a row. `group` names the column of groups, which not every table has. A `finder`
    that several tables share reports the images that it guessed itself.
    """
    rows, columns = table.rows, table.columns
    shared = finder is not None
    finder = finder or table_choice.finder(collection.root, table)
    found, width = [], len(rows[0][1])
    header = [name.strip() for name in rows[0][1]] if columns.header else []
    grouped = header.index(group) if group in header else None
    body = [row for _, row in rows[columns.header :]]
    labels = [""] * len(rows) if read_set else _row_labels(collection, table, body)
    numbers = [] if columns.form != column_forms.BOXES else [_box(columns, row) for row in body]
    for index, (line, row) in enumerate(rows[columns.header :]):
        place = f"line {line}"
        needed = max(columns.file, columns.label or 0, *columns.corners, *columns.classes)
        if len(row) <= needed:
            collection.blame(ERROR, "bad row", table.file, f"found {len(row)} columns, expected {width}",
                             "add the missing cells", place)  # fmt: skip
            continue
        written, split = row[columns.file].strip(), _row_split(row, table)
        label: str | Names = labels[index]
        image, kind, problem, advice = _image(finder, written)
        if read_set is not None:
            try:
                label = read_set(row)
            except ValueError as error:
                problem = str(error)
        elif not label and columns.form != column_forms.BOXES:
            problem = "the label is empty, which only task=multilabel allows"
        if split is None:
            problem = problem or f"invalid split {row[columns.split or 0]!r}: expected train, val or test"
        if image is None or problem or split is None:
            collection.blame(ERROR, "missing image" if image is None else kind, table.file, problem, advice, place)
            continue
        corners, member = None, row[grouped].strip() if grouped is not None and grouped < len(row) else None
        if columns.form == column_forms.BOXES:
            if not any(row[column].strip() for column in columns.corners):  # an image without objects
                found.append(Row(split, image, name_of(image, collection.root), "", table.file, place, None, member))
                continue
            corners = _corners(numbers[index], columns)
            if corners is None:
                collection.blame(
                    ERROR, "invalid box number", table.file, "expected four box numbers", "correct it", place
                )
                continue
        found.append(Row(split, image, name_of(image, collection.root), label, table.file, place, corners, member))
    collection.notes += [] if shared else [f"{table.file.name}: {note}" for note in finder.notes()]
    return found


def _image(finder: ImageFinder, written: str) -> tuple[Path | None, str, str, str]:
    """Return the image that a row names, and the kind, message and advice of a finding."""
    advice = "correct or remove the line"
    try:
        image = finder.find(written)
        return image, "bad row", "" if image is not None else f"there is no image {written}", advice
    except ValueError as error:
        return None, "bad row", str(error), "move the image into the folder (or link to it) and use that path"


def _row_split(row: list[str], table: Table) -> str | None:
    split = table.columns.split
    if table.split or split is None or split >= len(row):
        return table.split or "train"
    value = row[split].strip()
    if value.lower() in ("true", "false"):
        return "val" if value.lower() == "true" else "train"
    return names.split_of(value)


def _row_labels(collection: Collection, table: Table, rows: list[list[str]]) -> list[str]:
    """Return the label of each row. Notations of the same whole number (1, 1.0) are one class, with a warning."""
    columns = table.columns
    if columns.form == column_forms.ONE_HOT:
        return [next((name for column, name in columns.classes.items()
                      if column < len(row) and table_file.whole(row[column]) == "1"), "") for row in rows]  # fmt: skip
    if columns.label is None:
        return ["object"] * len(rows)
    labels = [text_of(row[columns.label].strip()) if len(row) > columns.label else "" for row in rows]
    labels = [(label.split() or [""])[0] for label in labels] if columns.first_word else labels
    numbers = {label: table_file.whole(label) for label in set(labels) if label}
    if not numbers or None in numbers.values() or len(set(numbers.values())) == len(numbers):
        return labels
    ways: dict[str | None, list[str]] = defaultdict(list)
    for label, digits in numbers.items():
        ways[digits].append(label)
    digits, written = next((digits, sorted(some)) for digits, some in sorted(ways.items(), key=str) if len(some) > 1)
    if all(label.isdecimal() for label in written):  # 01 and 1 may be two classes
        return labels
    collection.blame(WARNING, "class name", table.file, f"labels {' and '.join(written)} are the same number: read as "
                     f"one class {digits}", "write whole numbers without decimals")  # fmt: skip
    return [numbers.get(label) or label for label in labels]


def _box(columns: Columns, row: list[str]) -> list[float]:
    """Return the numbers in a row's box cells; four if the box is valid."""
    cells = [row[column] for column in columns.corners if column < len(row)]
    if len(columns.corners) == 1:
        return column_forms.numbers_of(cells[0]) if cells else []
    values = [table_file.number(cell) for cell in cells]
    return [value for value in values if value is not None]


def _corners(four: list[float], columns: Columns) -> tuple[float, float, float, float] | None:
    """Return the corners given by the numbers of a row, or None unless there are four."""
    if len(four) != 4:
        return None
    first, second, third, fourth = four
    return (first, second, first + third, second + fourth) if columns.sides else (first, second, third, fourth)
