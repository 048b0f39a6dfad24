"""A CSV or TSV file that lists images with a class, a set of classes, or boxes."""

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
_CONTENTS = {column_forms.ONE_HOT: "one column per class", column_forms.BOXES: "one box per row",
             column_forms.SEVERAL: "several classes per row"}  # fmt: skip


def signs(survey: Survey) -> list[Evidence]:
    """Return evidence of tables whose rows name images."""
    tables = table_choice.tables(survey.root)
    home = survey.root.parent if survey.root.is_file() else survey.root
    found = []
    for kind in (CLASS, CLASS_SET, BOXES):
        if chosen := _chosen(tables, kind):
            listed = ", ".join(name_of(item.file, home) for item in chosen)
            certainty = (
                0.8 if any(table_choice.lists_images(item.file, home, False) for item in chosen) else evidence.WEAK
            )
            verb = "lists" if len(chosen) == 1 else "list"
            why = f"{listed} {verb} images, with {_CONTENTS.get(chosen[0].columns.form, 'a column of labels')}"
            found.append(Evidence("csv", kind, survey.root, certainty, why, TITLE, exclusive=kind == BOXES))
    if not any(item.kind == CLASS for item in found) and (unclear := table_choice.unclear(tables)):
        beside = " (its boxes are for detection)" if any(item.kind == BOXES for item in found) else ""
        several = unclear.columns.form == column_forms.SEVERAL
        certainty = 0.45 if several else evidence.WEAK
        why = f"{name_of(unclear.file, home)} lists images{beside}"
        named = "" if survey.root.is_file() else f"{name_of(unclear.file, home)}: "
        refusal = named + _sets(unclear) if several else ""
        if several or not any(item.kind == BOXES for item in found):
            found.append(Evidence("csv", CLASS, survey.root, certainty, why, TITLE, refusal))
    return found


def read(root: Path, kind: LabelKind, config: DataConfig) -> Collection:
    """Read the rows of the tables as samples; classes are sorted as strings.

    Columns are recognised by a header (file or image …, label or class …, and optionally split or set …), in any
    order and case. Without a header, the first column is the file and the second the label. If the header has other
    names, the file column is the one whose cells name images. Raises `UserError` if the columns can't be recognised.
    """
    home = root.parent if root.is_file() else root
    tables = table_choice.tables(root)
    chosen = _chosen(tables, kind)
    if not chosen and kind == CLASS_SET:  # `table_labels.readers` decides whether cells are lists
        chosen = _chosen(tables, CLASS)
    if not chosen:
        raise _refusal(root, tables, kind)
    collection = Collection(home, "csv", kind, [], {})
    for item in tables:
        _report_other_table(collection, item, chosen)
    cells = [_cells(item) for item in chosen]
    readers = table_labels.readers(cells) if kind == CLASS_SET else {}
    rows = [row for item in chosen for row in table_rows.usable(collection, item, readers.get(item.file), config.group)]
    if kind == BOXES:
        table_samples.fill_boxes(collection, rows)
    elif kind == CLASS_SET:
        table_samples.fill_sets(collection, rows, cells)
        _report_unused_columns(collection, chosen)
    else:
        table_samples.fill_classes(collection, rows, chosen[0].file)
        _report_possible_lists(collection, cells)
    return collection


def _chosen(tables: list[Table], kind: LabelKind) -> list[Table]:
    """Return the tables to read labels of this kind from; [] if there are none, or their labels are of another kind."""
    if kind == BOXES:
        return table_choice.chosen(tables, (column_forms.BOXES,))
    chosen = table_choice.chosen(tables, _ROW_FORMS)
    if not chosen:  # tables of both kinds, none with a standard name
        return table_choice.chosen(tables, _CLASS_FORMS if kind == CLASS else (column_forms.SEVERAL,))
    several = any(item.columns.form == column_forms.SEVERAL for item in chosen)
    return chosen if several == (kind == CLASS_SET) else []


def _refusal(root: Path, tables: list[Table], kind: LabelKind) -> UserError:
    boxed = table_choice.chosen(tables, (column_forms.BOXES,))
    if boxed and kind == CLASS:
        return UserError(f"{boxed[0].file}: it lists boxes, which are for detection: choose model=yolo, or provide a "
                         "table with the columns file and label")  # fmt: skip
    unclear = table_choice.unclear(tables)
    if unclear is not None and unclear.columns.form == column_forms.SEVERAL:
        return UserError(f"{unclear.file}: {_sets(unclear)}")
    if unclear is not None:
        return UserError(f"{unclear.file}: {unclear.columns.why}")
    fit = [item for item in tables if item.columns.form in _CLASS_FORMS]
    if len(fit) > 1:
        listed = ", ".join(item.file.name for item in fit)
        return UserError(f"{root}: several tables list its images ({listed}): set data.path to one of them")
    return UserError(f"{root}: no CSV or TSV file lists its images")


def _sets(table: Table) -> str:
    return (f"images can have several classes, because {table.columns.why}: choose task=multilabel "
            "(task=classification needs exactly one class per image)")  # fmt: skip


def _cells(table: Table) -> Cells:
    """Return the part of a table that holds the classes."""
    rows, columns = table.rows, table.columns
    flags = {name: column for column, name in columns.classes.items()}
    return Cells(table.file, rows[columns.header :], len(rows[0][1]), None if flags else columns.label, flags)


def _report_unused_columns(collection: Collection, chosen: list[Table]) -> None:
    """Report the columns that are left out beside columns of 0 and 1."""
    for item in chosen:
        columns, header = item.columns, item.rows[0][1]
        known = (columns.file, columns.split, *columns.classes)
        unused = [name.strip() for column, name in enumerate(header) if column not in known and name.strip()]
        if columns.classes and unused:
            message = f"columns left out because their values are not 0 and 1: {', '.join(unused)}"
            collection.blame(REMARK, "unused column", item.file, message)


def _report_possible_lists(collection: Collection, cells: list[Cells]) -> None:
    if count := table_labels.count_list_classes(cells):
        collection.blame(WARNING, "lists of classes", cells[0].file, f"its labels may be lists of {count} classes",
                         "if they are, choose task=multilabel")  # fmt: skip


def _report_other_table(collection: Collection, table: Table, chosen: list[Table]) -> None:
    if table in chosen or any(other.file == table.file for other in chosen):
        collection.notes += table.notes
        return
    if table.columns.form == column_forms.NO_LABELS or names.is_unlabelled(table.file.stem):
        rows = len(table.rows) - 1
        collection.blame(REMARK, "without labels", table.file, f"it lists {evidence.counted(rows, 'image')} without "
                         "labels: set aside")  # fmt: skip
        collection.without_labels.append(table.file)
    elif table.columns.form in _CLASS_FORMS:
        collection.blame(REMARK, "other table", table.file, f"it also lists images, but {chosen[0].file.name} is read",
                         f"to read this table, set data.path={table.file}")  # fmt: skip
