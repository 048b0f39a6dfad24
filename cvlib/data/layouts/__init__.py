"""User collections: detect the layout of a collection, and read it.

Each layout is one module. `signs(survey)` returns evidence that a collection has this layout: a certainty and a
reason. `read(root, kind, config) -> Collection` reads it. A reader opens label files only and decodes no image. It
excludes the samples and individual boxes that have an error finding. Checks that need the image size are in the label
kind's `settle`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cvlib.config.schema import DataConfig
from cvlib.data import images
from cvlib.data.findings import WARNING
from cvlib.data.labels import BOXES, CLASS, CLASS_SET, KINDS, MASK, Form, LabelKind
from cvlib.data.layouts import (
    coco,
    createml,
    doubts,
    evidence,
    folder,
    foreign,
    masks,
    rest,
    table,
    text_lists,
    voc,
    yolo,
)
from cvlib.data.layouts.collection import Collection, Sample, made_into, require_training, settle_splits, subfolders
from cvlib.data.layouts.evidence import Evidence
from cvlib.data.layouts.location import BY_SUFFIX, place, without_advice
from cvlib.data.layouts.survey import Survey
from cvlib.runtime.errors import UserError

__all__ = ["LAYOUTS", "Collection", "Layout", "available", "detect", "place", "read", "table_of", "without_advice"]


@dataclass(frozen=True)
class Layout:
    """A layout: its reader, the kinds of labels that it provides, and the function that detects it."""

    read: Callable[[Path, LabelKind, DataConfig], Collection]
    kinds: tuple[LabelKind, ...]
    signs: Callable[[Survey], list[Evidence]]


LAYOUTS: dict[str, Layout] = {
    "folder": Layout(folder.read, (CLASS,), folder.signs),
    "csv": Layout(table.read, (CLASS, CLASS_SET, BOXES), table.signs),
    "voc": Layout(voc.read, (BOXES, MASK), voc.signs),
    "coco": Layout(coco.read, (BOXES, MASK, CLASS_SET), coco.signs),
    "createml": Layout(createml.read, (BOXES,), createml.signs),
    "yolo": Layout(yolo.read, (BOXES, MASK), yolo.signs),
    "masks": Layout(masks.read, (MASK,), masks.signs),
    "list": Layout(text_lists.read, (CLASS, BOXES), text_lists.signs),
}
_MAX_PLACES, _MAX_DEPTH = 20, 3  # of the folders to examine if the given one has no labels
_DESCRIPTIONS = {CLASS: "image classes", CLASS_SET: "sets of classes", BOXES: "detection", MASK: "segmentation"}
_CHOICES = {CLASS: "a classifier", CLASS_SET: "task=multilabel", BOXES: "a detector (model=yolo)",
            MASK: "a segmenter (model=segmenter)"}  # fmt: skip


def table_of(root: Path) -> list[Evidence]:
    """Return the evidence of every layout for `root`, the most certain first.

    A subfolder named after a kind of label is used for that kind if `root` itself doesn't provide it.
    """
    if root.is_file():
        return _table_of_file(root)
    survey = Survey(root)
    found = [item for layout in LAYOUTS.values() for item in layout.signs(survey)] + foreign.signs(survey)
    for kind in KINDS:
        inner = table_of(root / kind.subfolder) if (root / kind.subfolder).is_dir() else []
        own = evidence.best([item for item in found if item.layout != "folder"], kind)
        best = evidence.best(inner, kind)
        if best is not None and (own is None or own.certainty < evidence.POSSIBLE or own.refusal):
            found.append(replace(best, certainty=max(best.certainty, 0.9)))
    taken = any((item.exclusive and item.kind != CLASS and item.certainty >= evidence.POSSIBLE and not item.refusal)
                or item.root != root for item in found)  # fmt: skip
    if taken:  # class folders in splits are certain enough to stay beside boxes that are in a table, or apart from them
        boxes = {item.layout for item in found if item.exclusive and item.kind != CLASS}
        apart = not any(file.parent in survey.images_in for file in survey.by_suffix.get(".xml", []))
        stay = boxes == {"csv"} or (boxes == {"voc"} and apart)
        found = [item for item in found if item.layout != "folder" or item.root != root
                 or (stay and item.certainty > evidence.LIKELY)]  # fmt: skip
    return sorted(found, key=lambda item: -item.certainty)


def _table_of_file(file: Path) -> list[Evidence]:
    layout = BY_SUFFIX[file.suffix.lower()]
    if layout == "csv":
        signs = table.signs(Survey(file))
        if file.suffix.lower() not in (".csv", ".tsv") and not signs:
            unread = foreign.signs(Survey(file.parent))
            return [replace(item, root=file) for item in unread if file.name in item.refusal]
        return signs or [Evidence("csv", CLASS, file, evidence.WEAK, file.name, table.TITLE)]
    if layout == "list":
        return text_lists.signs(Survey(file)) or [Evidence("list", CLASS, file, evidence.WEAK, "", text_lists.TITLE)]
    if layout == "yolo":
        signs = [replace(item, root=file) for item in yolo.signs(Survey(file.parent))]
        return signs or [Evidence("yolo", BOXES, file, evidence.WEAK, file.name, yolo.TITLE)]
    survey = Survey(file)
    signs = createml.signs(survey) or table.signs(survey) or coco.signs(survey)
    other = [replace(item, root=file) for item in foreign.signs(Survey(file.parent)) if file.name in item.refusal]
    return other or signs or [Evidence("coco", BOXES, file, evidence.WEAK, file.name, coco.TITLE)]


def available(root: Path) -> dict[LabelKind, tuple[str, Path]]:
    """Return the best layout for each kind of label in `root`, and the folder (or file) to read it from."""
    found = table_of(root)
    best = {kind: evidence.best(found, kind) for kind in KINDS}
    return {kind: (item.layout, item.root) for kind, item in best.items() if item is not None and not item.refusal}


def detect(root: Path, kind: LabelKind | None = None) -> str:
    """Return the layout that provides `kind` (the first available kind if None). Raises `UserError` if none does."""
    if kind is None:
        found = available(root)
        kind = next(iter(found), CLASS)
    return _winner(root, kind, _checked_table(root)).layout


def _checked_table(root: Path) -> list[Evidence]:
    """Return `table_of(root)`; raise `UserError` if a file can't be opened."""
    try:
        return table_of(root)
    except OSError as error:
        raise UserError(f"{error.filename}: can't be opened: {error.strerror}") from error


def _winner(root: Path, kind: LabelKind, found: list[Evidence]) -> Evidence:
    """Return the most certain evidence for a kind of label. Raises `UserError`, with advice, if there is none."""
    best = _serving(found, kind)
    if best is not None and not best.refusal:
        named = next(
            (item for item in found if item.layout == "foreign" and evidence.best(found, item.kind) is item), None
        )
        if best.layout == "folder" and best.certainty <= evidence.WEAK and named is not None:
            raise UserError(f"{root}: no labels for {kind.subfolder}: {named.refusal}")
        return best
    if best is not None:
        raise UserError(f"{root}: {best.refusal}")
    others = [item for item in found if item.kind != kind and (item.certainty > evidence.WEAK or item.kind != CLASS)]
    if not others and kind == CLASS:
        return Evidence("folder", CLASS, root, 0.0, "", folder.TITLE)  # its reader explains what is expected
    word = kind.subfolder
    if all(item.layout == "folder" for item in others) and (unread := _only_unread(root)):
        raise UserError(f"{root}: no images found; {unread}")
    if not others:
        hint = _deeper(root, kind) or f"expected {_readable(kind)}; set data.layout to choose one"
        raise UserError(f"{root}: no labels for {word} found: {hint}")
    if refused := [item for item in others if item.refusal and evidence.best(found, item.kind) is item]:
        raise UserError(f"{root}: no labels for {word}: {refused[0].refusal}")
    chosen = {item.kind: item for item in reversed(others)}
    listed = " and ".join(f"{_DESCRIPTIONS[other]} ({chosen[other].layout}: {chosen[other].why})"
                          for other in KINDS if other in chosen)  # fmt: skip
    ways = _other_tasks(found, kind)
    ways += [_CHOICES[other] for other in KINDS if other in chosen and not (other.form is kind.form is Form.ROW)]
    raise UserError(f"{root}: no labels for {word}, only for {listed}: choose {', '.join(ways)}, or other data; "
                    f"labels for {word} can be {_readable(kind)}")  # fmt: skip


def _only_unread(root: Path) -> str:
    """Return one line on the files of unsupported image formats if a collection has no other images; else ""."""
    survey = Survey(root)
    return "" if survey.images else images.unread_in(survey.files)


def _deeper(root: Path, kind: LabelKind) -> str:
    """Return the question whether the user means a subfolder that has labels of this kind; empty if none has."""
    places = [root] if root.is_dir() else []
    for inner in places:
        if inner != root and (best := evidence.best(table_of(inner), kind)) is not None and not best.refusal:
            return f"did you mean data.path={inner} ({best.why})?"
        if len(places) < _MAX_PLACES and len(inner.parts) - len(root.parts) < _MAX_DEPTH:
            places += subfolders(inner)[: _MAX_PLACES - len(places)]
    return ""


def _serving(found: list[Evidence], kind: LabelKind) -> Evidence | None:
    """Return the most certain evidence for `kind` itself, or else for the kind that it is made from.

    The reader of a table decides whether its cells hold one class or a list of classes.
    """
    own = evidence.best(found, kind) or (evidence.best(found, kind.made_from) if kind.made_from else None)
    tables = (item for item in found if item.layout == "csv" and item.kind.form is kind.form is Form.ROW)
    return own or next(tables, None)


def _other_tasks(found: list[Evidence], kind: LabelKind) -> list[str]:
    """Return overrides such as `task=multilabel` with which the same network can learn the available labels."""
    others = [item for item in KINDS if item.form is kind.form is Form.ROW and item != kind]
    return [f"task={item.subfolder}" for item in others if _serving(found, item)]


def _readable(kind: LabelKind) -> str:
    if kind == CLASS:
        return "one folder per class, a CSV file with the columns file and label, or text files that list both"
    if kind == CLASS_SET:
        return "a CSV file with the columns file and labels, COCO, or boxes in any layout (only their classes are used)"
    if kind == MASK:
        return "Pascal VOC, COCO, YOLO, or folders named images and masks with the same file names in both"
    return "Pascal VOC, COCO, YOLO, CreateML, or a CSV file of boxes"


def read(root: Path, layout: str | None, kind: LabelKind, config: DataConfig, training: bool = True) -> Collection:
    """Read the samples of `root` with their labels of this `kind`, and the findings; decode no image.

    If `layout` is None, it is detected. Raises `UserError` if the collection as a whole can't be read or, for
    `training`, if there is nothing to train on.
    """
    if layout is not None and layout not in LAYOUTS:
        raise UserError(f"invalid data.layout={layout}: expected one of {', '.join(LAYOUTS)}, or null to detect it")
    if layout is not None and _source(layout, kind) is None:
        words = " and ".join(item.subfolder for item in LAYOUTS[layout].kinds)
        raise UserError(f"data.layout={layout} has labels for {words}, not for {kind.subfolder}")
    found = _checked_table(root)
    chosen = _winner(root, kind, found) if layout is None else _chosen_by_user(root, layout, kind, found)
    source = _source(chosen.layout, kind) or chosen.kind
    try:
        collection = LAYOUTS[chosen.layout].read(chosen.root, source, config)
    except OSError as error:
        raise UserError(f"{error.filename}: can't be opened: {error.strerror}") from error
    if chosen.why and layout is None:
        collection.read_as = chosen.sentence
        _warn_of_near_ties(collection, chosen, found)
    if chosen.root.is_dir():
        has_other_labels = any(
            item.kind != kind and item.certainty > evidence.POSSIBLE and not item.refusal for item in found
        )
        rest.report(collection, has_other_labels)
    settle_splits(collection)
    if training:
        require_training(collection)
    collection.splits = _with_unique_names(collection)
    if training and config.group is None:
        doubts.report_groups(collection)
    return collection if source == kind else made_into(collection, kind)


def _source(layout: str, kind: LabelKind) -> LabelKind | None:
    """Return the kind of label to read from a layout: `kind` itself, or the kind that it is made from."""
    return next((item for item in (kind, kind.made_from) if item in LAYOUTS[layout].kinds), None)


def _chosen_by_user(root: Path, layout: str, kind: LabelKind, found: list[Evidence]) -> Evidence:
    """Return the evidence for the layout that the user chose; without any, the layout is read from the root."""
    fit = [item for item in found if item.layout == layout and item.kind == _source(layout, kind) and not item.refusal]
    return fit[0] if fit else Evidence(layout, kind, root, 0.0, "", layout)


def _warn_of_near_ties(collection: Collection, chosen: Evidence, found: list[Evidence]) -> None:
    for other in evidence.near_ties(found, chosen):
        if other.root == chosen.root and not other.refusal:
            message = f"{chosen.sentence}; it could also be {other.title}: {other.why}"
            collection.blame(WARNING, "near tie", ".", message, f"set data.layout={other.layout} to read it that way")


def _with_unique_names(collection: Collection) -> dict[str, list[Sample]]:
    """Append a number to repeated names: file names that differ only in Unicode composition give equal names."""
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
