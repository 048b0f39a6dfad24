"""A CSV or TSV file of images: their classes, one for each or any number, or their boxes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from cvlib.config.schema import DataConfig
from cvlib.data.findings import ERROR, REMARK, WARNING
from cvlib.data.labels import BOXES, CLASS, CLASS_SET, LabelKind
from cvlib.data.labels import raw_boxes as boxes
from cvlib.data.layouts import columns as column_forms
from cvlib.data.layouts import evidence, names, table_choice, table_file, table_labels
from cvlib.data.layouts.collection import Collection, Sample, name_of, text_of
from cvlib.data.layouts.columns import Columns
from cvlib.data.layouts.evidence import Evidence
from cvlib.data.layouts.find import ImageFinder
from cvlib.data.layouts.survey import Survey
from cvlib.data.layouts.table_choice import Table
from cvlib.data.layouts.table_labels import Cells, Names, Read
from cvlib.runtime.errors import UserError

TITLE = "a table"
_CLASS_FORMS = (column_forms.CLASS, column_forms.ONE_HOT)
_ROW_FORMS = (*_CLASS_FORMS, column_forms.SEVERAL)
_WHAT = {column_forms.ONE_HOT: "one column for each class", column_forms.BOXES: "a box in each row",
         column_forms.SEVERAL: "several classes in a row"}  # fmt: skip


def signs(survey: Survey) -> list[Evidence]:
    """Tables whose rows name images."""
    tables = table_choice.tables(survey.root)
    home = survey.root.parent if survey.root.is_file() else survey.root
    found = []
    for kind in (CLASS, CLASS_SET, BOXES):
        if chosen := _chosen(tables, kind):
            listed = ", ".join(name_of(one.file, home) for one in chosen)
            sure = 0.8 if any(table_choice.lists_images(one.file, home, False) for one in chosen) else evidence.WEAK
            why = f"{listed} lists images, {_WHAT.get(chosen[0].columns.form, 'with a column of labels')}"
            found.append(Evidence("csv", kind, survey.root, sure, why, TITLE, exclusive=kind == BOXES))
    if not any(one.kind == CLASS for one in found) and (unclear := table_choice.unclear(tables)):
        beside = " (its boxes are for a detector)" if any(one.kind == BOXES for one in found) else ""
        several = unclear.columns.form == column_forms.SEVERAL
        sure = 0.45 if several else evidence.WEAK
        why = f"{name_of(unclear.file, home)} lists images{beside}"
        named = "" if survey.root.is_file() else f"{name_of(unclear.file, home)}: "
        refusal = named + _sets(unclear) if several else ""
        if several or not any(one.kind == BOXES for one in found):
            found.append(Evidence("csv", CLASS, survey.root, sure, why, TITLE, refusal))
    return found


def read(root: Path, kind: LabelKind, config: DataConfig) -> Collection:
    """The rows of the tables as samples; classes are sorted as text.

    Columns are known by a header (file or image …, label or class …, and perhaps split or set …), in any order and
    case; without a header the first column is the file and the second the label. Where the header has other names,
    the column that names images is the file. Raises `UserError` where the columns can't be told.
    """
    home = root.parent if root.is_file() else root
    tables = table_choice.tables(root)
    chosen = _chosen(tables, kind)
    if not chosen and kind == CLASS_SET:  # whose reader says what is wrong with single classes
        chosen = _chosen(tables, CLASS)
    if not chosen:
        raise _refusal(root, tables, kind)
    collection = Collection(home, "csv", kind, [], {})
    for one in tables:
        _tell_of_others(collection, one, chosen)
    cells = [_cells(one) for one in chosen]
    readers = table_labels.reader(kind, cells) if kind == CLASS_SET else {}
    rows = [row for one in chosen for row in _listed(collection, one, readers.get(one.file))]
    if kind == BOXES:
        _fill_boxes(collection, rows)
    elif kind == CLASS_SET:
        _fill_sets(collection, rows, cells)
        _tell_of_idle(collection, chosen)
    else:
        _fill_classes(collection, rows, chosen[0].file)
        _tell_of_lists(collection, cells)
    return collection


def _chosen(tables: list[Table], kind: LabelKind) -> list[Table]:
    """The tables that labels of this kind are read from; [] where there are none, or the rows are of another kind."""
    if kind == BOXES:
        return table_choice.chosen(tables, (column_forms.BOXES,))
    chosen = table_choice.chosen(tables, _ROW_FORMS)
    if not chosen:  # tables of both kinds, none of which has the usual name
        return table_choice.chosen(tables, _CLASS_FORMS if kind == CLASS else (column_forms.SEVERAL,))
    several = any(one.columns.form == column_forms.SEVERAL for one in chosen)
    return chosen if several == (kind == CLASS_SET) else []


def _refusal(root: Path, tables: list[Table], kind: LabelKind) -> UserError:
    boxed = table_choice.chosen(tables, (column_forms.BOXES,))
    if boxed and kind == CLASS:
        return UserError(f"{boxed[0].file}: it lists boxes, so it is for detection: choose model=yolo, or give a table "
                         "of file and label")  # fmt: skip
    unclear = table_choice.unclear(tables)
    if unclear is not None and unclear.columns.form == column_forms.SEVERAL:
        return UserError(f"{unclear.file}: {_sets(unclear)}")
    if unclear is not None:
        return UserError(f"{unclear.file}: {unclear.columns.why}")
    fit = [one for one in tables if one.columns.form in _CLASS_FORMS]
    several = f" ({', '.join(one.file.name for one in fit)} do: name one by data.path)" if len(fit) > 1 else ""
    return UserError(f"{root}: no CSV or TSV file that lists its images{several}")


def _sets(one: Table) -> str:
    return (f"an image can have several classes here, for {one.columns.why}: choose task=multilabel, as classification "
            "takes one class an image")  # fmt: skip


def _cells(one: Table) -> Cells:
    """What tells of classes in a table."""
    rows, columns = table_file.read(one.file).rows, one.columns
    flags = {name: column for column, name in columns.classes.items()}
    return Cells(one.file, rows[columns.header :], len(rows[0][1]), None if flags else columns.label, flags)


def _tell_of_idle(collection: Collection, chosen: list[Table]) -> None:
    """Name the columns that are left out beside columns of 0 and 1."""
    for one in chosen:
        columns, header = one.columns, table_file.read(one.file, 1).rows[0][1]
        known = (columns.file, columns.split, *columns.classes)
        idle = [name.strip() for column, name in enumerate(header) if column not in known and name.strip()]
        if columns.classes and idle:
            collection.blame(REMARK, "unused column", one.file, f"{', '.join(idle)}: left out, not of 0 and 1")


def _tell_of_lists(collection: Collection, cells: list[Cells]) -> None:
    if count := table_labels.looks_like_lists(cells):
        collection.blame(WARNING, "lists of classes", cells[0].file, f"its labels may be lists of {count} classes",
                         "if they are, choose task=multilabel")  # fmt: skip


def _tell_of_others(collection: Collection, one: Table, chosen: list[Table]) -> None:
    if one in chosen or any(other.file == one.file for other in chosen):
        collection.notes += one.notes
        return
    if one.columns.form == column_forms.NO_LABELS or names.is_unlabelled(one.file.stem):
        rows = len(table_file.read(one.file).rows) - 1
        collection.blame(REMARK, "without labels", one.file, f"it lists {evidence.counted(rows, 'image')} without "
                         "labels: set aside")  # fmt: skip
        collection.without_labels.append(one.file)
    elif one.columns.form in _CLASS_FORMS:
        collection.blame(REMARK, "other table", one.file, f"it lists images too: {chosen[0].file.name} is read",
                         f"data.path={one.file} reads this one")  # fmt: skip


# What a row is


@dataclass(frozen=True)
class Row:
    """A usable row of a table."""

    part: str
    image: Path
    name: str
    label: str | Names
    table: Path
    place: str
    corners: tuple[float, float, float, float] | None = None


def _listed(collection: Collection, one: Table, read_set: Read | None = None) -> list[Row]:
    """The usable rows of a table; what is wrong with the others is told. `read_set` reads the classes of a row."""
    rows, columns = table_file.read(one.file).rows, one.columns
    finder = table_choice.finder(collection.root, one)
    found, width = [], len(rows[0][1])
    labels = [""] * len(rows) if read_set else _spelled(collection, one, [row for _, row in rows[columns.header :]])
    numbers = [] if columns.form != column_forms.BOXES else [_box(columns, row) for _, row in rows[columns.header :]]
    for index, (line, row) in enumerate(rows[columns.header :]):
        place = f"line {line}"
        needed = max(columns.file, columns.label or 0, *columns.corners, *columns.classes)
        if len(row) <= needed:
            collection.blame(ERROR, "bad row", one.file, f"{len(row)} columns, the table has {width}",
                             "add what is missing", place)  # fmt: skip
            continue
        written, part = row[columns.file].strip(), _part(row, one)
        label: str | Names = labels[index]
        image, kind, problem, advice = _image(finder, written)
        if read_set is not None:
            try:
                label = read_set(row)
            except ValueError as error:
                problem = str(error)
        elif not label and columns.form != column_forms.BOXES:
            problem = "the label is empty, which task=multilabel allows"
        if part is None:
            problem = problem or f"the split {row[columns.split or 0]!r} is none of train, val, test"
        if image is None or problem or part is None:
            collection.blame(ERROR, "missing image" if image is None else kind, one.file, problem, advice, place)
            continue
        corners = None
        if columns.form == column_forms.BOXES:
            if not any(row[column].strip() for column in columns.corners):  # an image without objects
                found.append(Row(part, image, name_of(image, collection.root), "", one.file, place))
                continue
            corners = _corners(numbers[index], columns)
            if corners is None:
                collection.blame(ERROR, "box no number", one.file, "the box is not four numbers", "correct it", place)
                continue
        found.append(Row(part, image, name_of(image, collection.root), label, one.file, place, corners))
    collection.notes += [f"{one.file.name}: {note}" for note in finder.notes()]
    return found


def _image(finder: ImageFinder, written: str) -> tuple[Path | None, str, str, str]:
    """The image that a row names; the kind of a finding, what is wrong, and what to do."""
    advice = "correct it or take the line out"
    try:
        image = finder.find(written)
        return image, "bad row", "" if image is not None else f"there is no image {written}", advice
    except ValueError as error:
        return None, "bad row", str(error), "move the image into its folder (or link to it there) and write that path"


def _part(row: list[str], one: Table) -> str | None:
    split = one.columns.split
    if one.part or split is None or split >= len(row):
        return one.part or "train"
    value = row[split].strip()
    if value.lower() in ("true", "false"):
        return "val" if value.lower() == "true" else "train"
    return names.part_of(value)


def _spelled(collection: Collection, one: Table, rows: list[list[str]]) -> list[str]:
    """The label of each row; whole numbers that are written in several ways (1, 1.0) as one class, which is told."""
    columns = one.columns
    if columns.form == column_forms.ONE_HOT:
        return [next((name for column, name in columns.classes.items()
                      if column < len(row) and table_file.whole(row[column]) == "1"), "") for row in rows]  # fmt: skip
    if columns.label is None:
        return ["object"] * len(rows)
    labels = [text_of(row[columns.label].strip()) if len(row) > columns.label else "" for row in rows]
    numbers = {label: table_file.whole(label) for label in set(labels) if label}
    if not numbers or None in numbers.values() or len(set(numbers.values())) == len(numbers):
        return labels
    ways: dict[str | None, list[str]] = defaultdict(list)
    for label, digits in numbers.items():
        ways[digits].append(label)
    digits, written = next((digits, sorted(some)) for digits, some in sorted(ways.items(), key=str) if len(some) > 1)
    if all(label.isdecimal() for label in written):  # 01 and 1 may be two classes
        return labels
    collection.blame(WARNING, "class name", one.file, f"labels {' and '.join(written)} are the same number: taken as "
                     f"one class {digits}", "write whole numbers without decimals")  # fmt: skip
    return [numbers.get(label) or label for label in labels]


def _box(columns: Columns, row: list[str]) -> list[float]:
    """The four numbers of a row's box; others where it has no such."""
    cells = [row[column] for column in columns.corners if column < len(row)]
    if len(columns.corners) == 1:
        return column_forms.numbers_of(cells[0]) if cells else []
    values = [table_file.number(cell) for cell in cells]
    return [value for value in values if value is not None]


def _corners(four: list[float], columns: Columns) -> tuple[float, float, float, float] | None:
    """The corners that a row's four numbers mean; None where there are others."""
    if len(four) != 4:
        return None
    first, second, third, fourth = four
    return (first, second, first + third, second + fourth) if columns.sides else (first, second, third, fourth)


# Samples


def _fill_classes(collection: Collection, rows: list[Row], file: Path) -> None:
    named: dict[str, list[Row]] = {}
    for row in rows:
        named.setdefault(row.part, []).append(row)
    _without_conflicts(collection, named)
    collection.classes = sorted({str(row.label) for some in named.values() for row in some})
    if len(collection.classes) < 2:
        first = f"; {collection.findings[0]}" if collection.findings else ""
        raise UserError(f"{file}: fewer than two classes ({', '.join(collection.classes)}) in the rows whose image "
                        f"can be used: nothing to tell apart{first}")  # fmt: skip
    numbers = {name: index for index, name in enumerate(collection.classes)}
    for part, some in named.items():
        collection.parts[part] = [Sample(row.name, row.image, numbers[str(row.label)], row.table) for row in some]
    if named.get("train"):
        _blame_unseen(collection)


def _fill_sets(collection: Collection, rows: list[Row], cells: list[Cells]) -> None:
    named: dict[str, list[Row]] = {}
    for row in rows:
        named.setdefault(row.part, []).append(row)
    _without_conflicts(collection, named)
    in_rows = {name for some in named.values() for row in some for name in row.label}
    collection.classes = sorted(in_rows.union(*(one.flags for one in cells)))
    if not collection.classes:
        first = f"; {collection.findings[0]}" if collection.findings else ""
        raise UserError(f"{cells[0].file}: no class in the rows whose image can be used: nothing to learn{first}")
    numbers = {name: index for index, name in enumerate(collection.classes)}
    for part, some in named.items():
        collection.parts[part] = [Sample(row.name, row.image, frozenset(numbers[name] for name in row.label), row.table)
                                  for row in some]  # fmt: skip


def _fill_boxes(collection: Collection, rows: list[Row]) -> None:
    collection.classes = sorted({str(row.label) for row in rows if row.corners is not None})
    if not collection.classes:
        raise UserError(f"{collection.root}: no row of the table holds a box, so there is no class to learn")
    if collection.classes == ["object"]:
        collection.notes.append("no column names a class: all boxes are of one class, object")
    numbers = {name: index for index, name in enumerate(collection.classes)}
    all_corners = [row.corners for row in rows if row.corners is not None]
    relative = all(max(corners) <= 1.0 for corners in all_corners)
    by_image: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        by_image[row.part, row.name].append(row)
    for (part, name), some in by_image.items():
        kept = [row for row in some if row.corners is not None]
        label = boxes.raw([row.corners for row in kept if row.corners], [numbers[str(row.label)] for row in kept],
                          [False] * len(kept), [row.place for row in kept], relative=relative, place=name)  # fmt: skip
        collection.parts.setdefault(part, []).append(Sample(name, some[0].image, label, some[0].table))


def _without_conflicts(collection: Collection, named: dict[str, list[Row]]) -> None:
    """An image listed twice in a part is kept once, and not at all where its labels differ."""
    for part, rows in named.items():
        labels: dict[str, set[str | Names]] = {}
        for row in rows:
            known = labels.setdefault(row.name, set())
            if row.label in known:
                collection.blame(WARNING, "listed twice", row.table, f"{row.name} is listed twice: kept once",
                                 "take one out")  # fmt: skip
            known.add(row.label)
        for name, several in labels.items():
            if len(several) > 1:
                words = " and ".join(sorted(map(_in_words, several)))
                collection.blame(ERROR, "two labels", name, f"it is labelled {words}", "keep the right one")
        named[part] = list({row.name: row for row in rows if len(labels[row.name]) == 1}.values())


def _in_words(label: str | Names) -> str:
    return label if isinstance(label, str) else "|".join(label) or "nothing"


def _blame_unseen(collection: Collection) -> None:
    """Classes that only val or test have can't be learned."""
    trained = {sample.label for sample in collection.parts["train"]}
    for part, samples in collection.parts.items():
        for label in sorted({int(s.label) for s in samples if isinstance(s.label, int)} - trained):
            collection.blame(ERROR, "class set", samples[0].label_file or collection.classes[label],
                             f"class {collection.classes[label]} is in {part} but not in train, so it can't be learned",
                             "add training images or take it out")  # fmt: skip
            collection.parts[part] = [s for s in collection.parts[part] if s.label != label]
