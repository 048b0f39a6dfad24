"""Split lists: text files with one image a line, as Pascal VOC has them."""

from __future__ import annotations

from pathlib import Path

from cvlib.data.findings import ERROR, WARNING
from cvlib.data.layouts import names
from cvlib.data.layouts.collection import Collection, text_of


def folder_of(*candidates: Path, train: bool = True) -> Path | None:
    """The first of the folders that holds a list for some split; one for `train` is needed unless that is False."""
    lists = ((folder, _files(folder)) for folder in candidates if folder.is_dir())
    return next((folder for folder, files in lists if files and ("train" in files or not train)), None)


def read(folder: Path, collection: Collection) -> dict[str, list[tuple[str, str]]]:
    """By split, each listed entry and the line it stands in ("line 3"); blank lines and repeated entries left out.

    `trainval` counts where there is no `train` list. Empty lists are as none.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for split, file in _files(folder).items():
        entries: dict[str, str] = {}
        for number, line in enumerate(file.read_text("utf-8-sig", errors="replace").splitlines(), 1):
            entry = text_of(line.strip())
            if entry in entries:
                collection.blame(WARNING, "listed twice", file, f"{entry} stands in {entries[entry]} already",
                                 "take one out", f"line {number}")  # fmt: skip
            elif entry:
                entries[entry] = f"line {number}"
        if entries:
            found[split] = list(entries.items())
        else:
            collection.blame(WARNING, "empty list", file, "the list names no image", f"{split} is taken out of train"
                             if split != "train" else "fill it")  # fmt: skip
    _without_leaks(found, folder, collection)
    return found


def _without_leaks(found: dict[str, list[tuple[str, str]]], folder: Path, collection: Collection) -> None:
    """What is listed in two splits stays in the held-out one (test before val): an error, for it spoils the result."""
    held: dict[str, str] = {}
    for split in ("test", "val", "train"):
        entries = []
        for entry, place in found.get(split, []):
            if entry in held:
                first, number = held[entry].split(":")
                collection.blame(ERROR, "in two splits", file_for(folder, first), f"{entry} is in {split} too",
                                 "take it out of one list", number)  # fmt: skip
            else:
                held[entry] = f"{split}:{place}"
                entries.append((entry, place))
        if split in found:
            found[split] = entries


def file_for(folder: Path, split: str) -> Path:
    """The list that `split` was read from."""
    return _files(folder)[split]


def _files(folder: Path) -> dict[str, Path]:
    named = {file.stem.lower(): file for file in sorted(folder.glob("*.txt"))}
    files = {split: file for name, file in named.items() if (split := names.exact_split(name)) and name != "trainval"}
    if "train" not in files and "trainval" in named:
        files["train"] = named["trainval"]
    return files
