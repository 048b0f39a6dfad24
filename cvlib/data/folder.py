"""A collection of the user's: a folder per class, with or without train, val and test folders above them."""

from __future__ import annotations

import hashlib
import os
import sys
import time
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cvlib.config import DataConfig
from cvlib.data import images
from cvlib.data.dataset import Split
from cvlib.data.splits import hold_out
from cvlib.errors import UserError

PART_NAMES = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
}  # fmt: skip

Classes = dict[str, list[Path]]  # a class's image files by its name
Look = tuple[str, tuple[int, int], bool] | UserError  # digest, (height, width), grey?; or what is wrong


def read(config: DataConfig) -> tuple[list[str], list[Split], list[str]]:
    """Classes (sorted as text), [train, val, test] and notes of the images below `config.path`.

    Missing val and test folders are made up for out of train. Nothing is decoded yet. Raises `UserError` for a
    folder that isn't there, holds no images or one class only, or has a class that train lacks.
    """
    if config.layout not in (None, "folder"):
        raise UserError(f"data.layout={config.layout} can't be: folder (a folder per class) or null (found out)")
    root = Path(config.path or "").expanduser().absolute()
    if not root.is_dir():
        raise UserError(f"data.path={config.path}: there is no folder {root}")
    notes: list[str] = []
    try:
        found = _find(root, notes)
    except OSError as error:
        raise UserError(f"{error.filename}: can't be opened: {error.strerror}") from error
    classes = sorted(name for name, files in found["train"].items() if files)
    _check(root, found, classes, notes)
    given = {part: _split(root, classes, by_class) for part, by_class in found.items()}
    parts = hold_out(given.pop("train"), given, config)
    for part, share in (("val", config.val_fraction), ("test", config.test_fraction)):
        if part not in given:
            notes.append(f"no {part} folder: {100 * share:.3g} % of the training images taken, stratified by class")
    return classes, _renamed(parts), notes


def _find(root: Path, notes: list[str]) -> dict[str, Classes]:
    """Each part's image files by class; "train" always, "val" and "test" where they have any."""
    folders = _part_folders(root, notes)
    skipped: list[Path] = []
    found = {part: _class_files(folder, root, skipped, notes) for part, folder in folders.items()}
    if skipped:
        names = "1 file that is no image" if len(skipped) == 1 else f"{len(skipped)} files that are no images"
        notes.append(f"{names} by name left out, such as {_name(skipped[0], root)}")
    return {part: by_class for part, by_class in found.items() if part == "train" or any(by_class.values())}


def _part_folders(root: Path, notes: list[str]) -> dict[str, Path]:
    """The folder of each part; only {"train": root} where the classes lie in `root` itself."""
    folders = _subfolders(root)
    parts: dict[str, Path] = {}
    others = [folder for folder in folders if folder.name.lower() not in PART_NAMES]
    for folder in folders:
        part = PART_NAMES.get(folder.name.lower())
        if part is not None and part in parts and not others:
            raise UserError(f"{root}: {parts[part].name} and {folder.name} both mean {part}: keep one of them")
        if part is not None:
            parts.setdefault(part, folder)
    # A train folder with pictures of trains lies beside other classes, and has no classes inside.
    with_classes = "train" in parts and bool(_subfolders(parts["train"]))
    if with_classes and (len(parts) > 1 or not others):
        for folder in others:
            notes.append(f"{folder.name} beside the train folder is left out: it is neither train, val nor test")
        return parts
    if parts and not others:
        lacking = "train has no class folders in it" if "train" in parts else "there is no train folder"
        raise UserError(f"{root}: {', '.join(folder.name for folder in folders)} look like splits, but {lacking}")
    for folder in folders:
        inside = {PART_NAMES.get(inner.name.lower()) for inner in _subfolders(folder)}
        if {"train", "val"} <= inside or {"train", "test"} <= inside:
            raise UserError(f"{root}: {folder.name} in it is split into train and others: is data.path={folder} meant?")
    return {"train": root}


def _subfolders(folder: Path) -> list[Path]:
    hidden = (".", "__MACOSX")
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(hidden))


def _class_files(folder: Path, root: Path, skipped: list[Path], notes: list[str]) -> Classes:
    found: Classes = {}
    for class_folder in _subfolders(folder):
        files = found.setdefault(_text(class_folder.name), [])
        for file in _files(class_folder):
            (files if _is_image(file) else skipped).append(file)
        if not files:
            notes.append(f"class folder {_name(class_folder, root)} holds no images: left out")
    loose = [entry for entry in folder.iterdir() if _is_image(entry) and entry.is_file()]
    if loose:
        notes.append(f"{len(loose)} images beside the class folders left out, such as {_name(min(loose), root)}")
    return found


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in images.EXTENSIONS and not file.name.startswith(".")


def _files(folder: Path) -> Iterator[Path]:
    """All files below `folder`, links followed (but not in circles), hidden folders left out."""

    def refuse(error: OSError) -> None:
        raise error

    seen: set[str] = set()
    for place, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        seen.add(os.path.realpath(place))
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX"))
                            and os.path.realpath(Path(place, name)) not in seen)  # fmt: skip
        yield from (Path(place, name) for name in sorted(files))


def _check(root: Path, found: dict[str, Classes], classes: list[str], notes: list[str]) -> None:
    for part in ("val", "test"):
        for name, files in found.get(part, {}).items():
            if files and name not in classes:
                raise UserError(f"{files[0].parent}: class {name} is in {part} but not in train, so it can't be "
                                "learned: add training images or take the folder out")  # fmt: skip
    if not classes:
        listed = ", ".join(sorted(images.EXTENSIONS))
        raise UserError(f"{root}: no images in it; expected a folder per class with {listed} files inside")
    if len(classes) == 1:
        inner = root / classes[0]
        inside = _subfolders(inner) if inner.is_dir() else []
        hint = f"is data.path={inner} meant?" if len(inside) > 1 else "add a folder for each further class"
        raise UserError(f"{root}: only one class ({classes[0]}), nothing to tell apart: {hint}")
    same = {name.casefold(): name for name in classes}
    for name in classes:
        if same[name.casefold()] != name:
            notes.append(f"classes {name} and {same[name.casefold()]} differ in upper and lower case only")


def _split(root: Path, classes: list[str], by_class: Classes) -> Split:
    pairs = [(file, label) for label, name in enumerate(classes) for file in by_class.get(name, [])]
    pairs.sort(key=lambda pair: _name(pair[0], root))  # not by the file system's order, nor the system's slash
    names = [_name(file, root) for file, _ in pairs]
    return Split(names, [file for file, _ in pairs], np.array([label for _, label in pairs], np.int64))


def _name(file: Path, root: Path) -> str:
    return _text(file.relative_to(root).as_posix())


def _text(name: str) -> str:
    """The name in composed Unicode, as it reads on every system, and fit to be written as UTF-8."""
    readable = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", readable)


def _renamed(parts: list[Split]) -> list[Split]:
    """Two files whose names differ in Unicode composition alone are told apart by a number."""
    count: dict[str, int] = {}
    result = []
    for part in parts:
        names = []
        for name in part.names:
            count[name] = count.get(name, 0) + 1
            names.append(name if count[name] == 1 else f"{name}#{count[name]}")
        result.append(replace(part, names=names))
    return result


@dataclass(frozen=True)
class Facts:
    """What decoding every file once has shown."""

    digests: dict[Path, str]  # sha256 of each file's content
    size: tuple[int, int]  # median height, width
    channels: int  # 1 if every image is grey, else 3


def preflight(parts: list[Split]) -> Facts:
    """Decode every file of `parts` whole; raises one `UserError` with the first bad file and their number."""
    files = [file for part in parts for file in part.images]
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        results = list(_with_progress(pool.map(_look, files), len(files)))
    finally:
        pool.shutdown(cancel_futures=True)
    bad = [result for result in results if isinstance(result, UserError)]
    if bad:
        total = f" ({len(bad)} of {len(files)} files are unreadable)" if len(bad) > 1 else ""
        raise UserError(f"{bad[0]}{total}; repair it or take it out")
    good = [result for result in results if not isinstance(result, UserError)]
    heights, widths = (int(np.median([look[1][axis] for look in good])) for axis in (0, 1))
    digests = {file: look[0] for file, look in zip(files, good, strict=True)}
    return Facts(digests, (heights, widths), 1 if all(look[2] for look in good) else 3)


def _look(file: Path) -> Look:
    """The file's digest, (height, width) and whether it is grey; or what is wrong with it."""
    try:
        content = images.content_of(file)
        image = images.decode(file, content)
    except UserError as error:
        return error
    return hashlib.sha256(content).hexdigest(), (image.height, image.width), images.is_grey(image)


def _with_progress(results: Iterator[Look], total: int) -> Iterator[Look]:
    started = shown = time.monotonic()
    for done, result in enumerate(results, 1):
        yield result
        now = time.monotonic()
        if now - started > 2 and now - shown > 0.5:
            shown = now
            print(f"\rlooking at every image: {done} of {total}", end="", file=sys.stderr, flush=True)
    if shown > started:
        print(f"\rlooking at every image: {total} of {total}", file=sys.stderr)
