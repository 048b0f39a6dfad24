"""Collections of the user's: which layout they have, and the reader of each.

A reader is `read(root, task, config) -> Collection` in the module of its layout. It opens label files only, decodes
no image, and leaves out of the samples what an error finding blames. What needs the image's size is left to
`boxes.settle` and to a mask's `examine`.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cvlib.config.schema import DataConfig
from cvlib.data.layouts import coco, coco_files, folder, masks, table, voc, yolo
from cvlib.data.layouts.collection import Collection, settle_splits
from cvlib.runtime.errors import UserError

__all__ = ["LAYOUTS", "TASKS", "Collection", "available", "detect", "place", "read"]

TASKS = ("classification", "detection", "segmentation")

# Each layout's reader, and the tasks that it can have labels for.
LAYOUTS: dict[str, tuple[Callable[[Path, str, DataConfig], Collection], tuple[str, ...]]] = {
    "folder": (folder.read, ("classification",)),
    "csv": (table.read, ("classification",)),
    "voc": (voc.read, ("detection", "segmentation")),
    "coco": (coco.read, ("detection", "segmentation")),
    "yolo": (yolo.read, ("detection",)),
    "masks": (masks.read, ("segmentation",)),
}
_BY_SUFFIX = {".json": "coco", ".csv": "csv", ".tsv": "csv", ".yaml": "yolo", ".yml": "yolo"}


def place(path: str) -> Path:
    """The absolute path of a collection: a folder, or one label file. Raises `UserError` where there is none."""
    root = Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100  # without its .., but with its links
    spelled = [root, *(Path(unicodedata.normalize(form, str(root))) for form in ("NFC", "NFD"))]
    found = next((candidate for candidate in spelled if candidate.exists()), None)
    if found is None or not (found.is_dir() or found.suffix.lower() in _BY_SUFFIX):
        raise UserError(f"data.path={path}: there is no folder {root}")
    return found


def available(root: Path) -> dict[str, tuple[str, Path]]:
    """By task that `root` has labels for: their layout, and the folder (or label file) they lie in.

    A folder named for a task inside `root` serves that task where `root` itself doesn't.
    """
    if root.is_file():
        layout = _BY_SUFFIX[root.suffix.lower()]
        return dict.fromkeys(coco_files.tasks(root) if layout == "coco" else LAYOUTS[layout][1], (layout, root))
    found: dict[str, tuple[str, Path]] = {}
    here = [(task, "voc") for task in voc.tasks(root)] + [(task, "coco") for task in coco_files.tasks(root)]
    here += [("detection", "yolo")] if yolo.found(root) else []
    here += [("segmentation", "masks")] if masks.found(root) else []
    for task, layout in here:
        found.setdefault(task, (layout, root))
    for task in TASKS:
        inner = available(root / task) if (root / task).is_dir() else {}
        if task in inner:
            found.setdefault(task, inner[task])
    if not found and folder.has_splits(root):
        found["classification"] = ("folder", root)
    if table.understood(root) or (table.found(root) and not folder.found(root)):
        found.setdefault("classification", ("csv", root))
    if not found and folder.found(root):
        found["classification"] = ("folder", root)
    return {task: found[task] for task in TASKS if task in found}


def detect(root: Path, task: str | None = None) -> str:
    """The layout that serves `task` (the first task there is, where None); raises `UserError` where none does."""
    try:
        found = available(root)
    except OSError as error:
        raise UserError(f"{error.filename}: can't be opened: {error.strerror}") from error
    if task in found or (task is None and found):
        return found[task or next(iter(found))][0]
    if not found and task in (None, "classification"):
        return "folder"  # its reader explains what is expected
    if not found:
        raise UserError(f"{root}: no labels for {task} found: known are Pascal VOC, COCO, YOLO, and images with masks "
                        "beside them; data.layout=… chooses one")  # fmt: skip
    listed = " and ".join(f"{name} ({layout})" for name, (layout, _) in found.items())
    raise UserError(f"{root}: no labels for {task} in it, only for {listed}: choose a model for that, or other data")


def read(root: Path, layout: str | None, task: str, config: DataConfig) -> Collection:
    """The samples of `root` with their labels for `task`, and what is wrong with them; nothing is decoded.

    A `layout` of None is found out. Raises `UserError` for what can't be understood as a whole.
    """
    if layout is None:
        layout = detect(root, task)
    if layout not in LAYOUTS:
        raise UserError(f"data.layout={layout} is unknown: known are {', '.join(LAYOUTS)}, or null (found out)")
    reader, served = LAYOUTS[layout]
    if task not in served:
        raise UserError(f"data.layout={layout} has labels for {' and '.join(served)}, not for {task}")
    try:
        found = available(root).get(task, (layout, root))
        collection = reader(found[1] if found[0] == layout else root, task, config)
    except OSError as error:
        raise UserError(f"{error.filename}: can't be opened: {error.strerror}") from error
    settle_splits(collection)
    collection.parts = _renamed(collection)
    return collection


def _renamed(collection: Collection) -> dict[str, list]:
    """Two files whose names differ in Unicode composition alone are told apart by a number."""
    count: dict[str, int] = {}
    parts = {}
    for part in sorted(collection.parts, key=("train", "val", "test").index):
        samples = []
        for sample in collection.parts[part]:
            count[sample.name] = count.get(sample.name, 0) + 1
            number = count[sample.name]
            samples.append(sample if number == 1 else replace(sample, name=f"{sample.name}#{number}"))
        parts[part] = samples
    return parts
