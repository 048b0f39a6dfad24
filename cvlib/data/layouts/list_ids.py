"""Text files that share ids of images, as in CUB-200 and NABirds.

`images.txt` gives id and path, `image_class_labels.txt` id and class, `train_test_split.txt` id and 1 for training, and
`bounding_boxes.txt` id, x, y, width and height.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cvlib.data.labels import BOXES, CLASS, LabelKind
from cvlib.data.layouts import class_names, names, table_rows, table_samples
from cvlib.data.layouts import columns as column_forms
from cvlib.data.layouts.collection import Collection, name_of
from cvlib.data.layouts.columns import Columns
from cvlib.data.layouts.table_choice import Table

_MAX_EXAMINED = 20  # lines to look up
Values = dict[str, list[str]]  # the rest of a line, in words, by id


@dataclass(frozen=True)
class ById:
    """The files that share ids: the paths of images, their classes, and optionally splits and boxes."""

    paths: Path
    labels: Path
    split: Path | None
    boxes: Path | None

    @property
    def files(self) -> list[Path]:
        """The files that are read."""
        return [file for file in (self.paths, self.labels, self.split, self.boxes) if file is not None]

    @property
    def kinds(self) -> list[LabelKind]:
        """The kinds of labels in the files."""
        return [CLASS, BOXES] if self.boxes else [CLASS]


def find(files: list[Path], find_image: Callable[[str], Path | None]) -> ById | None:
    """Return the files with ids of images and classes of these ids; None if there are none."""
    for file in files:
        if file.stem.lower() not in ("images", "image"):
            continue
        paths = _values(file, 1)
        some = list((paths or {}).values())[:_MAX_EXAMINED]
        if not paths or 2 * sum(find_image(cells[0]) is not None for cells in some) < len(some):
            continue
        others = [other for other in files if other.parent == file.parent and other != file]
        labels, split, boxes = (_with_ids(others, paths, words, count) for words, count in (
            ({"label", "labels", "class", "classes"}, 1), ({"split"}, 1), ({"box", "boxes", "bbox"}, 4)))  # fmt: skip
        if labels is not None:
            return ById(file, labels, split, boxes)
    return None


def _with_ids(files: list[Path], paths: Values, words: set[str], count: int) -> Path | None:
    """Return the file with such words in its name that has `count` cells for the ids of `paths`."""
    for file in files:
        if words & set(names.words(file.stem)) and set(_values(file, count) or {}) == set(paths):
            return file
    return None


def _values(file: Path, count: int) -> Values | None:
    """Return the `count` cells after the id in each line; None if a line has another form or an id comes twice."""
    rows = [line.split() for line in file.read_text("utf-8-sig", errors="replace").splitlines() if line.strip()]
    found = {row[0]: row[1:] for row in rows if len(row) == count + 1}
    return found if found and len(found) == len(rows) else None


def read(collection: Collection, by_id: ById) -> Collection:
    """Fill the collection with the samples; the box of an image has the image's class."""
    paths, labels = _values(by_id.paths, 1) or {}, _values(by_id.labels, 1) or {}
    splits = (by_id.split and _values(by_id.split, 1)) or {}
    boxes = (collection.kind == BOXES and by_id.boxes and _values(by_id.boxes, 4)) or {}
    named = class_names.in_files({cells[0] for cells in labels.values()}, [by_id.paths.parent])
    if named is not None:
        collection.notes.append(f"the numbers of the classes are named by {name_of(named[1], collection.root)}")
    rows = []
    for line, (key, path) in enumerate(paths.items(), 1):
        label, split = labels[key][0], splits.get(key, ["train"])[0]
        name = named[0][label] if named is not None else label
        rows.append((line, [path[0], name, {"1": "train", "0": "test"}.get(split, split), *boxes.get(key, [])]))
    form, corners = (column_forms.BOXES, (3, 4, 5, 6)) if boxes else (column_forms.CLASS, ())
    columns = Columns(form, 0, 1, 2, header=False, corners=corners, sides=True)
    found = table_rows.usable(collection, Table(by_id.paths, "", columns, rows))
    if boxes:
        table_samples.fill_boxes(collection, found)
    else:
        table_samples.fill_classes(collection, found, by_id.labels)
    return collection
