"""Text files that list images with their class, as published collections have them: `train.txt` with `cat/1.jpg 0`.

The class may also be the folder of the image (`cat/1`), or be in a second list that repeats the ids of the first, as in
CUB-200 (`images.txt`, `image_class_labels.txt`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from cvlib.config.schema import DataConfig
from cvlib.data.findings import REMARK, WARNING
from cvlib.data.labels import CLASS, LabelKind
from cvlib.data.layouts import class_names, evidence, list_files, list_ids, table_rows, table_samples
from cvlib.data.layouts import columns as column_forms
from cvlib.data.layouts.collection import Collection, name_of
from cvlib.data.layouts.columns import Columns
from cvlib.data.layouts.evidence import Evidence
from cvlib.data.layouts.find import ImageFinder
from cvlib.data.layouts.list_files import Rows, TextList
from cvlib.data.layouts.survey import Survey
from cvlib.data.layouts.table_choice import Table
from cvlib.data.layouts.table_file import number, whole
from cvlib.runtime.errors import UserError

TITLE = "text lists"
_CERTAINTY = 0.68  # more than class folders without splits, and less than those with splits, without a near tie


@dataclass
class _Found:
    """What the text files of a collection give."""

    lists: list[TextList] = field(default_factory=list)
    others: list[TextList] = field(default_factory=list)
    by_id: list_ids.ById | None = None


def signs(survey: Survey) -> list[Evidence]:
    """Return evidence from text files whose lines name images and classes."""
    home = survey.root.parent if survey.root.is_file() else survey.root
    found = _find(survey)
    if found.by_id is not None:
        why = f"{', '.join(name_of(file, home) for file in found.by_id.files)} list ids of images"
        return [Evidence("list", kind, survey.root, 0.9, why, TITLE) for kind in found.by_id.kinds]
    listed = ", ".join(name_of(item.file, home) for item in found.lists)
    if not found.lists:
        return []
    verb = "lists" if len(found.lists) == 1 else "list"
    content = "and classes" if found.lists[0].labelled else "in folders of classes"
    refusal = _several(found) if len({item.family for item in (found.lists[0], *found.others)}) > 1 else ""
    return [Evidence("list", CLASS, survey.root, _CERTAINTY, f"{listed} {verb} images {content}", TITLE, refusal)]


def _several(found: _Found) -> str:
    """Return why lists with other classes for the same images can't be read; "" if they only repeat the splits."""
    first = found.lists[0]
    if all(not item.labelled or _words(item) == _words(first) for item in found.others):
        return ""
    listed = ", ".join(item.file.name for item in (first, *found.others))
    return f"several lists give classes for train ({listed}): keep those to learn here, and move the others away"


def _words(item: TextList) -> list[str]:
    return [word for word in item.family if not word.isdecimal()]


def _find(survey: Survey) -> _Found:
    home = survey.root.parent if survey.root.is_file() else survey.root
    files = list_files.candidates(survey)
    if not files:
        return _Found()
    finder = list_files.finder_of(home, *dict.fromkeys(file.parent for file in files))
    by_id = list_ids.find(files, lambda written: _image(finder, written)) if survey.root.is_dir() else None
    if by_id is not None:
        return _Found(by_id=by_id)
    read = (list_files.read(file, lambda written: _image(finder, written)) for file in files)
    found = [item for item in read if item is not None and _has_classes(item, finder)]
    if survey.root.is_file():
        return _Found([replace(item, split="") for item in found])
    lists, others = list_files.chosen(found)
    labels = [_label(cells) for item in lists[:1] for _, cells in item.rows if item.labelled]
    if labels and len(set(labels)) == len(labels):  # a label of its own for each image is a number of the image
        return _Found()
    return _Found(lists, others)


def _image(finder: ImageFinder, written: str) -> Path | None:
    try:
        return finder.find(written)
    except (ValueError, OSError):  # outside of the collection; too long for a name
        return None


def _has_classes(item: TextList, finder: ImageFinder) -> bool:
    """Return whether lines with several numbers begin with a class, which the file names must confirm."""
    if not item.labelled or not all(len(_numbers(cells[1])) > 1 for _, cells in item.rows):
        return True
    numbered = [(_numbers(cells[1])[0], _image(finder, cells[0])) for _, cells in item.rows]
    return class_names.in_images([(label, image) for label, image in numbered if image is not None]) is not None


def read(root: Path, kind: LabelKind, config: DataConfig) -> Collection:
    """Read the images that the lists name; the name of a list gives its split.

    A line is the path of an image, with or without its extension, and its class, which may be a number that another
    file names (`classes.txt` …). In lists of paths only, the folder of an image is its class. Raises `UserError` if no
    text file lists images and classes.
    """
    home = root.parent if root.is_file() else root
    found = _find(Survey(root))
    collection = Collection(home, "list", kind, [], {})
    if found.by_id is not None:
        return list_ids.read(collection, found.by_id)
    if not found.lists:
        raise UserError(f"{root}: no text file lists images and their classes: expected lines such as cat/1.jpg 0")
    tables = [_table(item) for item in found.lists]
    finder = list_files.finder_of(home, *dict.fromkeys(item.file.parent for item in found.lists))
    tables = _with_names(collection, tables, finder)
    rows = [row for table in tables for row in table_rows.usable(collection, table, finder=finder)]
    collection.notes += finder.notes()
    table_samples.fill_classes(collection, rows, found.lists[0].file)
    _report(collection, found, {row.image for row in rows}, finder)
    return collection


def _table(item: TextList) -> Table:
    rows: Rows = [(line, [cells[0], _label(cells)]) for line, cells in item.rows]
    return Table(item.file, item.split or "train", Columns(column_forms.CLASS, 0, 1, None, False), rows)


def _label(cells: list[str]) -> str:
    if len(cells) == 1:
        return list_files.folder_of(cells[0])
    return (_numbers(cells[1]) or [cells[1]])[0]


def _numbers(label: str) -> list[str]:
    """Return the numbers in the rest of a line; [] if it holds words."""
    parts = list_files.parts_of(label)
    return parts if all(number(part) is not None for part in parts) else []


def _with_names(collection: Collection, tables: list[Table], finder: ImageFinder) -> list[Table]:
    """Return the tables with the names of classes that are numbers; the names come from a file or from the images."""
    labels = {row[1] for table in tables for _, row in table.rows}
    if not all(whole(label) == label for label in labels):
        return tables
    folders = [folder for table in tables for folder in (table.file.parent, collection.root)]
    if in_file := class_names.in_files(labels, folders):
        named, origin = in_file[0], name_of(in_file[1], collection.root)
    else:
        train = [row for table in tables if table.split == "train" for _, row in table.rows]
        pairs = [(row[1], _image(finder, row[0])) for row in train]
        in_images = class_names.in_images([(label, image) for label, image in pairs if image is not None])
        if in_images is None or set(in_images[0]) != labels:
            message = "the classes are numbers, and no file names them"
            advice = "add a classes.txt with a number and a name in each line, or leave them so"
            collection.blame(REMARK, "class name", tables[0].file, message, advice)
            return tables
        named, origin = in_images
    collection.notes.append(f"the numbers of the classes are named by {origin}")
    return [replace(table, rows=[(line, [row[0], named[row[1]]]) for line, row in table.rows]) for table in tables]


def _report(collection: Collection, found: _Found, used: set[Path], finder: ImageFinder) -> None:
    if found.others:
        listed = ", ".join(item.file.name for item in found.others[:4])
        message = f"{found.lists[0].file.name} is read, and other lists are not: {listed}"
        advice = "to read one of them, move the others away"
        collection.blame(WARNING, "other lists", found.lists[0].file, message, advice)
    places = {image.parent for image in used}
    left = [image for image in finder.images() if image not in used and image.parent in places]
    if left:
        count = evidence.counted(len(left), "image")
        message = f"{count} beside listed ones, such as {name_of(left[0], collection.root)}, not in any list: left out"
        collection.blame(REMARK, "unlisted images", ".", message)
