"""Predictions of another tool, recorded as a run, so that `cvlib compare` shows it beside the runs on the same data."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cvlib import data, tasks
from cvlib.config.schema import Config, DataConfig, as_mapping
from cvlib.data import layouts
from cvlib.data.dataset import Dataset
from cvlib.data.images import EXTENSIONS
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import Form
from cvlib.runs.record import Record
from cvlib.runtime.errors import UserError
from cvlib.tasks.base import Task
from cvlib.tasks.imports import Imported, Targets

MODE = "imported"  # the run's mode in tables
# What each form of predictions is called in messages.
FORMS = {"json": "COCO results (.json)", "table": "a table (.csv)", "texts": "a folder of YOLO text files",
         "images": "a folder of masks"}  # fmt: skip
_CLASS_LISTS = ("classes.txt", "labels.txt")
# Settings of the data that matter for training only; `data.image_size` and `data.resize` matter for masks.
_FOR_TRAINING = ("batch_size", "cache", "cache_gb", "class_weights", "sampling", "verify", "pretrain_on",
                 "pretrain_samples", "pretrain_epochs")  # fmt: skip
_SIZES = ("image_size", "resize", "tiles", "tile_overlap")


def form_of(source: Path) -> str:
    """Return the form of the predictions in a file or folder, a key of `FORMS`; raise `UserError` if there are none."""
    if source.is_dir():
        files = [file for file in source.rglob("*") if file.is_file()]
        if any(file.suffix.lower() == ".txt" and file.name not in _CLASS_LISTS for file in files):
            return "texts"
        if any(file.suffix.lower() in EXTENSIONS for file in files):
            return "images"
        raise UserError(f"{source}: the folder holds neither YOLO text files nor masks")
    if not source.exists():
        raise UserError(f"{source}: no such file or folder")
    forms = {".json": "json", ".csv": "table", ".tsv": "table"}
    if source.suffix.lower() not in forms:
        raise UserError(f"{source}: expected {', '.join(FORMS.values())}")
    return forms[source.suffix.lower()]


def task_of(source: Path, chosen: str | None) -> Task:
    """Return the task of the predictions: the chosen one, or the first that reads their form."""
    form = form_of(source)
    if chosen is None:
        return next(task for task in map(tasks.of, tasks.names()) if form in task.import_forms)
    task = tasks.of(chosen)
    if form not in task.import_forms:
        readable = " or ".join(FORMS[known] for known in task.import_forms)
        raise UserError(f"{source} is {FORMS[form]}, but task={chosen} reads {readable}")
    return task


def mapping_of(config: Config, task: Task, name: str) -> dict[str, Any]:
    """Return the content of the run's config.yaml: only what predictions depend on."""
    whole = as_mapping(config)
    left_out = _FOR_TRAINING if task.label_kind.form is Form.PIXELS else (*_FOR_TRAINING, *_SIZES)
    return {
        "model": {"name": name, "task": task.name}, "mode": {"name": MODE},
        "data": {key: value for key, value in whole["data"].items() if key not in left_out},
        "seed": whole["seed"], "name": None, "output_root": whole["output_root"],
    }  # fmt: skip


def import_predictions(
    source: Path, config: Config, name: str, folder: Path, ids: Sequence[str] | None = None
) -> dict[str, Any]:  # fmt: skip
    """Read another tool's predictions for the test split of `config.data`, record them as a run, return its summary.

    Args:
        source: the file or folder with the predictions.
        config: its data and its seed are those of the runs to compare with; its model only gives the task.
        name: the model's name in tables.
        folder: the run's folder, which must be new or empty.
        ids: the names of the tool's classes in the order of its class ids; None: the data's own order.

    Raises `UserError` for invalid input, in which case nothing is written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"--output {folder} exists and is not an empty folder: choose another one")
    task = tasks.of_config(config)
    if config.data.tiles is not None and task.label_kind.form is Form.PIXELS:
        raise UserError(f"data.tiles={config.data.tiles} is not available for masks of other tools, which are compared "
                        "at one size: set data.image_size instead")  # fmt: skip
    dataset = data.load(config.data, config.seed, task.label_kind, task.name)
    targets = _targets(config, task, dataset, ids)
    found = task.imported(source, targets)
    with Record(folder, mapping_of(config, task, name), specs=task.metrics) as record:
        record.update(imported={"file": str(source), "read_as": found.read_as})
        _write(record, task, targets, found)
    return record.summary


def _write(record: Record, task: Task, targets: Targets, found: Imported) -> None:
    dataset = targets.dataset
    record.write_splits({name: split.names for name, split in dataset.splits.items()})
    record.write_csv("test_results.csv", found.results(targets.names))
    content = task.labels(dataset.classes, targets.spec, dataset.colours)
    record.write_text("labels.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    size = targets.spec.size
    record.update(
        status="completed", data_fingerprint=data.fingerprint(dataset), classes=dataset.classes,
        notes=[*dataset.notes, *found.notes], layout=dataset.layout, read_as=dataset.read_as, skipped=dataset.skipped,
        samples={name: len(split.names) for name, split in dataset.splits.items()}, channels=dataset.channels,
        image_size=size[0] if size[0] == size[1] else list(size), resize=targets.spec.resize,
        metrics={f"test/{metric}": value for metric, value in found.metrics().items()},
    )  # fmt: skip


def _targets(config: Config, task: Task, dataset: Dataset, ids: Sequence[str] | None) -> Targets:
    pixels = task.label_kind.form is Form.PIXELS
    size = tasks.input_size(config, dataset.size) if pixels else dataset.size
    original = _original_classes(config.data, task, dataset)
    merged = {member: name for name, members in (config.data.merge or {}).items() for member in members}
    numbers: dict[str, int | None] = dict.fromkeys([*(ids or ()), *original])
    for name in [*numbers, *dataset.classes]:
        kept = merged.get(name, name)
        numbers[name] = dataset.classes.index(kept) if kept in dataset.classes else None
    place = None if config.data.path is None else layouts.place(config.data.path)
    spec = InputSpec(*size, dataset.channels, tasks.resize(config), span=dataset.span)
    return Targets(dataset, place, spec, list(ids or original), numbers)


def _original_classes(config: DataConfig, task: Task, dataset: Dataset) -> list[str]:
    """Return the classes of the data before `data.merge` and `data.classes`, in the order of their ids."""
    if config.merge is None and config.classes is None:
        return dataset.classes
    whole = dataclasses.replace(config, merge=None, classes=None)
    return data.undivided(whole, task.label_kind, task=task.name).classes
