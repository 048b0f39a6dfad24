"""Collections of the user's: which layout they have, and the reader of each.

A reader is `read(root, task, config) -> Collection` in the module of its layout. It opens label files only, decodes
no image, and leaves out of the samples what an error finding blames.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cvlib.config import DataConfig
from cvlib.data.layouts import folder
from cvlib.data.layouts.collection import Collection, settle_splits
from cvlib.errors import UserError

__all__ = ["LAYOUTS", "TASKS", "Collection", "available", "detect", "place", "read"]

TASKS = ("classification", "detection", "segmentation")

LAYOUTS: dict[str, Callable[[Path, str, DataConfig], Collection]] = {
    "folder": folder.read,
}


def place(path: str) -> Path:
    """The absolute path of a collection: a folder, or one label file. Raises `UserError` where there is none."""
    root = Path(path).expanduser().absolute()
    for form in (str(root), unicodedata.normalize("NFC", str(root)), unicodedata.normalize("NFD", str(root))):
        if Path(form).exists():
            return Path(form)
    raise UserError(f"data.path={path}: there is no folder {root}")


def available(root: Path) -> dict[str, tuple[str, Path]]:
    """By task that `root` has labels for: their layout, and the folder (or label file) they lie in."""
    return {"classification": ("folder", root)}


def detect(root: Path, task: str | None = None) -> str:
    """The name of the layout that serves `task`, or the first task there is; raises `UserError` where there is none."""
    found = available(root)
    if not found or (task is not None and task not in found):
        raise UserError(f"{root}: no labels found")
    return found[task or next(iter(found))][0]


def read(root: Path, layout: str | None, task: str, config: DataConfig) -> Collection:
    """The samples of `root` with their labels for `task`, and what is wrong with them; nothing is decoded.

    A `layout` of None is found out. Raises `UserError` for what can't be understood as a whole.
    """
    found = layout or detect(root, task)
    collection = LAYOUTS[found](available(root).get(task, (found, root))[1], task, config)
    settle_splits(collection)
    return collection
