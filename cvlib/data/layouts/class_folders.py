"""Find the class folders of a collection, which may be below folders of splits, folds or patients."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from cvlib.data import images
from cvlib.data.findings import REMARK, WARNING
from cvlib.data.layouts import names
from cvlib.data.layouts.collection import files_below, subfolders, text_of, unread_labels
from cvlib.runtime.errors import UserError

_SHOWN = 4  # maximum number of names in a message


class ParentFolder(UserError):
    """Raised if the user seems to mean a subfolder."""


@dataclass
class Tree:
    """The class folders of each split."""

    splits: dict[str, dict[str, list[Path]]]  # split → class → the folders with its images
    homes: dict[str, Path] = field(default_factory=dict)  # split → the parent of its class folders
    flat: dict[str, Path] = field(default_factory=dict)  # split → its folder, if it has no class folders
    split: bool = False  # whether folder names define the splits
    remarks: list[tuple[str, str, Path, str]] = field(default_factory=list)  # severity, kind, folder, message


def tree(root: Path) -> Tree:
    """Find the class folders of `root`.

    Raises `UserError` if the splits can't be interpreted, or if the user seems to mean a subfolder.
    """
    folders = subfolders(root)
    splits = _splits(root, folders)
    others = [folder for folder in folders if folder.name not in names.splits_among(f.name for f in folders)]
    unlabelled = [folder for folder in others if names.is_unlabelled(folder.name)]
    homes = {split: _home(folder) for split, folder in splits.items()}
    classes = {split: _classes(home) for split, home in homes.items()}
    without_train = not _others_are_classes(others, unlabelled) and any(classes.values()) and "train" not in splits
    if (classes.get("train") and (len(splits) > 1 or len(others) == len(unlabelled))) or without_train:
        return _split_tree(root, splits, homes, classes, others)
    if splits and not _others_are_classes(others, unlabelled):
        listed = ", ".join(folder.name for folder in folders if folder in splits.values())
        verb = "looks like a split" if len(splits) == 1 else "look like splits"
        raise UserError(f"{root}: {listed} {verb}, but {_missing(root, splits)}")
    _refuse_parent_folder(root, folders)
    found = Tree({}, {"train": root})
    found.splits["train"] = _grouped(found, root, {text_of(folder.name): [folder] for folder in folders})
    if all(split in ("train", "val", "test") for split in found.splits["train"]) and found.split:
        found.splits = {split: _by_parent(folders) for split, folders in found.splits["train"].items()}
    return found


def _splits(root: Path, folders: list[Path]) -> dict[str, Path]:
    known = names.splits_among(folder.name for folder in folders)
    others = [folder for folder in folders if folder.name not in known]
    splits: dict[str, Path] = {}
    for folder in sorted(folders, key=lambda folder: (names.exact_split(folder.name) is None, _other_role(folder))):
        split = known.get(folder.name)
        if split is not None and split in splits and not others and _holds_images(folder) and not _other_role(folder):
            raise UserError(f"{root}: {splits[split].name} and {folder.name} both mean {split}: keep one of them")
        if split is not None:
            splits.setdefault(split, folder)
    return splits


def _other_role(folder: Path) -> bool:
    """Return whether a split's folder holds something other than its images, such as train_masks."""
    return names.role_of(folder.name) not in (None, names.IMAGES)


def _others_are_classes(others: list[Path], unlabelled: list[Path]) -> bool:
    return any(folder not in unlabelled and names.only_role(folder.name) is None and _holds_pictures(folder)
               for folder in others)  # fmt: skip


def _home(folder: Path) -> Path:
    """Return the parent of the class folders: `folder`, or one that repeats its name (seg_train/seg_train)."""
    inner = [entry for entry in subfolders(folder) if _holds_images(entry)]
    loose = any(images.looks_like_image(file) for file in folder.iterdir() if file.is_file())
    if len(inner) != 1 or loose or not any(_holds_images(entry) for entry in subfolders(inner[0])):
        return folder
    same = inner[0].name.casefold() == folder.name.casefold() or names.split_of(inner[0].name) is not None
    return _home(inner[0]) if same or names.only_role(inner[0].name) == names.IMAGES else folder


def _classes(home: Path) -> dict[str, list[Path]]:
    """Return the class folders in `home`; none if its only folder holds unsorted images."""
    inner = subfolders(home)
    holding = [folder for folder in inner if _holds_images(folder)]
    if len(holding) == 1:
        name = holding[0].name
        doubled = name.casefold() == home.name.casefold() or names.split_of(name) is not None
        if doubled or names.only_role(name) == names.IMAGES or names.is_unlabelled(name) or name.lower() == "unknown":
            return {}
    return {text_of(folder.name): [folder] for folder in inner} if holding or not _holds_images(home) else {}


def _split_tree(
    root: Path, splits: dict[str, Path], homes: dict[str, Path], classes: dict[str, dict[str, list[Path]]],
    others: list[Path],
) -> Tree:  # fmt: skip
    found = Tree({}, {}, split=True)
    for split, home in homes.items():
        if classes[split]:
            found.homes[split] = home
            found.splits[split] = _grouped(found, home, classes[split])
        elif _holds_images(home):
            found.flat[split] = splits[split]
    for folder in others:
        if names.is_unlabelled(folder.name) and not _has_class_folders(folder, found):
            message = "its images are for prediction and have no labels: set aside"
            found.remarks.append((REMARK, "without labels", folder, message))
        else:
            message = "not a train, val or test folder: left out"
            found.remarks.append((REMARK, "stray folder", folder, message))
    return found


def _has_class_folders(folder: Path, found: Tree) -> bool:
    inner = {text_of(entry.name) for entry in subfolders(folder)}
    return bool(inner & set(found.splits.get("train", {})))


def _grouped(found: Tree, home: Path, by_class: dict[str, list[Path]]) -> dict[str, list[Path]]:
    """Return the classes. The folders in `home` may be folds or patients that each hold folders of all classes."""
    folders = [folder for entry in by_class.values() for folder in entry]
    inner = {folder: [entry for entry in subfolders(folder) if _holds_images(entry)] for folder in folders}
    inner = {folder: some for folder, some in inner.items() if some or _holds_images(folder)}
    counts = Counter(text_of(entry.name) for some in inner.values() for entry in some)
    shared = [name for name, count in counts.items() if count > 1 and 2 * count >= len(inner)]
    if len(inner) > 1 and not shared and all(len(some) > 1 and not _loose(folder) for folder, some in inner.items()):
        message = (f"the class folders {_shortened([folder.name for folder in inner])} hold folders of their own "
                   f"({_shortened(sorted(counts))}), whose images count to the outer class")  # fmt: skip
        found.remarks.append((REMARK, "nested folders", home, message))
    if len(inner) < 2 or len(shared) < 2 or len(shared) < len(counts) or any(_loose(folder) for folder in inner):
        return by_class
    outer, listed = _shortened([folder.name for folder in inner]), _shortened(sorted(shared))
    splits = names.splits_among(shared)
    if "train" in splits.values() and len(splits) == len(shared):
        found.split = True
        return {split: [entry for some in inner.values() for entry in some if splits.get(text_of(entry.name)) == split]
                for split in dict.fromkeys(splits.values())}  # fmt: skip
    if all(names.looks_like_group(folder.name) for folder in inner):
        message = (f"the folders {outer} look like folds, patients or dates, because each holds the same folders "
                   f"{listed}, which are used as classes; images of a group may be in both train and test")  # fmt: skip
        found.remarks.append((WARNING, "groups", home, message))
        return {name: [entry for some in inner.values() for entry in some if text_of(entry.name) == name]
                for name in sorted(counts)}  # fmt: skip
    if all(names.only_role(name) for name in shared):  # cat/images and cat/masks
        return by_class
    message = f"each class folder ({outer}) holds the same folders {listed}: are these the classes?"
    found.remarks.append((WARNING, "groups", home, message))
    return by_class


def _by_parent(folders: list[Path]) -> dict[str, list[Path]]:
    """Return folders such as cat/train by class, which is the name of the parent folder."""
    return {text_of(folder.parent.name): [folder] for folder in folders}


def _loose(folder: Path) -> bool:
    return any(images.looks_like_image(file) for file in folder.iterdir() if file.is_file())


def _holds_images(folder: Path) -> bool:
    return any(images.looks_like_image(file) or images.unread(file) for file in files_below(folder))


def _holds_pictures(folder: Path) -> bool:
    """Return whether a folder holds images that can be read, rather than arrays of a tool such as MATLAB."""
    return any(images.looks_like_image(file) for file in files_below(folder))


def _missing(root: Path, splits: dict[str, Path]) -> str:
    """Explain what splits without class folders lack, and what to do."""
    if "train" not in splits:
        return "there is no train folder"
    prefixes = beginnings(splits["train"])
    if not prefixes:
        return f"train has no class folders{unread_labels(root, splits['train'])}"
    return (f"train has no class folders; its file names begin with {', '.join(prefixes)}: put each class's images "
            f"into its own folder, or list files and labels in {root.name}/labels.csv")  # fmt: skip


def beginnings(folder: Path) -> list[str]:
    """Return the first words of the file names if they look like a few classes: cat.0.jpg, dog.0.jpg."""
    counts = Counter(next(iter(names.words(file.stem)), "") for file in files_below(folder)
                     if images.looks_like_image(file))  # fmt: skip
    few = {word: count for word, count in counts.items() if word and count > 1}
    return sorted(few) if 1 < len(few) <= _SHOWN and len(few) == len(counts) else []


def _refuse_parent_folder(root: Path, folders: list[Path]) -> None:
    """Raise `ParentFolder` if the user seems to mean a subfolder of `root`."""
    holding = [folder for folder in folders if _holds_images(folder)]
    split = [folder for folder in holding
             if {"train"} < set(names.splits_among(f.name for f in subfolders(folder)).values())]  # fmt: skip
    if split and len(split) < max(2, len(holding)):
        raise ParentFolder(
            f"{root}: its folder {split[0].name} contains train and other splits: did you mean data.path={split[0]}?"
        )
    place = root
    pictures = [folder for folder in holding if _holds_pictures(folder)]
    inner = holding = pictures or holding
    while len(inner) == 1:
        place = inner[0]
        inner = [entry for entry in subfolders(place) if _holds_images(entry)]
    if len(holding) == 1 and len(inner) > 1:
        raise ParentFolder(
            f"{root}: only one class ({holding[0].name}), expected at least two: did you mean data.path={place}?"
        )


def _shortened(listed: list[str]) -> str:
    return ", ".join(listed[:_SHOWN]) + (", …" if len(listed) > _SHOWN else "")
