"""Find the JSON files and images of a COCO collection, and the split of each file."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from cvlib.data.labels import BOXES, MASK, LabelKind
from cvlib.data.layouts import names
from cvlib.data.layouts.collection import subfolders
from cvlib.runtime.errors import UserError

_FOREIGN_KEYS = ('"_via_', '"regions"', '"shapes"', '"classTitle"', '"from_name"', '"data_row"', '"Labeled Data"',
                 '"schema_ref"', '"className"', '"_cls"', '"box2d"')  # fmt: skip
_HEAD = 2**16  # a COCO file contains one of its keys within this many characters


def find(root: Path) -> dict[str, Path]:
    """Return the JSON files by split. The key of a single file is "".

    Searches `root`, `root/annotations`, and the folders named after a split. Raises `UserError` if there are several
    files whose names don't identify their splits.
    """
    if root.is_file():
        return {"": root}
    found = json_files(root)
    by_split: dict[str, list[Path]] = defaultdict(list)
    for file in found:
        by_split[_split_in_name(file, root)].append(file)
    if len(found) == 1:
        return {"": found[0]}
    kept = {split: _instances(several) for split, several in by_split.items() if split}
    doubtful = next((several for several in kept.values() if len(several) > 1), [])
    if found and (doubtful or not kept):
        listed = ", ".join(file.name for file in (doubtful or found)[:5])
        raise UserError(f"{root}: several COCO files, and their names don't identify their splits ({listed}): choose "
                        f"one file, such as data.path={(doubtful or found)[0]}")  # fmt: skip
    return {split: several[0] for split, several in kept.items()}


def json_files(root: Path) -> list[Path]:
    """Return the JSON files of `root` that look like COCO, or `root` itself if it is a file."""
    if root.is_file():
        return [root]
    return [file for place in (root, root / "annotations", *_split_folders(root)) if place.is_dir()
            for file in sorted(place.glob("*.json")) if _looks_like_coco(file)]  # fmt: skip


def is_panoptic(file: Path) -> bool:
    """Return whether the annotations are segments of panoptic masks."""
    with file.open(encoding="utf-8-sig", errors="replace") as opened:
        return '"segments_info"' in opened.read(16 * _HEAD)


def segments_in(content: dict[str, Any]) -> bool:
    """Return whether the annotations in the parsed `content` are segments of panoptic masks."""
    entries = content.get("annotations")
    first = entries[0] if isinstance(entries, list) and entries else None
    return isinstance(first, dict) and "segments_info" in first


def _split_folders(root: Path) -> list[Path]:
    return [folder for folder in subfolders(root) if names.split_of(folder.name) is not None]


def _looks_like_coco(file: Path) -> bool:
    with file.open(encoding="utf-8-sig", errors="replace") as opened:
        head = opened.read(_HEAD)
    start = head.lstrip()[:1]
    if start == "[" and len(head) > 2:  # COCO is an object; CreateML and other formats are lists
        return False
    whole = len(head) < _HEAD
    if whole and '"categories"' in head and not any(key in head for key in ('"images"', '"annotations"')):
        return False  # a list of classes, such as Label Studio's notes.json
    if any(key in head for key in _FOREIGN_KEYS) or ('"label_id"' in head and '"items"' in head):
        return False
    if '"caption"' in head and '"bbox"' not in head:
        return False
    keys = ('"images"', '"annotations"', '"categories"', '"bbox"')
    return any(key in head for key in keys) or file.parent.name == "annotations"


def _split_in_name(file: Path, root: Path) -> str:
    """Return the split that the name of a file or of its folder contains: instances_val2017.json is val."""
    for text in (file.stem, file.parent.name if file.parent != root else ""):
        if (split := names.split_in(text)) is not None:
            return split
    return ""


def _instances(several: list[Path]) -> list[Path]:
    """Return a split's instances_ files, without captions_ and person_keypoints_ files; all files if it has none."""
    instances = [file for file in several if "instances" in file.stem.lower()]
    return instances or several


def kinds(root: Path) -> list[LabelKind]:
    """Return the kinds of labels in the COCO files of `root` (a folder or a JSON file), without parsing them."""
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
    """Return the folders that may hold a JSON file's images: its own, the root, images/, and the split folders."""
    inner = [root / "images", *(subfolders(root / "images") if (root / "images").is_dir() else [])]
    named = [folder for folder in subfolders(root) if folder.name != "annotations"]
    own = [folder for folder in (*inner, *named) if _split_in_name(folder / "x", root) == _split_in_name(file, root)]
    beside = [folder for folder in subfolders(file.parent) if file.parent != root]
    return list(dict.fromkeys([file.parent, *beside, root, *own, *inner, *named]))
