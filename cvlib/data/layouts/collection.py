"""What a reader makes of a collection's files: samples with their labels as they are written, and what is wrong."""

from __future__ import annotations

import os
import unicodedata
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

# As the collection's kind of label is written: CLASS | CLASS_SET | BOXES | MASK.
Label = int | frozenset[int] | RawBoxes | Mask


@dataclass(frozen=True)
class Sample:
    """One image and its label."""

    name: str  # unique in the collection: the image's path relative to the root, in composed Unicode
    image: Path
    label: Label
    label_file: Path | None = None  # what the label was read from, where that isn't the image's folder
    group: str | None = None  # samples of one group stay in one split


@dataclass
class Collection:
    """What was read. What an error finding blames is left out of `splits` already (a sample, or one box of it)."""

    root: Path
    layout: str
    kind: LabelKind
    classes: list[str]
    splits: dict[str, list[Sample]]  # "train" always; "val" and "test" where the collection has them itself
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    colours: np.ndarray | None = None  # uint8 (classes, 3): the collection's own colours of its masks
    read_as: str = ""  # the evidence that the layout was chosen by, as a line for people
    without_labels: list[Path] = field(default_factory=list)  # folders and files known to have none, set aside

    def blame(
        self, severity: str, kind: str, path: Path | str, message: str, advice: str = "", place: str = ""
    ) -> None:
        """Add a finding; a `path` below the root is told relative to it."""
        shown = name_of(path, self.root) if isinstance(path, Path) else path
        self.findings.append(Finding(severity, kind, shown, text_of(message), advice, place))


def made_into(collection: Collection, kind: LabelKind) -> Collection:
    """Return the collection with labels of another kind, which is made of its own."""
    splits = {split: [replace(sample, label=kind.made_of(sample.label)) for sample in samples]
             for split, samples in collection.splits.items()}  # fmt: skip
    return replace(collection, kind=kind, splits=splits)


def text_of(name: str) -> str:
    """The name in composed Unicode, as it reads on every system, and fit to be written as UTF-8."""
    try:
        readable = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # halves of characters, which JSON can hold and no file system makes
        readable = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return unicodedata.normalize("NFC", readable)


def name_of(file: Path, root: Path) -> str:
    """The path of `file` relative to `root`, with slashes, in composed Unicode."""
    inside = file.is_relative_to(root)
    return text_of(file.relative_to(root).as_posix() if inside else file.as_posix())


def subfolders(folder: Path) -> list[Path]:
    """The folders in `folder`, sorted, hidden ones left out."""
    hidden = (".", "__MACOSX")
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(hidden))


def files_below(folder: Path) -> Iterator[Path]:
    """All files below `folder`, links followed (but not in circles), hidden folders left out."""

    def refuse(error: OSError) -> None:
        raise error

    seen = {str(above) for above in Path(os.path.realpath(folder)).parents}  # a link up leads into other classes
    for place, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        seen.add(os.path.realpath(place))
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX"))
                            and os.path.realpath(Path(place, name)) not in seen)  # fmt: skip
        yield from (Path(place, name) for name in sorted(files))


def image_files(folder: Path) -> list[Path]:
    """The images below `folder`, by name or, where the name doesn't say, by content."""
    return [file for file in files_below(folder) if images.looks_like_image(file)]


def inside(root: Path, written: str, *bases: Path) -> Path | None:
    """The existing file that a path written in an annotation means, looked for below each of `bases`.

    None where there is none. Raises `ValueError` for a path that leaves `root`.
    """
    relative = Path(written.replace("\\", "/")) if "\\" in written else Path(written)
    if relative.is_absolute() or ".." in relative.parts or relative.drive:
        normal = Path(os.path.normpath(relative if relative.is_absolute() else root / relative))
        if normal.is_relative_to(real := root.resolve()):  # the root is a link, or lies below one
            normal = root / normal.relative_to(real)
        if not normal.is_relative_to(root):
            raise ValueError(f"the path {written!r} leads out of the collection")
        return normal if _is_file(normal) else None
    spelled = dict.fromkeys([str(relative), *(unicodedata.normalize(form, str(relative)) for form in ("NFC", "NFD"))])
    return next((base / name for base in bases or (root,) for name in spelled if _is_file(base / name)), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # longer than a name can be
        return False


def by_stem(collection: Collection, files: list[Path], folder: Path) -> dict[str, Path]:
    """The files by their path below `folder` without extension; of two that differ in it alone the first counts."""
    found: dict[str, Path] = {}
    for file in files:
        first = found.setdefault(name_of(file.with_suffix(""), folder), file)
        if first != file:
            collection.blame(WARNING, "same stem", file, f"{first.name} has the same name but for the extension: this "
                             "one is left out", "rename one of them")  # fmt: skip
    return dict(sorted(found.items()))


def settle_splits(collection: Collection) -> None:
    """A sample in two splits stays in the held-out one; it is an error, for a leak spoils the result."""
    held: dict[str, str] = {}
    for split in ("test", "val", "train"):
        kept = []
        for sample in collection.splits.get(split, []):
            if sample.name in held and held[sample.name] != split:
                listing = sample.label_file if collection.layout in ("csv", "coco") else None
                collection.blame(ERROR, "in two splits", listing or sample.name, f"{sample.name} is in {split} and in "
                                 f"{held[sample.name]}", "take it out of one of them")  # fmt: skip
            else:
                held[sample.name] = split
                kept.append(sample)
        if split in collection.splits:
            collection.splits[split] = kept


def require_training(collection: Collection) -> None:
    """Raise `UserError` where there is no training sample, or one class alone to tell apart."""
    root, classes = collection.root, collection.classes
    if not collection.splits.get("train"):
        there = " and ".join(split for split, samples in collection.splits.items() if samples)
        if not there:
            return  # why no sample is left is told when all are looked at
        raise UserError(f"{root}: no sample to train on, only {there}: add a train folder or list")
    if collection.kind == CLASS and len(classes) == 1:
        raise UserError(f"{root}: only one class ({classes[0]}), nothing to tell apart: add images of another class")
