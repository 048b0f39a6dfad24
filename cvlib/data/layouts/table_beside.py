"""A table that gives the class of each image in a split's folder, such as val_annotations.txt or Test.csv."""

from __future__ import annotations

from pathlib import Path

from cvlib.data.findings import WARNING
from cvlib.data.layouts import columns, names, table_file
from cvlib.data.layouts.collection import Collection, name_of, subfolders, text_of
from cvlib.data.layouts.find import ImageFinder
from cvlib.runtime.errors import UserError

_SUFFIXES = (".csv", ".tsv", ".txt")


def labels_beside(folder: Path, collection: Collection) -> dict[Path, str]:
    """Return the class of each image below a split's folder; empty if no table gives it.

    The table is in that folder, or it is in the collection's root and has the name of the split. Its labels must be
    among the collection's classes.
    """
    split = names.split_of(folder.name)
    inner = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)
    outer = [file for file in sorted(collection.root.iterdir()) if file.suffix.lower() in _SUFFIXES
             and split is not None and names.split_of(file.stem) == split]  # fmt: skip
    for file in dict.fromkeys([*inner, *outer]):
        found = _labels_in(file, folder, collection)
        if found:
            collection.notes.append(f"{name_of(file, collection.root)} gives the class of each image in {folder.name}")
            return found
    return {}


def _labels_in(file: Path, folder: Path, collection: Collection) -> dict[Path, str]:
    """Return the class of each image that a table lists; empty if a row has none or if several columns could be it."""
    try:
        rows = [row for _, row in table_file.read(file).rows]
    except UserError:
        return {}
    finder = ImageFinder(folder, [folder, folder.parent, *subfolders(folder)])
    by_column = [{image: row for row in rows if (image := _image(finder, row, column)) is not None}
                 for column in range(max(map(len, rows), default=0))]  # fmt: skip
    found = max(by_column, key=len, default={})
    if not found or len(found) < len(rows) - 1:
        return {}
    width = min(len(row) for row in found.values())
    known = set(collection.classes)
    fit = [column for column in range(width) if all(text_of(row[column].strip()) in known for row in found.values())]
    if not fit:
        return _by_number(file, found, width, collection)
    named = [column for column in fit if columns.is_label(rows[0][column])]
    if len(named or fit) != 1:
        return {}
    column = (named or fit)[0]
    return {image: text_of(row[column].strip()) for image, row in found.items()}


def _by_number(file: Path, found: dict[Path, list[str]], width: int, collection: Collection) -> dict[Path, str]:
    """Return the classes that a table gives by their positions among the class folders, as in ImageNet's val.txt."""
    positions = {str(position): name for position, name in enumerate(collection.classes)}
    fit = [column for column in range(width) if all(row[column].strip() in positions for row in found.values())]
    if len(fit) != 1:
        return {}
    message = (f"its numbers are read as positions of the class folders in alphabetical order: 0 is {positions['0']}, "
               f"1 is {positions.get('1')}")  # fmt: skip
    advice = "if that is wrong, write the names of the classes instead"
    collection.blame(WARNING, "class numbers", file, message, advice)
    return {image: positions[row[fit[0]].strip()] for image, row in found.items()}


def _image(finder: ImageFinder, row: list[str], column: int) -> Path | None:
    try:
        return finder.find(row[column]) if column < len(row) else None
    except ValueError:
        return None
