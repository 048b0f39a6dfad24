"""The slices of `cvlib evaluate --by`: a value for each image, from a table, its folder, or its size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from cvlib.compare import slices
from cvlib.compare.slices import Slice
from cvlib.config.schema import DataConfig
from cvlib.data import layouts
from cvlib.data.layouts import table_choice, table_file
from cvlib.data.split import image_sizes
from cvlib.evaluation.evaluate_run import Evaluation
from cvlib.evaluation.samples import Samples
from cvlib.runs.metric_specs import MetricSpec
from cvlib.runtime.errors import UserError
from cvlib.runtime.files import csv_of, write_atomically
from cvlib.tasks.import_table import FILE_COLUMNS
from cvlib.tasks.imports import NameFinder
from cvlib.viz.text_table import ruled

FOLDER, SIZE = "folder", "size"
_NONE = "(none)"  # the slice of images without a value
_MOST = 50  # slices; numbers with more different values are divided into thirds
_Rows = Iterator[tuple[str, str, str]]  # place, file, value
Sliced = tuple[MetricSpec, list[Slice]]


def of_images(by: str, samples: Samples, config: DataConfig) -> list[str]:
    """Return the slice of each image.

    Args:
        by: `folder`, `size` (thirds by number of pixels), the name of a column in a table of the data, or
            FILE.csv:COLUMN.
        samples: the images.
        config: the data that they belong to.

    Raises `UserError` if there is no such column, or if it doesn't divide the images into 2 to 50 slices.
    """
    if by == FOLDER:
        found = [str(PurePosixPath(name).parent) for name in samples.split.names]
    elif by == SIZE:
        found = [str(height * width) for height, width in image_sizes(samples.split).tolist()]
    else:
        found = _looked_up(by, samples, config)
    if by == SIZE or len(set(found)) > _MOST:
        found = _thirds(found, " px" if by == SIZE else "") or found
    if len(set(found)) < 2:
        raise UserError(f"--by {by}: all {len(found)} images have the same value ({found[0]}): choose another column")
    if len(set(found)) > _MOST:
        raise UserError(f"--by {by}: {len(set(found))} different values for {len(found)} images, at most {_MOST} are "
                        "possible: choose a column that groups the images")  # fmt: skip
    return found


def _thirds(values: Sequence[str], unit: str) -> list[str] | None:
    """Return the third that each number belongs to, such as "1: up to 3000"; None if a value isn't a number."""
    numbers = [table_file.number(value) for value in values if value != _NONE]
    known = np.array([number for number in numbers if number is not None])
    if not len(known) or len(known) < len(numbers):
        return None
    bounds = np.unique(np.quantile(known, [1 / 3, 2 / 3], method="lower")).tolist()
    bounds = [bound for bound in bounds if bound < known.max()]
    names = [f"{place}: up to {bound:g}{unit}" for place, bound in enumerate(bounds, 1)]
    names.append(f"{len(bounds) + 1}: above {bounds[-1]:g}{unit}" if bounds else f"{known.max():g}{unit}")
    return [_NONE if value == _NONE else names[int(np.searchsorted(bounds, table_file.number(value) or 0.0))]
            for value in values]  # fmt: skip


def _looked_up(by: str, samples: Samples, config: DataConfig) -> list[str]:
    """Return the value of each image in a column; images without one get "(none)"."""
    rows = _of_file(*by.rsplit(":", 1)) if ":" in by else _of_data(by, config)
    own = samples.dataset.splits.values()
    finder = NameFinder([name for split in own for name in split.names] or samples.split.names)
    values: dict[str, str] = {}
    for place, file, value in rows:
        images = finder.candidates(file)
        if len(images) > 1 and any(image in samples.split.names for image in images):
            raise UserError(f"{place}: {file} could be {' or '.join(images[:2])}: give the path of the image")
        for image in images:
            if values.setdefault(image, value) != value:
                raise UserError(f"{place}: {image} has the value {value}, but {values[image]} in an earlier row")
    found = [values.get(name) or _NONE for name in samples.split.names]
    if set(found) == {_NONE}:
        raise UserError(f"--by {by}: no evaluated image has a value, such as {samples.split.names[0]}")
    return found


def _of_file(path: str, column: str) -> _Rows:
    """Yield the rows of a table that was given with its column."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise UserError(f"--by {path}:{column}: {path} is not a file")
    rows = table_file.read(file).rows
    header = [cell.strip() for cell in rows[0][1]] if rows else []
    named = next((header.index(cell) for name in FILE_COLUMNS for cell in header if cell.casefold() == name), None)
    if named is None:
        raise UserError(f"{file}: no column with the images' file names: expected a column named file")
    if column not in header:
        raise UserError(f"--by {path}:{column}: the columns are {', '.join(header[:12])}")
    yield from _cells(file, rows[1:], named, header.index(column))


def _of_data(column: str, config: DataConfig) -> _Rows:
    """Yield the rows of the data's own tables that have the column."""
    tables = [] if config.path is None else table_choice.tables(layouts.place(config.path))
    known: list[str] = []
    for table in tables:
        header = [cell.strip() for cell in table.rows[0][1]] if table.columns.header else []
        known += header
        if column in header:
            yield from _cells(table.file, table.rows[1:], table.columns.file, header.index(column))
    if column not in known:
        listed = f" (its columns are {', '.join(dict.fromkeys(known[:12]))})" if known else ""
        raise UserError(f"--by {column}: the data has no table with this column{listed}: give {FOLDER}, {SIZE}, a "
                        "column, or FILE.csv:COLUMN")  # fmt: skip


def _cells(file: Path, rows: Sequence[tuple[int, list[str]]], named: int, column: int) -> _Rows:
    for line, row in rows:
        if len(row) > max(named, column):
            yield f"{file}, line {line}", row[named].strip(), row[column].strip()


def of_metrics(found: Evaluation, names: Sequence[str]) -> list[Sliced]:
    """Return the slices of each metric that has a value for each image, the headline metric first."""
    shown = found.task.shown_metrics(len(found.by_class))
    return [(spec, slices.by_slice(values, names, spec)) for spec in found.task.metrics
            if spec.name in shown and (values := slices.image_values(found.results, spec)) is not None]  # fmt: skip


def lines(sliced: Sequence[Sliced], by: str) -> list[str]:
    """Return the headline metric by slice as lines of text, with the sentences about it."""
    spec, found = sliced[0]
    nothing = next((f"{one.images} images have no value in this column" for one in found if one.name == _NONE), None)
    table = ruled(slices.display(found, spec, by.rsplit(":", 1)[-1]))
    return ["", *table, *slices.words(found, spec), *([nothing] if nothing else [])]


def write(sliced: Sequence[Sliced], folder: Path) -> None:
    """Write by_slice.csv, with a row for each metric and slice; without slices, delete an earlier file."""
    (folder / "by_slice.csv").unlink(missing_ok=True)
    if sliced:
        rows = [row for spec, found in sliced for row in slices.records(found, spec)]
        write_atomically(folder / "by_slice.csv", csv_of(rows))
