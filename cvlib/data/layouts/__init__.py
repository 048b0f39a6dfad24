"""Collections of the user's: which layout they have, and the reader of each.

A layout is one module: `signs(survey)` says how sure it is that the files are its own, and why; `read(root, kind,
config) -> Collection` reads them. It opens label files only, decodes no image, and leaves out of the samples what an
error finding blames. What needs the image's size is left to the kind's `settle`.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cvlib.config.schema import DataConfig
from cvlib.data.findings import WARNING
from cvlib.data.labels import BOXES, CLASS, CLASS_SET, KINDS, MASK, Form, LabelKind
from cvlib.data.layouts import archives, coco, doubts, evidence, folder, foreign, masks, parquet, rest, table, voc, yolo
from cvlib.data.layouts.collection import Collection, Sample, made_into, require_training, settle_splits
from cvlib.data.layouts.evidence import Evidence
from cvlib.data.layouts.survey import Survey
from cvlib.runtime.errors import UserError

__all__ = ["LAYOUTS", "Collection", "Layout", "available", "detect", "place", "read", "table_of"]


@dataclass(frozen=True)
class Layout:
    """A way that files can lie: its reader, the kinds of labels that it can have, and what its files look like."""

    read: Callable[[Path, LabelKind, DataConfig], Collection]
    kinds: tuple[LabelKind, ...]
    signs: Callable[[Survey], list[Evidence]]


LAYOUTS: dict[str, Layout] = {
    "folder": Layout(folder.read, (CLASS,), folder.signs),
    "csv": Layout(table.read, (CLASS, CLASS_SET, BOXES), table.signs),
    "voc": Layout(voc.read, (BOXES, MASK), voc.signs),
    "coco": Layout(coco.read, (BOXES, MASK, CLASS_SET), coco.signs),
    "yolo": Layout(yolo.read, (BOXES, MASK), yolo.signs),
    "masks": Layout(masks.read, (MASK,), masks.signs),
}
_BY_SUFFIX = {".json": "coco", ".csv": "csv", ".tsv": "csv", ".yaml": "yolo", ".yml": "yolo", ".data": "yolo"}
_WORDS = {CLASS: "classes of images", CLASS_SET: "sets of classes", BOXES: "detection", MASK: "segmentation"}
_FOR = {CLASS: "a classifier", CLASS_SET: "task=multilabel", BOXES: "a detector (model=yolo)",
        MASK: "a segmenter (model=segmenter)"}  # fmt: skip


def place(path: str) -> Path:
    """The absolute path of a collection: a folder, or one label file. Raises `UserError` where there is none.

    The images of an archive or of Parquet files are written into the cache first.
    """
    root = Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100  # without its .., but with its links
    spelled = [root, *(Path(unicodedata.normalize(form, str(root))) for form in ("NFC", "NFD"))]
    found = next((candidate for candidate in spelled if candidate.exists()), None)
    if found is not None and archives.is_archive(found):
        found = archives.unpacked(found)
    if found is not None and (files := parquet.files_of(found)):
        return parquet.unpacked(found, files)
    if found is None or not (found.is_dir() or found.suffix.lower() in _BY_SUFFIX):
        raise UserError(f"data.path={path}: there is no folder {root}")
    return found


def table_of(root: Path) -> list[Evidence]:
    """What every layout has to say of `root`: how sure it is, and why, the surest first.

    A folder named for a kind inside `root` serves that kind where `root` itself doesn't.
    """
    if root.is_file():
        return _table_of_file(root)
    survey = Survey(root)
    found = [one for layout in LAYOUTS.values() for one in layout.signs(survey)] + foreign.signs(survey)
    for kind in KINDS:
        inner = table_of(root / kind.subfolder) if (root / kind.subfolder).is_dir() else []
        own = evidence.best([one for one in found if one.layout != "folder"], kind)
        best = evidence.best(inner, kind)
        if best is not None and (own is None or own.sure < evidence.POSSIBLE or own.refusal):
            found.append(replace(best, sure=max(best.sure, 0.9)))
    taken = any((one.exclusive and one.kind != CLASS and one.sure >= evidence.POSSIBLE and not one.refusal)
                or one.root != root for one in found)  # fmt: skip
    if taken:
        found = [one for one in found if one.layout != "folder" or one.root != root]
    return sorted(found, key=lambda one: -one.sure)


def _table_of_file(file: Path) -> list[Evidence]:
    layout = _BY_SUFFIX[file.suffix.lower()]
    if layout == "csv":
        signs = table.signs(Survey(file))
        return signs or [Evidence("csv", CLASS, file, evidence.WEAK, file.name, table.TITLE)]
    if layout == "yolo":
        signs = [replace(one, root=file) for one in yolo.signs(Survey(file.parent))]
        return signs or [Evidence("yolo", BOXES, file, evidence.WEAK, file.name, yolo.TITLE)]
    signs = coco.signs(Survey(file))
    other = [replace(one, root=file) for one in foreign.signs(Survey(file.parent)) if file.name in one.refusal]
    return other or signs or [Evidence("coco", BOXES, file, evidence.WEAK, file.name, coco.TITLE)]


def available(root: Path) -> dict[LabelKind, tuple[str, Path]]:
    """By kind of label that `root` has: the layout that explains it best, and the folder (or file) it lies in."""
    found = table_of(root)
    best = {kind: evidence.best(found, kind) for kind in KINDS}
    return {kind: (one.layout, one.root) for kind, one in best.items() if one is not None and not one.refusal}


def detect(root: Path, kind: LabelKind | None = None) -> str:
    """The layout that serves `kind` (the first kind there is, where None); raises `UserError` where none does."""
    if kind is None:
        found = available(root)
        kind = next(iter(found), CLASS)
    return _winner(root, kind, _seen(root)).layout


def _seen(root: Path) -> list[Evidence]:
    """The table, with files that can't be opened as the user's mistake."""
    try:
        return table_of(root)
    except OSError as error:
        raise UserError(f"{error.filename}: can't be opened: {error.strerror}") from error


def _winner(root: Path, kind: LabelKind, found: list[Evidence]) -> Evidence:
    """The surest evidence for a kind of label; raises `UserError`, with the way on, where there is none."""
    best = _serving(found, kind)
    if best is not None and not best.refusal:
        return best
    if best is not None:
        raise UserError(f"{root}: {best.refusal}")
    others = [one for one in found if one.kind != kind and (one.sure > evidence.WEAK or one.kind != CLASS)]
    if not others and kind == CLASS:
        return Evidence("folder", CLASS, root, 0.0, "", folder.TITLE)  # its reader explains what is expected
    word = kind.subfolder
    if not others:
        raise UserError(f"{root}: no labels for {word} found: {_known(kind)}; data.layout=… chooses one")
    if refused := [one for one in others if one.refusal]:
        raise UserError(f"{root}: no labels for {word} in it: {refused[0].refusal}")
    chosen = {one.kind: one for one in reversed(others)}
    listed = " and ".join(f"{_WORDS[other]} ({chosen[other].layout})" for other in KINDS if other in chosen)
    ways = _other_tasks(found, kind)
    if models := [_FOR[one] for one in KINDS if one in chosen and not (one.form is kind.form is Form.ROW)]:
        ways.append(f"a model for that, {' or '.join(models)}")
    why = "; ".join(chosen[other].why for other in KINDS if other in chosen)
    raise UserError(f"{root}: no labels for {word} in it, only for {listed}: choose {', '.join(ways)}, or "
                    f"other data ({why}); {_known(kind)}")  # fmt: skip


def _serving(found: list[Evidence], kind: LabelKind) -> Evidence | None:
    """The surest evidence that `kind` can be read from: of its own, or of the kind that it is made of.

    Of a table its reader tells whether the cells are classes or lists of them.
    """
    own = evidence.best(found, kind) or (evidence.best(found, kind.made_from) if kind.made_from else None)
    tables = (one for one in found if one.layout == "csv" and one.kind.form is kind.form is Form.ROW)
    return own or next(tables, None)


def _other_tasks(found: list[Evidence], kind: LabelKind) -> list[str]:
    """The overrides that let the same network learn the labels that there are, such as `task=multilabel`."""
    others = [one for one in KINDS if one.form is kind.form is Form.ROW and one != kind]
    return [f"task={one.subfolder}" for one in others if _serving(found, one)]


def _known(kind: LabelKind) -> str:
    if kind == CLASS:
        return "known are a folder for each class, and a CSV of file and label"
    if kind == CLASS_SET:
        return "known are a CSV of file and labels, COCO, and boxes, whose classes count"
    if kind == MASK:
        return "known are Pascal VOC, COCO, YOLO, and masks named as their images: call the folders images and masks"
    return "known are Pascal VOC, COCO, YOLO, and a CSV of boxes"


def read(root: Path, layout: str | None, kind: LabelKind, config: DataConfig, training: bool = True) -> Collection:
    """The samples of `root` with their labels of this `kind`, and what is wrong with them; nothing is decoded.

    A `layout` of None is detected. Raises `UserError` for what can't be understood as a whole and, for `training`,
    where there is nothing to train on.
    """
    if layout is not None and layout not in LAYOUTS:
        raise UserError(f"data.layout={layout} is unknown: known are {', '.join(LAYOUTS)}, or null (detected)")
    if layout is not None and _source(layout, kind) is None:
        words = " and ".join(one.subfolder for one in LAYOUTS[layout].kinds)
        raise UserError(f"data.layout={layout} has labels for {words}, not for {kind.subfolder}")
    found = _seen(root)
    chosen = _winner(root, kind, found) if layout is None else _given(root, layout, kind, found)
    source = _source(chosen.layout, kind) or chosen.kind
    try:
        collection = LAYOUTS[chosen.layout].read(chosen.root, source, config)
    except OSError as error:
        raise UserError(f"{error.filename}: can't be opened: {error.strerror}") from error
    if chosen.why and layout is None:
        collection.read_as = chosen.sentence
        _tell_of_ties(collection, chosen, found)
    if chosen.root.is_dir():
        others = any(one.kind != kind and one.sure > evidence.POSSIBLE and not one.refusal for one in found)
        rest.tell(collection, others)
    settle_splits(collection)
    if training:
        require_training(collection)
    collection.splits = _renamed(collection)
    if training and config.group is None:
        doubts.tell_of_groups(collection)
    return collection if source == kind else made_into(collection, kind)


def _source(layout: str, kind: LabelKind) -> LabelKind | None:
    """The kind of label that a layout is read for: `kind` itself, or the one that it is made of."""
    return next((one for one in (kind, kind.made_from) if one in LAYOUTS[layout].kinds), None)


def _given(root: Path, layout: str, kind: LabelKind, found: list[Evidence]) -> Evidence:
    """The evidence for a layout that the user has named; the root itself where there is none."""
    fit = [one for one in found if one.layout == layout and one.kind == _source(layout, kind) and not one.refusal]
    return fit[0] if fit else Evidence(layout, kind, root, 0.0, "", layout)


def _tell_of_ties(collection: Collection, chosen: Evidence, found: list[Evidence]) -> None:
    for other in evidence.near_ties(found, chosen):
        if other.root == chosen.root and not other.refusal:
            message = f"{chosen.sentence}; it could also be {other.title}: {other.why}"
            collection.blame(WARNING, "near tie", ".", message, f"data.layout={other.layout} reads it so")


def _renamed(collection: Collection) -> dict[str, list[Sample]]:
    """Two files whose names differ in Unicode composition alone are told apart by a number."""
    count: dict[str, int] = {}
    splits = {}
    for split in sorted(collection.splits, key=("train", "val", "test").index):
        samples = []
        for sample in collection.splits[split]:
            count[sample.name] = count.get(sample.name, 0) + 1
            number = count[sample.name]
            samples.append(sample if number == 1 else replace(sample, name=f"{sample.name}#{number}"))
        splits[split] = samples
    return splits
