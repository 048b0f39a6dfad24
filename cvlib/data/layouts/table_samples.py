"""Conversion of the usable rows of a table to the samples of a collection, by kind of label."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

from cvlib.data.findings import ERROR, WARNING
from cvlib.data.labels import raw_boxes as boxes
from cvlib.data.layouts import doubts
from cvlib.data.layouts.collection import Collection, Label, Sample
from cvlib.data.layouts.table_labels import Cells, Names
from cvlib.data.layouts.table_rows import Row
from cvlib.runtime.errors import UserError


def fill_classes(collection: Collection, rows: list[Row], file: Path) -> None:
    named: dict[str, list[Row]] = {}
    for row in rows:
        named.setdefault(row.split, []).append(row)
    _without_conflicts(collection, named)
    collection.classes = sorted({str(row.label) for some in named.values() for row in some})
    if len(collection.classes) < 2:
        first = f"; {collection.findings[0]}" if collection.findings else ""
        raise UserError(f"{file}: fewer than two classes ({', '.join(collection.classes)}) in the rows with a usable "
                        f"image: expected at least two{first}")  # fmt: skip
    numbers = {name: index for index, name in enumerate(collection.classes)}
    for split, some in named.items():
        collection.splits[split] = [_sample(row, numbers[str(row.label)]) for row in some]
    if named.get("train"):
        doubts.report_labels(collection, dict(sorted(Counter(str(row.label) for row in named["train"]).items())))
        _blame_unseen(collection)


def fill_sets(collection: Collection, rows: list[Row], cells: list[Cells]) -> None:
    named: dict[str, list[Row]] = {}
    for row in rows:
        named.setdefault(row.split, []).append(row)
    _without_conflicts(collection, named)
    in_rows = {name for some in named.values() for row in some for name in row.label}
    collection.classes = sorted(in_rows.union(*(item.flags for item in cells)))
    if not collection.classes:
        first = f"; {collection.findings[0]}" if collection.findings else ""
        raise UserError(f"{cells[0].file}: no class in the rows with a usable image: there is nothing to learn{first}")
    numbers = {name: index for index, name in enumerate(collection.classes)}
    for split, some in named.items():
        collection.splits[split] = [_sample(row, frozenset(numbers[name] for name in row.label)) for row in some]


def fill_boxes(collection: Collection, rows: list[Row]) -> None:
    collection.classes = sorted({str(row.label) for row in rows if row.corners is not None})
    if not collection.classes:
        raise UserError(f"{collection.root}: no row of the table has a box, so there is no class to learn")
    if collection.classes == ["object"]:
        collection.notes.append("no column gives a class: all boxes get the class object")
    numbers = {name: index for index, name in enumerate(collection.classes)}
    all_corners = [row.corners for row in rows if row.corners is not None]
    relative = all(max(corners) <= 1.0 for corners in all_corners)
    by_image: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        by_image[row.split, row.name].append(row)
    for (split, name), some in by_image.items():
        kept = [row for row in some if row.corners is not None]
        label = boxes.raw([row.corners for row in kept if row.corners], [numbers[str(row.label)] for row in kept],
                          [False] * len(kept), [row.place for row in kept], relative=relative, place=name)  # fmt: skip
        collection.splits.setdefault(split, []).append(_sample(some[0], label))


def _sample(row: Row, label: Label) -> Sample:
    return Sample(row.name, row.image, label, row.table, row.group)


def _without_conflicts(collection: Collection, named: dict[str, list[Row]]) -> None:
    """Keep an image once if a split lists it repeatedly, and drop it if its labels differ."""
    for split, rows in named.items():
        labels: dict[str, set[str | Names]] = {}
        for row in rows:
            known = labels.setdefault(row.name, set())
            if row.label in known:
                collection.blame(WARNING, "listed twice", row.table, f"{row.name} is listed twice: kept once",
                                 "remove one of them")  # fmt: skip
            known.add(row.label)
        for name, several in labels.items():
            if len(several) > 1:
                listed = " and ".join(sorted(map(_label_text, several)))
                collection.blame(ERROR, "two labels", name, f"it has different labels: {listed}", "keep the right one")
        named[split] = list({row.name: row for row in rows if len(labels[row.name]) == 1}.values())


def _label_text(label: str | Names) -> str:
    return label if isinstance(label, str) else "|".join(label) or "no class"


def _blame_unseen(collection: Collection) -> None:
    """Drop and report the samples of classes that are not in train, because they can't be learned."""
    trained = {sample.label for sample in collection.splits["train"]}
    for split, samples in collection.splits.items():
        for label in sorted({int(s.label) for s in samples if isinstance(s.label, int)} - trained):
            collection.blame(ERROR, "class set", samples[0].label_file or collection.classes[label],
                             f"class {collection.classes[label]} is in {split} but not in train, so it can't be "
                             "learned", "add training images or remove it")  # fmt: skip
            collection.splits[split] = [s for s in collection.splits[split] if s.label != label]
