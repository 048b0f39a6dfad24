"""Split lists: text files with one image per line, as in Pascal VOC."""

from __future__ import annotations

from pathlib import Path

from cvlib.data.findings import ERROR, WARNING
from cvlib.data.layouts import names
from cvlib.data.layouts.collection import Collection, text_of


def folder_of(*candidates: Path, train: bool = True) -> Path | None:
    """Return the first folder with a split list. It must have a list for train unless `train` is False."""
    lists = ((folder, _files(folder)) for folder in candidates if folder.is_dir())
    return next((folder for folder, files in lists if files and ("train" in files or not train)), None)


def read(folder: Path, collection: Collection) -> dict[str, list[tuple[str, str]]]:
    """Return, by split, each entry and its line ("line 3"), without blank lines and repeated entries.

    `trainval` is used if there is no `train` list. Empty lists are ignored.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for split, file in _files(folder).items():
        entries: dict[str, str] = {}
        for number, line in enumerate(file.read_text("utf-8-sig", errors="replace").splitlines(), 1):
            entry = text_of(line.strip())
            if entry in entries:
                collection.blame(WARNING, "listed twice", file, f"{entry} is already in {entries[entry]}",
                                 "remove one of them", f"line {number}")  # fmt: skip
            elif entry:
                entries[entry] = f"line {number}"
        if entries:
            found[split] = list(entries.items())
        else:
            collection.blame(WARNING, "empty list", file, "the list is empty", f"{split} is split off from train"
                             if split != "train" else "add images to it")  # fmt: skip
    _without_leaks(found, folder, collection)
    return found


def _without_leaks(found: dict[str, list[tuple[str, str]]], folder: Path, collection: Collection) -> None:
    """Keep an entry that is in several splits only once: in test, otherwise in val.

    Report it as an error, because a leak biases the results.
    """
    assigned: dict[str, str] = {}
    for split in ("test", "val", "train"):
        entries = []
        for entry, place in found.get(split, []):
            if entry in assigned:
                first, number = assigned[entry].split(":")
                collection.blame(ERROR, "in two splits", file_for(folder, first), f"{entry} is also in {split}",
                                 "remove it from one list", number)  # fmt: skip
            else:
                assigned[entry] = f"{split}:{place}"
                entries.append((entry, place))
        if split in found:
            found[split] = entries


def file_for(folder: Path, split: str) -> Path:
    """Return the list that `split` was read from."""
    return _files(folder)[split]


def _files(folder: Path) -> dict[str, Path]:
    named = {file.stem.lower(): file for file in sorted(folder.glob("*.txt"))}
    files = {split: file for name, file in named.items() if (split := names.exact_split(name)) and name != "trainval"}
    if "train" not in files and "trainval" in named:
        files["train"] = named["trainval"]
    return files
