"""The result of reading a collection: samples with their labels as written, and findings."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cvlib.data import images
from cvlib.data.findings import ERROR, WARNING, Finding
from cvlib.data.labels import CLASS, LabelKind
from cvlib.data.labels.mask import Mask
from cvlib.data.labels.raw_boxes import RawBoxes
from cvlib.runtime.errors import UserError

_OTHER_TABLES = (".mat", ".xlsx", ".xls", ".ods", ".json", ".txt", ".pkl")

# The types of raw labels of the kinds CLASS | CLASS_SET | BOXES | MASK.
Label = int | frozenset[int] | RawBoxes | Mask


@dataclass(frozen=True, slots=True)
class Sample:
    """One image and its label."""

    name: str  # unique in the collection: the image's path relative to the root, in composed Unicode
    image: Path
    label: Label
    label_file: Path | None = None  # the source of the label, unless it is the image's folder
    group: str | None = None  # samples of one group stay in one split


@dataclass
class Collection:
    """A collection as read. `splits` already excludes the samples and individual boxes that have an error finding."""

    root: Path
    layout: str
    kind: LabelKind
    classes: list[str]
    splits: dict[str, list[Sample]]  # "train", and also "val" and "test" if the collection defines them
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    colours: np.ndarray | None = None  # uint8 (classes, 3): the mask colours of this collection
    read_as: str = ""  # why the layout was chosen, as a line for the user
    without_labels: list[Path] = field(default_factory=list)  # unlabelled folders and files, set aside

    def blame(
        self, severity: str, kind: str, path: Path | str, message: str, advice: str = "", place: str = ""
    ) -> None:
        """Add a finding; a `path` below the root is shown relative to it."""
        shown = name_of(path, self.root) if isinstance(path, Path) else path
        self.findings.append(Finding(severity, kind, shown, text_of(message), advice, place))


def made_into(collection: Collection, kind: LabelKind) -> Collection:
    """Return the collection with labels of another kind, made from its own labels."""
    splits = {split: [replace(sample, label=kind.made_of(sample.label)) for sample in samples]
             for split, samples in collection.splits.items()}  # fmt: skip
    return replace(collection, kind=kind, splits=splits)


def text_of(name: str) -> str:
    """Return the name in composed Unicode: the same on every system, and encodable as UTF-8."""
    try:
        readable = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # lone surrogates, possible in JSON but not in file names
        readable = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return unicodedata.normalize("NFC", readable)


def name_of(file: Path, root: Path) -> str:
    """Return the path of `file` relative to `root`, with slashes, in composed Unicode."""
    inside = file.is_relative_to(root)
    return text_of(file.relative_to(root).as_posix() if inside else file.as_posix())


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in `folder`, sorted, without hidden ones."""
    hidden = (".", "__MACOSX")
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(hidden))


def files_below(folder: Path) -> Iterator[Path]:
    """Yield all files below `folder`. Follow links, except in cycles, and skip hidden folders."""

    def refuse(error: OSError) -> None:
        raise error

    # A link to a parent folder would lead to the files of other classes.
    seen = {str(above) for above in Path(os.path.realpath(folder)).parents}
    for place, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        seen.add(os.path.realpath(place))
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX"))
                            and os.path.realpath(Path(place, name)) not in seen)  # fmt: skip
        yield from (Path(place, name) for name in sorted(files))


def image_files(folder: Path) -> list[Path]:
    """Return the images below `folder`, judging by name or, for an unknown extension, by content."""
    return [file for file in files_below(folder) if images.looks_like_image(file)]


def inside(root: Path, written: str, *bases: Path) -> Path | None:
    """Return the existing file that a path in an annotation refers to, searching below each of `bases`.

    Returns None if there is no such file. Raises `ValueError` for a path outside `root`.
    """
    relative = Path(written.replace("\\", "/")) if "\\" in written else Path(written)
    if relative.is_absolute() or ".." in relative.parts or relative.drive:
        normal = Path(os.path.normpath(relative if relative.is_absolute() else root / relative))
        if normal.is_relative_to(real := root.resolve()):  # the root is a link, or is below one
            normal = root / normal.relative_to(real)
        if not normal.is_relative_to(root):
            raise ValueError(f"the path {written!r} points outside the collection")
        return normal if _is_file(normal) else None
    spelled = dict.fromkeys([str(relative), *(unicodedata.normalize(form, str(relative)) for form in ("NFC", "NFD"))])
    return next((base / name for base in bases or (root,) for name in spelled if _is_file(base / name)), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # the name is too long
        return False


def by_stem(collection: Collection, files: list[Path], folder: Path) -> dict[str, Path]:
    """Return the files by their path below `folder` without extension; if two paths are equal, keep the first."""
    found: dict[str, Path] = {}
    for file in files:
        first = found.setdefault(name_of(file.with_suffix(""), folder), file)
        if first != file:
            collection.blame(WARNING, "same stem", file, f"it differs from {first.name} in the extension only: left "
                             "out", "rename one of them")  # fmt: skip
    return dict(sorted(found.items()))


def settle_splits(collection: Collection) -> None:
    """Keep a sample that is in several splits only once: in test, otherwise in val.

    Report it as an error, because a leak biases the results.
    """
    assigned: dict[str, str] = {}
    listed = Counter(sample.label_file for samples in collection.splits.values() for sample in samples)
    for split in ("test", "val", "train"):
        kept = []
        for sample in collection.splits.get(split, []):
            if sample.name in assigned and assigned[sample.name] != split:
                listing = sample.label_file if listed[sample.label_file] > 1 else None
                collection.blame(ERROR, "in two splits", listing or sample.name, f"{sample.name} is in {split} and in "
                                 f"{assigned[sample.name]}", "remove it from one of them")  # fmt: skip
            else:
                assigned[sample.name] = split
                kept.append(sample)
        if split in collection.splits:
            collection.splits[split] = kept


def require_training(collection: Collection) -> None:
    """Raise `UserError` if there is no training sample, or only one class."""
    root, classes = collection.root, collection.classes
    if not collection.splits.get("train"):
        other_splits = " and ".join(split for split, samples in collection.splits.items() if samples)
        if not other_splits:
            return  # the check of all samples reports why none is left
        raise UserError(f"{root}: no training samples, only {other_splits}: add a train folder or list")
    if collection.kind == CLASS and len(classes) == 1:
        raise UserError(f"{root}: only one class ({classes[0]}), expected at least two: make a folder for each class, "
                        f"or a labels.csv with the columns file and label{unread_labels(root)}")  # fmt: skip


def unread_labels(*folders: Path) -> str:
    """Return, in parentheses, files that may hold labels in a form that isn't read; empty if there are none."""
    found = [entry.name for folder in folders for entry in sorted(folder.iterdir())
             if entry.suffix.lower() in _OTHER_TABLES and not entry.name.lower().startswith("readme")]  # fmt: skip
    return f" ({', '.join(found[:3])} can't be read as labels)" if found else ""
