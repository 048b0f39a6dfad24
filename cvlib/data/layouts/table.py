"""A CSV or TSV file of image files and their classes, one for each or any number: classification and multi-label."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cvlib.config.schema import DataConfig
from cvlib.data.findings import ERROR, REMARK, WARNING
from cvlib.data.labels import CLASS, LabelKind
from cvlib.data.layouts import table_images, table_labels
from cvlib.data.layouts.collection import PART_NAMES, Collection, Sample, name_of, text_of
from cvlib.data.layouts.table_labels import Cells, Names, Read
from cvlib.runtime.errors import UserError

_FILE = ("file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "image_file", "image_id",
         "image_name", "img", "path", "id", "id_code", "name")  # fmt: skip
_LABEL = ("label", "class", "class_name", "category", "target", "labels", "classes", "y", "diagnosis")
_SPLIT = ("split", "set", "subset", "partition", "fold", "phase", "usage")
_SUFFIXES = (".csv", ".tsv", ".txt")
_PREFERRED = ("labels", "annotations", "data", "dataset", "images", "metadata", "classification")


@dataclass(frozen=True)
class _Columns:
    file: int
    label: int | None  # None: there are columns of 0 and 1
    flags: tuple[int, ...]  # these
    split: int | None
    header: bool


@dataclass(frozen=True)
class _Table:
    file: Path
    part: str  # that its name tells, or ""
    rows: list[tuple[int, list[str]]]  # each with the number of its line
    columns: _Columns

    @property
    def cells(self) -> Cells:
        """What tells of classes."""
        names = [text_of(name.strip()) for name in self.rows[0][1]]
        flags = {names[column]: column for column in self.columns.flags}
        return Cells(self.file, self.rows[self.columns.header :], len(names), self.columns.label, flags)


def files(root: Path) -> dict[str, Path]:
    """The tables by part: `train.csv` …, else one under "" (`labels.csv` or the like, or the only one); {} without."""
    if root.is_file():
        return {"": root}
    tables = [file for file in sorted(root.iterdir()) if file.suffix.lower() in (".csv", ".tsv") and file.is_file()]
    tables = [file for file in tables if _lists_images(file, root)]
    by_part = {PART_NAMES[f.stem.lower()]: f for f in tables if f.stem.lower() in PART_NAMES}
    if "train" in by_part:
        return by_part
    named = [file for name in _PREFERRED for file in tables if file.stem.lower() == name]
    chosen = named[:1] or (tables if len(tables) == 1 else [])
    return {"": chosen[0]} if chosen else {}


def found(root: Path) -> bool:
    """Whether `root` has a table that lists its images."""
    return bool(files(root))


def understood(root: Path) -> bool:
    """Whether the columns of such a table can be told, so that it is no other list of these images."""
    tables = files(root).values()
    try:
        return all(_columns(f, _rows(f), root) for f in tables) and any(_lists_images(f, root, False) for f in tables)
    except UserError:
        return False


def kinds(root: Path) -> list[LabelKind]:
    """Return the kinds of labels that the tables of `root` (a folder, or one table) have."""
    home = root.parent if root.is_file() else root
    try:
        return table_labels.kinds([_opened(file, part, home).cells for part, file in files(root).items()])
    except UserError:
        return [CLASS]  # whose reader says what is wrong


def _lists_images(file: Path, root: Path, outside: bool = True) -> bool:
    """Whether one of the first rows names an existing image, be it `outside` of `root`."""
    starts = table_images.bases(root)
    cells = (cell for _, row in _rows(file, 4) for cell in row if cell.strip())
    return any(table_images.names_image(cell, root, starts, outside) for cell in cells)


def read(root: Path, kind: LabelKind, config: DataConfig) -> Collection:
    """The rows of the table as samples; classes are sorted as text.

    Columns are known by a header (file or image …, label or class …, and perhaps split or set …), in any order and
    case; without a header the first column is the file and the second the label. Without a label, columns of 0 and 1
    are a class each. Values with commas, quotes or line breaks are quoted as RFC 4180 has it; commas, semicolons or
    tabs separate. Raises `UserError` where the columns can't be told, they hold another kind of label, or too few
    classes are left.
    """
    tables = files(root)
    home = root.parent if root.is_file() else root
    if not tables:
        raise UserError(f"{root}: no CSV or TSV file that lists its images")
    collection = Collection(home, "csv", kind, [], {})
    opened = [_opened(file, part, home) for part, file in tables.items()]
    readers = table_labels.reader(kind, [table.cells for table in opened])
    named: dict[str, list[_Named]] = {}
    for table in opened:
        for split, sample in _listed(collection, table, readers[table.file]):
            named.setdefault(split, []).append(sample)
    _without_conflicts(collection, named)
    classes = {name for table in opened for name in table.cells.flags}
    collection.classes = sorted(classes.union(*(one.label for samples in named.values() for one in samples)))
    if len(collection.classes) < kind.fewest_chosen:
        first = f"; {collection.findings[0]}" if collection.findings else ""
        few = {1: "no class", 2: f"fewer than two classes ({', '.join(collection.classes)})"}[kind.fewest_chosen]
        raise UserError(f"{next(iter(tables.values()))}: {few} in the rows whose image can be used: nothing to tell "
                        f"apart{first}")  # fmt: skip
    if not named.get("train"):
        raise UserError(f"{next(iter(tables.values()))}: no row is in the training split")
    numbers = {name: index for index, name in enumerate(collection.classes)}
    for split, samples in named.items():
        ids = [frozenset(numbers[name] for name in one.label) for one in samples]
        collection.parts[split] = [Sample(one.name, one.image, min(label) if kind == CLASS else label, one.table)
                                   for one, label in zip(samples, ids, strict=True)]  # fmt: skip
    _remark(collection, opened)
    _blame_unseen(collection)
    return collection


@dataclass(frozen=True)
class _Named:
    """A usable row."""

    name: str
    image: Path
    label: Names
    table: Path


def _opened(file: Path, part: str, root: Path) -> _Table:
    rows = _rows(file)
    if not rows:
        raise UserError(f"{file}: the table is empty")
    return _Table(file, part, rows, _columns(file, rows, root))


def _remark(collection: Collection, tables: list[_Table]) -> None:
    """Note columns that are left out, and classes that may be lists."""
    for table in tables:
        known = (table.columns.file, table.columns.split, *table.columns.flags)
        idle = [name.strip() for number, name in enumerate(table.rows[0][1]) if number not in known]
        if table.columns.flags and idle:
            collection.blame(REMARK, "unused column", table.file, f"{', '.join(idle)}: left out, not of 0 and 1")
    if collection.kind == CLASS and (count := table_labels.looks_like_lists([table.cells for table in tables])):
        collection.blame(WARNING, "lists of classes", tables[0].file, f"its labels may be lists of {count} classes",
                         "if they are, choose task=multilabel")  # fmt: skip


def _rows(file: Path, most: int | None = None) -> list[tuple[int, list[str]]]:
    """The table's first `most` rows (all where None) without empty ones, each with the number of its line."""
    text = file.read_text("utf-8-sig", errors="surrogateescape")
    first = text.partition("\n")[0]
    delimiter = "\t" if file.suffix.lower() == ".tsv" else max(",;\t", key=first.count)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    rows = []
    try:
        for row in islice(reader, most):
            if any(cell.strip() for cell in row):
                rows.append((reader.line_num, row))
    except csv.Error as error:
        raise UserError(f"{file}, line {reader.line_num}: can't be read as a table: {error}") from None
    return rows


def _columns(file: Path, rows: list[tuple[int, list[str]]], root: Path) -> _Columns:
    names = [cell.strip().lower().replace(" ", "_") for cell in rows[0][1]]
    file_column = next((names.index(name) for name in _FILE if name in names), None)
    label_column = next((names.index(name) for name in _LABEL if name in names), None)
    split_column = next((names.index(name) for name in _SPLIT if name in names), None)
    if (
        file_column is None
        and label_column is None
        and table_images.names_image(rows[0][1][0], root, table_images.bases(root))
    ):
        if len(names) < 2:
            raise UserError(f"{file}: one column only: expected the image's file and its label")
        return _Columns(0, 1, (), 2 if len(names) == 3 else None, False)
    left = [i for i in range(len(names)) if i not in (file_column, split_column)]
    if label_column is None and file_column is not None and len(left) == 1:
        label_column = left[0]
    if file_column is None and label_column is not None and len(left) == 2:
        file_column = next(i for i in left if i != label_column)
    flags = table_labels.flag_columns(rows[1:], left) if label_column is None and file_column is not None else []
    if file_column is not None and len(flags) > 1:
        return _Columns(file_column, None, tuple(flags), split_column, True)
    if file_column is None or label_column is None:
        lacking = "image's file (such as file)" if file_column is None else "label (such as label)"
        raise UserError(
            f"{file}: no column is known as the {lacking} among {text_of(', '.join(rows[0][1]))}: rename one"
        )
    return _Columns(file_column, label_column, (), split_column, True)


def _listed(collection: Collection, table: _Table, read_label: Read) -> list[tuple[str, _Named]]:
    """Each usable row, with its split."""
    columns, header = table.columns, table.rows[0][1]
    last = max(columns.file, columns.label or 0, *columns.flags)
    starts = table_images.bases(collection.root)
    samples = []
    for number, row in table.rows[columns.header :]:
        place = f"line {number}"
        if len(row) <= last:
            collection.blame(ERROR, "bad row", table.file, f"{len(row)} columns, the table has {len(header)}",
                             "add what is missing", place)  # fmt: skip
            continue
        written, split = row[columns.file].strip(), _split(row, columns, table.part)
        problem, advice = None, "correct it or take the line out"
        label: Names = ()
        image = None
        try:
            label = read_label(row)
        except ValueError as error:
            problem = str(error)
        try:
            image = table_images.locate(written, collection.root, starts)
            problem = problem or (None if image is not None else f"there is no image {written}")
        except ValueError as error:
            problem, advice = str(error), "move the image into its folder (or link to it there) and write that path"
        if split is None:
            known = ", ".join(sorted(set(PART_NAMES)))
            problem = problem or f"the split {row[columns.split or 0]!r} is none of {known}"
        if problem or image is None or split is None:
            kind = "missing image" if image is None else "bad row"
            collection.blame(ERROR, kind, table.file, str(problem), advice, place)
            continue
        samples.append((split, _Named(name_of(image, collection.root), image, label, table.file)))
    return samples


def _split(row: list[str], columns: _Columns, part: str) -> str | None:
    if part or columns.split is None or columns.split >= len(row):
        return part or "train"
    return PART_NAMES.get(row[columns.split].strip().lower())


def _without_conflicts(collection: Collection, named: dict[str, list[_Named]]) -> None:
    """An image listed twice in a part is kept once, and not at all where its labels differ."""
    for split, samples in named.items():
        labels: dict[str, set[Names]] = {}
        for one in samples:
            known = labels.setdefault(one.name, set())
            if one.label in known:
                collection.blame(WARNING, "listed twice", one.table, f"{one.name} is listed twice: kept once",
                                 "take one out")  # fmt: skip
            known.add(one.label)
        for name, several in labels.items():
            if len(several) > 1:
                words = " and ".join(sorted("|".join(label) or "nothing" for label in several))
                collection.blame(ERROR, "two labels", name, f"it is labelled {words}", "keep the right one")
        named[split] = list({one.name: one for one in samples if len(labels[one.name]) == 1}.values())


def _blame_unseen(collection: Collection) -> None:
    """Single classes that only val or test have can't be learned."""
    trained = {sample.label for sample in collection.parts["train"]}
    for part, samples in collection.parts.items():
        for label in sorted({int(s.label) for s in samples if isinstance(s.label, int)} - trained):
            collection.blame(ERROR, "class set", samples[0].label_file or collection.classes[label],
                             f"class {collection.classes[label]} is in {part} but not in train, so it can't be learned",
                             "add training images or take it out")  # fmt: skip
            collection.parts[part] = [s for s in collection.parts[part] if s.label != label]
