"""A folder per class, with or without train, val and test folders above them: classification."""

from __future__ import annotations

from pathlib import Path

from cvlib.config.schema import DataConfig
from cvlib.data import images
from cvlib.data.findings import ERROR, REMARK, WARNING
from cvlib.data.labels import LabelKind
from cvlib.data.layouts.collection import PART_NAMES, Collection, Sample, files_below, name_of, subfolders, text_of
from cvlib.runtime.errors import UserError

Classes = dict[str, list[Path]]  # a class's image files by its name


def found(root: Path) -> bool:
    """Whether some folder in `root` holds an image, at any depth."""
    return any(images.looks_like_image(file) for folder in subfolders(root) for file in files_below(folder))


def has_splits(root: Path) -> bool:
    """Whether there is a train folder with class folders in it."""
    return any(PART_NAMES.get(f.name.lower()) == "train" and found(f) for f in subfolders(root))


def has_classes(root: Path) -> bool:
    """Whether at least two folders hold images and aren't named like splits, as folders of classes do."""
    others = (folder for folder in subfolders(root) if folder.name.lower() not in PART_NAMES)
    return sum(any(images.looks_like_image(file) for file in files_below(folder)) for folder in others) > 1


def read(root: Path, kind: LabelKind, config: DataConfig) -> Collection:
    """The images below the class folders of `root`; classes are sorted as text.

    Raises `UserError` where there are no images, one class only, or folders that can't be understood.
    """
    collection = Collection(root, "folder", kind, [], {})
    folders = _part_folders(collection)
    by_part = {part: _class_files(folder, collection) for part, folder in folders.items()}
    by_part = {part: by_class for part, by_class in by_part.items() if part == "train" or any(by_class.values())}
    collection.classes = sorted(name for name, files in by_part["train"].items() if files)
    _check(collection, by_part)
    collection.parts = {part: _samples(collection, by_class) for part, by_class in by_part.items()}
    return collection


def _part_folders(collection: Collection) -> dict[str, Path]:
    """The folder of each part; only {"train": root} where the classes lie in the root itself."""
    root = collection.root
    folders = subfolders(root)
    parts: dict[str, Path] = {}
    others = [folder for folder in folders if folder.name.lower() not in PART_NAMES]
    for folder in folders:
        part = PART_NAMES.get(folder.name.lower())
        if part is not None and part in parts and not others:
            raise UserError(f"{root}: {parts[part].name} and {folder.name} both mean {part}: keep one of them")
        if part is not None:
            parts.setdefault(part, folder)
    # A train folder with pictures of trains lies beside other classes, and has no classes inside.
    with_classes = "train" in parts and bool(subfolders(parts["train"]))
    if with_classes and (len(parts) > 1 or not others):
        for folder in others:
            message = "lies beside the train folder and is left out: it is neither train, val nor test"
            collection.blame(REMARK, "stray folder", folder, message)
        return parts
    if parts and not others:
        lacking = "train has no class folders in it" if "train" in parts else "there is no train folder"
        raise UserError(f"{root}: {', '.join(folder.name for folder in folders)} look like splits, but {lacking}")
    for folder in folders:
        inside = {PART_NAMES.get(inner.name.lower()) for inner in subfolders(folder)}
        if {"train", "val"} <= inside or {"train", "test"} <= inside:
            raise UserError(f"{root}: {folder.name} in it is split into train and others: is data.path={folder} meant?")
    return {"train": root}


def _class_files(folder: Path, collection: Collection) -> Classes:
    by_class: Classes = {}
    for class_folder in subfolders(folder):
        files = by_class.setdefault(text_of(class_folder.name), [])
        for file in files_below(class_folder):
            if images.looks_like_image(file):
                files.append(file)
            else:
                collection.blame(REMARK, "stray file", file, "no image by name or content: left out")
        if not files:
            collection.blame(WARNING, "empty class", class_folder, "the class folder holds no images: left out",
                             "add images, or take the folder out")  # fmt: skip
    for entry in sorted(folder.iterdir()):
        if entry.is_file() and images.looks_like_image(entry):
            collection.blame(WARNING, "loose image", entry, "lies beside the class folders: left out",
                             "put it into its class's folder")  # fmt: skip
    return by_class


def _check(collection: Collection, by_part: dict[str, Classes]) -> None:
    root, classes = collection.root, collection.classes
    if not classes:
        listed = ", ".join(sorted(images.EXTENSIONS))
        loose = any(images.looks_like_image(entry) for entry in root.iterdir() if entry.is_file())
        if loose:
            raise UserError(f"{root}: images lie in it, but no folders of classes: is data.path={root.parent} meant?")
        raise UserError(f"{root}: no images in it; expected a folder per class with {listed} files inside")
    if len(classes) == 1:
        inner = root / classes[0]
        inside = subfolders(inner) if inner.is_dir() else []
        hint = f"is data.path={inner} meant?" if len(inside) > 1 else "add a folder for each further class"
        raise UserError(f"{root}: only one class ({classes[0]}), nothing to tell apart: {hint}")
    for part in ("val", "test"):
        for name, files in by_part.get(part, {}).items():
            if files and name not in classes:
                collection.blame(ERROR, "class set", files[0].parent, f"class {name} is in {part} but not in train, so "
                                 "it can't be learned", "add training images or take the folder out")  # fmt: skip
    same = {name.casefold(): name for name in classes}
    for name in classes:
        if same[name.casefold()] != name:
            message = f"classes {name} and {same[name.casefold()]} differ in upper and lower case only"
            collection.blame(WARNING, "class name", name, message)


def _samples(collection: Collection, by_class: Classes) -> list[Sample]:
    labels = {name: label for label, name in enumerate(collection.classes)}
    samples = [
        Sample(name_of(file, collection.root), file, labels[name])
        for name, files in by_class.items() if name in labels for file in files
    ]  # fmt: skip
    # Not by the file system's order, nor the system's slash.
    return sorted(samples, key=lambda sample: (sample.name, str(sample.image)))
