"""Where a COCO collection has its JSON files and its images, and which split each is."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from cvlib.data.labels import BOXES, MASK, LabelKind
from cvlib.data.layouts import names
from cvlib.data.layouts.collection import subfolders
from cvlib.runtime.errors import UserError

_OF_OTHERS = '"_via_', '"regions"', '"shapes"', '"classTitle"', '"from_name"', '"data_row"', '"Labeled Data"'
_HEAD = 2**16  # characters in which a COCO file has shown one of its keys


def find(root: Path) -> dict[str, Path]:
    """The JSON files by split; under "" where there is only one; empty where there are none.

    Looked for in `root`, `root/annotations`, and the folders named by a split. Raises `UserError` where there are
    several and their names don't tell which is which.
    """
    if root.is_file():
        return {"": root}
    found = json_files(root)
    by_split: dict[str, list[Path]] = defaultdict(list)
    for file in found:
        by_split[_part(file, root)].append(file)
    if len(found) == 1:
        return {"": found[0]}
    kept = {split: _instances(several) for split, several in by_split.items() if split}
    doubtful = next((several for several in kept.values() if len(several) > 1), [])
    if found and (doubtful or not kept):
        listed = ", ".join(file.name for file in (doubtful or found)[:5])
        raise UserError(f"{root}: several COCO files, and their names don't tell which is which ({listed}): name one "
                        f"by data.path={(doubtful or found)[0]}")  # fmt: skip
    return {split: several[0] for split, several in kept.items()}


def json_files(root: Path) -> list[Path]:
    """The JSON files of `root` that look like COCO's; `root` itself where it is one."""
    if root.is_file():
        return [root]
    return [file for place in (root, root / "annotations", *_split_folders(root)) if place.is_dir()
            for file in sorted(place.glob("*.json")) if _looks_right(file)]  # fmt: skip


def is_panoptic(file: Path) -> bool:
    """Whether the annotations are segments of panoptic masks."""
    with file.open(encoding="utf-8-sig", errors="replace") as opened:
        return '"segments_info"' in opened.read(16 * _HEAD)


def segments_in(content: dict[str, Any]) -> bool:
    """The same of a file's content."""
    entries = content.get("annotations")
    first = entries[0] if isinstance(entries, list) and entries else None
    return isinstance(first, dict) and "segments_info" in first


def _split_folders(root: Path) -> list[Path]:
    return [folder for folder in subfolders(root) if names.split_of(folder.name) is not None]


def _looks_right(file: Path) -> bool:
    with file.open(encoding="utf-8-sig", errors="replace") as opened:
        head = opened.read(_HEAD)
    start = head.lstrip()[:1]
    if start == "[" and ('"image"' in head or '"coordinates"' in head):  # CreateML's, a list of images
        return False
    whole = len(head) < _HEAD
    if whole and '"categories"' in head and not any(key in head for key in ('"images"', '"annotations"')):
        return False  # a list of classes, as Label Studio's notes.json
    if any(key in head for key in _OF_OTHERS):
        return False
    keys = ('"images"', '"annotations"', '"categories"', '"bbox"')
    return any(key in head for key in keys) or file.parent.name == "annotations"


def _part(file: Path, root: Path) -> str:
    """The split that a file's name, or its folder's, tells: instances_val2017.json is val."""
    for text in (file.stem, file.parent.name if file.parent != root else ""):
        if (split := names.split_in(text)) is not None:
            return split
    return ""


def _instances(several: list[Path]) -> list[Path]:
    """Of instances_, captions_ and person_keypoints_ of one split, the one with the objects."""
    instances = [file for file in several if "instances" in file.stem.lower()]
    return instances or several


def kinds(root: Path) -> list[LabelKind]:
    """Return the kinds of labels that `root` (a folder or a JSON file) has in COCO's form; nothing is parsed."""
    try:
        some = find(root)
    except UserError:
        return [BOXES]
    if not some:
        return []
    with next(iter(some.values())).open(encoding="utf-8-sig", errors="replace") as opened:
        text = opened.read(64 * _HEAD)
    masks = re.search(r'"segmentation"\s*:\s*(\[\s*\[\s*[\d.]|\{)', text)
    return [BOXES, MASK] if masks else [BOXES]


def image_folders(root: Path, file: Path) -> list[Path]:
    """Where the images of a JSON file may lie: beside it, in the root, in images/, in the folders of the splits."""
    inner = [root / "images", *(subfolders(root / "images") if (root / "images").is_dir() else [])]
    named = [folder for folder in subfolders(root) if folder.name != "annotations"]
    own = [folder for folder in (*inner, *named) if _part(folder / "x", root) == _part(file, root)]
    beside = [folder for folder in subfolders(file.parent) if file.parent != root]
    return list(dict.fromkeys([file.parent, *beside, root, *own, *inner, *named]))
