"""A CSV or TSV file of images: their classes, one for each or any number, or their boxes."""

from __future__ import annotations

from pathlib import Path

from cvlib.config.schema import DataConfig
from cvlib.data.findings import REMARK, WARNING
from cvlib.data.labels import BOXES, CLASS, CLASS_SET, LabelKind
from cvlib.data.layouts import columns as column_forms
from cvlib.data.layouts import evidence, names, table_choice, table_labels, table_rows, table_samples
from cvlib.data.layouts.collection import Collection, name_of
from cvlib.data.layouts.evidence import Evidence
from cvlib.data.layouts.survey import Survey
from cvlib.data.layouts.table_choice import Table
from cvlib.data.layouts.table_labels import Cells
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
    readers = table_labels.readers(cells) if kind == CLASS_SET else {}
    rows = [row for one in chosen for row in table_rows.listed(collection, one, readers.get(one.file), config.group)]
    if kind == BOXES:
        table_samples.fill_boxes(collection, rows)
    elif kind == CLASS_SET:
        table_samples.fill_sets(collection, rows, cells)
        _tell_of_idle(collection, chosen)
    else:
        table_samples.fill_classes(collection, rows, chosen[0].file)
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
    rows, columns = one.rows, one.columns
    flags = {name: column for column, name in columns.classes.items()}
    return Cells(one.file, rows[columns.header :], len(rows[0][1]), None if flags else columns.label, flags)


def _tell_of_idle(collection: Collection, chosen: list[Table]) -> None:
    """Name the columns that are left out beside columns of 0 and 1."""
    for one in chosen:
        columns, header = one.columns, one.rows[0][1]
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
        rows = len(one.rows) - 1
        collection.blame(REMARK, "without labels", one.file, f"it lists {evidence.counted(rows, 'image')} without "
                         "labels: set aside")  # fmt: skip
        collection.without_labels.append(one.file)
    elif one.columns.form in _CLASS_FORMS:
        collection.blame(REMARK, "other table", one.file, f"it lists images too: {chosen[0].file.name} is read",
                         f"data.path={one.file} reads this one")  # fmt: skip
