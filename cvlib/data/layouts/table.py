"""A CSV or TSV file of image file and label: classification."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cvlib.config.schema import DataConfig
from cvlib.data import images
from cvlib.data.findings import ERROR, WARNING
from cvlib.data.labels import LabelKind
from cvlib.data.layouts.collection import PART_NAMES, Collection, Sample, inside, name_of, subfolders, text_of
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
    label: int
    split: int | None
    header: bool


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


def _lists_images(file: Path, root: Path, outside: bool = True) -> bool:
    """Whether one of the first rows names an existing image, be it `outside` of `root`."""
    bases = _bases(root)
    return any(_names_image(cell, root, bases, outside) for _, row in _rows(file, 4) for cell in row if cell.strip())


def read(root: Path, kind: LabelKind, config: DataConfig) -> Collection:
    """The rows of the table as samples; classes are sorted as text.

    Columns are known by a header (file or image …, label or class …, and perhaps split or set …), in any order and
    case; without a header the first column is the file and the second the label. Values with commas, quotes or
    line breaks are quoted as RFC 4180 has it; commas, semicolons or tabs separate. Raises `UserError` where the
    columns can't be told, or fewer than two classes are left.
    """
    tables = files(root)
    home = root.parent if root.is_file() else root
    if not tables:
        raise UserError(f"{root}: no CSV or TSV file that lists its images")
    collection = Collection(home, "csv", kind, [], {})
    named: dict[str, list[tuple[str, Path, str, Path]]] = {}
    for part, table in tables.items():
        for split, name, image, label in _listed(collection, table, part):
            named.setdefault(split, []).append((name, image, label, table))
    _without_conflicts(collection, named)
    collection.classes = sorted({label for samples in named.values() for _, _, label, _ in samples})
    if len(collection.classes) < 2:
        first = f"; {collection.findings[0]}" if collection.findings else ""
        raise UserError(f"{next(iter(tables.values()))}: fewer than two classes ({', '.join(collection.classes)}) in "
                        f"the rows whose image can be used: nothing to tell apart{first}")  # fmt: skip
    if not named.get("train"):
        raise UserError(f"{next(iter(tables.values()))}: no row is in the training split")
    numbers = {name: index for index, name in enumerate(collection.classes)}
    for split, samples in named.items():
        collection.parts[split] = [Sample(name, image, numbers[label], table) for name, image, label, table in samples]
    _blame_unseen(collection)
    return collection


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
    if file_column is None and label_column is None and _names_image(rows[0][1][0], root, _bases(root)):
        if len(names) < 2:
            raise UserError(f"{file}: one column only: expected the image's file and its label")
        return _Columns(0, 1, 2 if len(names) == 3 else None, False)
    left = [i for i in range(len(names)) if i not in (file_column, split_column)]
    if label_column is None and file_column is not None and len(left) == 1:
        label_column = left[0]
    if file_column is None and label_column is not None and len(left) == 2:
        file_column = next(i for i in left if i != label_column)
    if file_column is None or label_column is None:
        lacking = "image's file (such as file)" if file_column is None else "label (such as label)"
        raise UserError(
            f"{file}: no column is known as the {lacking} among {text_of(', '.join(rows[0][1]))}: rename one"
        )
    return _Columns(file_column, label_column, split_column, True)


def _listed(collection: Collection, table: Path, part: str) -> list[tuple[str, str, Path, str]]:
    """Part, name, image and label of each usable row."""
    rows = _rows(table)
    if not rows:
        raise UserError(f"{table}: the table is empty")
    columns = _columns(table, rows, collection.root)
    bases = _bases(collection.root)
    samples = []
    for number, row in rows[columns.header :]:
        place = f"line {number}"
        if len(row) <= max(columns.file, columns.label):
            collection.blame(ERROR, "bad row", table, f"{len(row)} columns, the table has {len(rows[0][1])}",
                             "add what is missing", place)  # fmt: skip
            continue
        written, label = row[columns.file].strip(), text_of(row[columns.label].strip())
        split = _split(row, columns, part)
        problem = "the label is empty" if not label else None
        image, advice = None, "correct it or take the line out"
        try:
            image = _locate(written, collection.root, bases)
            problem = problem or (None if image is not None else f"there is no image {written}")
        except ValueError as error:
            problem, advice = str(error), "move the image into its folder (or link to it there) and write that path"
        if split is None:
            known = ", ".join(sorted(set(PART_NAMES)))
            problem = problem or f"the split {row[columns.split or 0]!r} is none of {known}"
        if problem or image is None or split is None:
            kind = "missing image" if image is None else "bad row"
            collection.blame(ERROR, kind, table, str(problem), advice, place)
            continue
        samples.append((split, name_of(image, collection.root), image, label))
    return samples


def _split(row: list[str], columns: _Columns, part: str) -> str | None:
    if part or columns.split is None or columns.split >= len(row):
        return part or "train"
    return PART_NAMES.get(row[columns.split].strip().lower())


def _bases(root: Path) -> list[Path]:
    named = [folder for folder in subfolders(root) if folder.name.lower() in ("images", "image", "img", "imgs", "train",
                                                                              "test", "val", "data")]  # fmt: skip
    return [root, *named]


def _names_image(written: str, root: Path, bases: list[Path], outside: bool = True) -> bool:
    try:
        return _locate(written, root, bases) is not None
    except ValueError:
        named = root / written.strip().replace("\\", "/")
        return outside and named.is_file() and images.looks_like_image(named)
    except OSError:  # longer than a file name can be
        return False


def _locate(written: str, root: Path, bases: list[Path]) -> Path | None:
    """The image that a row names, with or without its extension; raises `ValueError` for a path out of `root`."""
    if not written.strip() or "\0" in written:
        return None
    exact = inside(root, written.strip(), *bases)
    if exact is not None:
        return exact if images.looks_like_image(exact) else None
    for extension in sorted(images.EXTENSIONS):
        for spelled in (extension, extension.upper()):
            found = inside(root, written.strip() + spelled, *bases)
            if found is not None:
                return found
    return None


def _without_conflicts(collection: Collection, named: dict[str, list[tuple[str, Path, str, Path]]]) -> None:
    """An image listed twice in a part is kept once, and not at all where its labels differ."""
    for split, samples in named.items():
        labels: dict[str, set[str]] = {}
        for name, _, label, table in samples:
            known = labels.setdefault(name, set())
            if label in known:
                collection.blame(WARNING, "listed twice", table, f"{name} is listed twice: kept once", "take one out")
            known.add(label)
        for name, several in labels.items():
            if len(several) > 1:
                collection.blame(ERROR, "two labels", name, f"it is labelled {' and '.join(sorted(several))}",
                                 "keep the right one")  # fmt: skip
        unique = {name: (name, image, label, table) for name, image, label, table in samples if len(labels[name]) == 1}
        named[split] = list(unique.values())


def _blame_unseen(collection: Collection) -> None:
    """Classes that only val or test have can't be learned."""
    trained = {sample.label for sample in collection.parts["train"]}
    for part, samples in collection.parts.items():
        for label in sorted({int(s.label) for s in samples if isinstance(s.label, int)} - trained):
            collection.blame(ERROR, "class set", samples[0].label_file or collection.classes[label],
                             f"class {collection.classes[label]} is in {part} but not in train, so it can't be learned",
                             "add training images or take it out")  # fmt: skip
            collection.parts[part] = [s for s in collection.parts[part] if s.label != label]
