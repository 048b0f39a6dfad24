"""Collections of the user's: which layout they have, and the reader of each.

A reader is `read(root, kind, config) -> Collection` in the module of its layout. It opens label files only, decodes
no image, and leaves out of the samples what an error finding blames. What needs the image's size is left to
the kind's `settle`.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cvlib.config.schema import DataConfig
from cvlib.data.labels import BOXES, CLASS, CLASS_SET, KINDS, MASK, Form, LabelKind
from cvlib.data.layouts import coco, coco_files, folder, masks, table, voc, yolo
from cvlib.data.layouts.collection import Collection, made_into, settle_splits
from cvlib.runtime.errors import UserError

__all__ = ["LAYOUTS", "Collection", "Layout", "available", "detect", "place", "read"]


@dataclass(frozen=True)
class Layout:
    """A way that files can lie: its reader, and the kinds of labels that it can have."""

    read: Callable[[Path, LabelKind, DataConfig], Collection]
    kinds: tuple[LabelKind, ...]


LAYOUTS: dict[str, Layout] = {
    "folder": Layout(folder.read, (CLASS,)),
    "csv": Layout(table.read, (CLASS, CLASS_SET)),
    "voc": Layout(voc.read, (BOXES, MASK)),
    "coco": Layout(coco.read, (BOXES, MASK, CLASS_SET)),
    "yolo": Layout(yolo.read, (BOXES,)),
    "masks": Layout(masks.read, (MASK,)),
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


def available(root: Path) -> dict[LabelKind, tuple[str, Path]]:
    """By kind of label that `root` has: their layout, and the folder (or label file) they lie in.

    A folder named for a kind inside `root` serves that kind where `root` itself doesn't.
    """
    if root.is_file():
        layout = _BY_SUFFIX[root.suffix.lower()]
        kinds = {"coco": coco_files.kinds, "csv": table.kinds}.get(layout, lambda root: LAYOUTS[layout].kinds)
        return dict.fromkeys(kinds(root), (layout, root))
    found: dict[LabelKind, tuple[str, Path]] = {}
    here = [(kind, "voc") for kind in voc.kinds(root)] + [(kind, "coco") for kind in coco_files.kinds(root)]
    here += [(BOXES, "yolo")] if yolo.found(root) else []
    here += [(MASK, "masks")] if masks.found(root) else []
    for kind, layout in here:
        found.setdefault(kind, (layout, root))
    for kind in KINDS:
        inner = available(root / kind.subfolder) if (root / kind.subfolder).is_dir() else {}
        if kind in inner:
            found.setdefault(kind, inner[kind])
    if not found and folder.has_splits(root):
        found[CLASS] = ("folder", root)
    if table.understood(root) or (table.found(root) and not folder.found(root)):
        for kind in table.kinds(root):
            found.setdefault(kind, ("csv", root))
    if (not found and folder.found(root)) or (set(found) == {CLASS_SET} and folder.has_classes(root)):
        found[CLASS] = ("folder", root)
    return {kind: found[kind] for kind in KINDS if kind in found}


def detect(root: Path, kind: LabelKind | None = None) -> str:
    """The layout that serves `kind` (the first kind there is, where None); raises `UserError` where none does."""
    try:
        found = available(root)
    except OSError as error:
        raise UserError(f"{error.filename}: can't be opened: {error.strerror}") from error
    if kind is None and found:
        return next(iter(found.values()))[0]
    if kind is not None and (serving := _serving(found, kind)):
        return serving[0]
    if not found and (kind is None or kind in LAYOUTS["folder"].kinds):
        return "folder"  # its reader explains what is expected
    word = kind.subfolder if kind else ""
    if not found:
        raise UserError(f"{root}: no labels for {word} found: known are Pascal VOC, COCO, YOLO, and images with masks "
                        "beside them; data.layout=… chooses one")  # fmt: skip
    listed = " and ".join(f"{other.subfolder} ({layout})" for other, (layout, _) in found.items())
    raise UserError(f"{root}: no labels for {word} in it, only for {listed}: choose {_ways_on(found, kind)}, or other "
                    "data")  # fmt: skip


def _serving(found: dict[LabelKind, tuple[str, Path]], kind: LabelKind) -> tuple[str, Path] | None:
    """Return the layout and place that `kind` can be read from: its own, or that of the kind it is made of.

    Of a table its reader tells whether the cells are classes or lists of them.
    """
    own = next((found[one] for one in (kind, kind.made_from) if one in found), None)
    tables = (at for other, at in found.items() if other.form is kind.form is Form.ROW and at[0] == "csv")
    return own or next(tables, None)


def _ways_on(found: dict[LabelKind, tuple[str, Path]], kind: LabelKind | None) -> str:
    """Return what to choose for the labels that there are: another task for the same network, or another network."""
    of_images = [one for one in KINDS if kind is not None and one.form is kind.form is Form.ROW and one != kind]
    ways = [f"task={one.subfolder}" for one in of_images if _serving(found, one)]
    if any(one not in of_images for one in found):
        ways.append("a model for that")
    return ", ".join(ways)


def read(root: Path, layout: str | None, kind: LabelKind, config: DataConfig) -> Collection:
    """The samples of `root` with their labels of this `kind`, and what is wrong with them; nothing is decoded.

    A `layout` of None is found out. Raises `UserError` for what can't be understood as a whole.
    """
    if layout is None:
        layout = detect(root, kind)
    if layout not in LAYOUTS:
        raise UserError(f"data.layout={layout} is unknown: known are {', '.join(LAYOUTS)}, or null (found out)")
    served = LAYOUTS[layout].kinds
    source = kind if kind in served else kind.made_from
    if source is None or source not in served:
        words = " and ".join(one.subfolder for one in served)
        raise UserError(f"data.layout={layout} has labels for {words}, not for {kind.subfolder}")
    try:
        found = _serving(available(root), kind) or (layout, root)
        collection = LAYOUTS[layout].read(found[1] if found[0] == layout else root, source, config)
    except OSError as error:
        raise UserError(f"{error.filename}: can't be opened: {error.strerror}") from error
    settle_splits(collection)
    collection.parts = _renamed(collection)
    return collection if source == kind else made_into(collection, kind)


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
