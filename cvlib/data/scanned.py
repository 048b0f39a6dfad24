"""Read a collection and check all its files. The result, `Scanned`, is the same for every run on the same files."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from cvlib.config.schema import DataConfig
from cvlib.data import grouping, index, layouts, merging, photographs, preflight, splits
from cvlib.data.depth import Range
from cvlib.data.findings import ERROR, REMARK, WARNING, Finding
from cvlib.data.labels import LabelKind
from cvlib.data.layouts.collection import Collection
from cvlib.data.packed import Codec
from cvlib.data.split import Split
from cvlib.runtime.errors import UserError

_SHOWN = 3  # maximum number of findings listed in a message
# The fields of `Scanned` that the index stores as they are. It stores `splits` as arrays.
_JSON_FIELDS = ("layout", "read_as", "classes", "size", "channels", "span", "deep", "compared", "notes", "skipped")


@dataclass(frozen=True)
class Scanned:
    """The usable samples of a collection by split, and properties of the whole collection."""

    layout: str
    read_as: str  # one-line reason why this layout was chosen
    classes: list[str]
    splits: dict[str, Split]  # the collection's own splits; if it has none, all samples are in "train"
    size: tuple[int, int]  # median height and width
    channels: int
    span: Range | None  # joint range of the training images, if all images have more than 8 bits
    deep: int  # number of images with more than 8 bits
    compared: bool  # whether images that look the same were put into one group
    notes: list[str]
    skipped: list[str]  # items with errors that data.on_error=skip left out
    colours: np.ndarray | None = None  # uint8 (classes, 3): mask colours that the collection defines


def scanned(config: DataConfig, kind: LabelKind, training: bool = True) -> Scanned:
    """Read the collection of `config` and check every file, or load the index that an earlier run saved.

    `training` tells whether the collection must have training samples. Raises `UserError` for a collection that can't
    be read, and for errors in files or labels unless `data.on_error` is skip.
    """
    key = index.key(config, kind, training)
    if key is not None and config.verify == "quick":
        try:
            known = index.load(key.file, kind)
        except ValueError as error:
            known = None
            print(f"the index of {key.folder} can't be read ({error}): all files are checked again", file=sys.stderr)
        if known is not None:
            return _as_scanned(known)
    collection = read_collection(config, kind, training)
    seen, codec = _scan(collection, config, training)
    if key is not None and _is_covered(collection, key):
        about = {name: getattr(seen, name) for name in _JSON_FIELDS}
        about["colours"] = None if seen.colours is None else seen.colours.tolist()
        try:
            index.save(key.file, index.Found(seen.splits, codec, about))
        except OSError as error:
            print(f"the index of {key.folder} can't be written ({error}): the next run checks all files again",
                  file=sys.stderr)  # fmt: skip
    return seen


def _as_scanned(known: index.Found) -> Scanned:
    about = known.about | {name: known.about[name] and tuple(known.about[name]) for name in ("size", "span")}
    colours = about.pop("colours")
    return Scanned(splits=known.splits, colours=None if colours is None else np.array(colours, np.uint8), **about)


def _is_covered(collection: Collection, key: index.Key) -> bool:
    """Return whether the key covers the image and the label of every sample: an annotation can name any file."""
    for sample in (sample for samples in collection.splits.values() for sample in samples):
        files = [sample.image, *([sample.label_file] if sample.label_file else []), *getattr(sample.label, "paths", ())]
        if not all(index.covers(key, file) for file in files):
            return False
    return True


def _scan(collection: Collection, config: DataConfig, training: bool) -> tuple[Scanned, Codec[Any] | None]:
    collection.kind.check_classes(collection.root, collection.classes)
    if config.classes is not None:
        _narrow(collection, config)
    if config.group is not None:
        grouping.assign(collection, config.group)
    own = {split for split, samples in collection.splits.items() if samples}
    compared = config.folds is not None or (training and not {"val", "test"} <= own)
    scan = preflight.scan_collection(collection, compare=compared)
    findings = collection.findings + scan.findings
    skipped = _stop_or_skip(collection, findings, config)
    notes = collection.notes + _notes(findings)
    if skipped:
        items = "1 item" if len(skipped) == 1 else f"{len(skipped)} items"
        notes.append(f"data.on_error=skip: {items} left out because of errors: {_some(skipped)}")
    seen = Scanned(
        collection.layout, collection.read_as, collection.classes, scan.splits, scan.size, scan.channels, scan.span,
        scan.deep, compared, notes, skipped, collection.colours,
    )  # fmt: skip
    return seen, scan.codec


def read_collection(config: DataConfig, kind: LabelKind, training: bool = True) -> Collection:
    """Read the user's collection, one of the included photograph sets, or a dataset of TensorFlow Datasets.

    `training` tells whether the collection must have training samples, as in `layouts.read`.
    """
    included = photographs.folder(config.name)
    if included is not None:
        return layouts.read(included, config.layout, kind, config)
    if config.path is None:
        from cvlib.data.layouts import tfds

        return tfds.read(str(config.tfds), kind)
    return layouts.read(layouts.place(config.path), config.layout, kind, config, training)


def _narrow(collection: Collection, config: DataConfig) -> None:
    """Drop samples without any selected class before their files are read, so that they need not be readable."""
    kind, chosen, merge = collection.kind, config.classes or [], config.merge or {}
    classes = merging.merged_names(collection.classes, merge)
    splits.check_chosen(list(dict.fromkeys(classes)), chosen, kind.fewest_chosen)
    wanted = {label for label, name in enumerate(classes) if name in chosen}
    for split, samples in collection.splits.items():
        collection.splits[split] = [sample for sample in samples if not kind.is_left_out(sample.label, wanted)]


def _stop_or_skip(collection: Collection, findings: list[Finding], config: DataConfig) -> list[str]:
    """Return the items with errors, without duplicates; raises `UserError` instead if data.on_error=stop."""
    errors = [finding for finding in findings if finding.severity == ERROR]
    if errors and config.on_error == "stop":
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        listed = " · ".join(str(finding) for finding in errors[:_SHOWN])
        more = " · …" if len(errors) > _SHOWN else ""
        raise UserError(f"{collection.root}: {count} in the data: {listed}{more} (set data.on_error=skip to leave them "
                        f"out, or run `cvlib check` to list all)")  # fmt: skip
    return list(dict.fromkeys(f"{f.path}, {f.place}" if f.place else f.path for f in errors))


def _notes(findings: list[Finding]) -> list[str]:
    """Return one line for each kind of warning or remark."""
    by_kind: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.severity in (WARNING, REMARK):
            by_kind.setdefault(finding.kind, []).append(finding)
    return [str(several[0]) if len(several) == 1 else f"{len(several)} × {kind}, such as {several[0]}"
            for kind, several in by_kind.items()]  # fmt: skip


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
