"""A table in a split's folder that gives the class of each image there, such as val_annotations.txt."""

from __future__ import annotations

from pathlib import Path

from cvlib.data.layouts import table_file
from cvlib.data.layouts.collection import Collection, name_of, subfolders, text_of
from cvlib.data.layouts.find import ImageFinder
from cvlib.runtime.errors import UserError


def labels_beside(folder: Path, collection: Collection) -> dict[Path, str]:
    """Return the class of each image below a split's folder from a table in it; empty without such a table.

    The labels must be among the collection's classes.
    """
    for file in sorted(file for file in folder.iterdir() if file.suffix.lower() in (".csv", ".tsv", ".txt")):
        try:
            rows = table_file.read(file).rows
        except UserError:
            continue
        finder = ImageFinder(folder, [folder, *subfolders(folder)])
        found: dict[Path, str] = {}
        for _, row in rows:
            image = next((image for cell in row if (image := _find_or_none(finder, cell)) is not None), None)
            label = next((text_of(cell.strip()) for cell in row if text_of(cell.strip()) in collection.classes), None)
            if image is not None and label is not None:
                found[image] = label
        if found and len(found) >= len(rows) - 1:
            collection.notes.append(f"{name_of(file, collection.root)} gives the class of each image in {folder.name}")
            return found
    return {}


def _find_or_none(finder: ImageFinder, cell: str) -> Path | None:
    try:
        return finder.find(cell)
    except ValueError:
        return None
