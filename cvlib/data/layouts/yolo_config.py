"""The configuration file of a YOLO collection: `data.yaml` in its variants, or Darknet's `obj.data`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from cvlib.data.findings import ERROR, WARNING
from cvlib.data.layouts import names
from cvlib.data.layouts.collection import Collection, image_files
from cvlib.data.layouts.find import ImageFinder
from cvlib.runtime.errors import UserError

_CONFIGS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml", "obj.data")
_KEYS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
_NOTHING = ("", "null", "~", "None")  # texts that mean "no value"


def config_file(root: Path) -> Path | None:
    """Return the configuration file in `root`: one with a usual name, or the only one with keys `names` and `train`."""
    if root.is_file():
        return root
    for name in _CONFIGS:
        if (root / name).is_file():
            return root / name
    others = [file for file in sorted([*root.glob("*.y*ml"), *root.glob("*.data")])
              if {"names", "train"} <= set(keys(file))]  # fmt: skip
    return others[0] if len(others) == 1 else None


def keys(file: Path) -> list[str]:
    """Return the keys in the file, or an empty list if it can't be read."""
    try:
        return [str(key) for key in loaded(file)]
    except (UserError, OSError):
        return []


def loaded(file: Path) -> dict[str, Any]:
    """Return the content, with every value as text so that `on` remains a name.

    Raises `UserError` if the file can't be read as a YAML mapping.
    """
    text = file.read_text("utf-8-sig", errors="replace" if file.suffix == ".data" else "strict")
    if file.suffix == ".data":
        return _darknet(file, text)
    try:
        content = yaml.load(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: can't be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{file}: expected keys such as train, val and names, found {type(content).__name__}")
    return {str(key): value for key, value in content.items() if value not in _NOTHING}


def _darknet(file: Path, text: str) -> dict[str, Any]:
    """Parse Darknet's `key = value` lines; the class names are read from the file that `names` refers to."""
    pairs = [line.partition("=") for line in text.splitlines() if "=" in line]
    content: dict[str, Any] = {key.strip(): value.strip() for key, _, value in pairs}
    listed = below(file.parent, file.parent, str(content.get("names", "")))
    if listed is None or not listed.is_file():
        content.pop("names", None)
        return content
    lines = listed.read_text("utf-8-sig", errors="replace").splitlines()
    content["names"] = [line.strip() for line in lines if line.strip()]
    return content


def keypoints(content: dict[str, Any]) -> int:
    """Return how many keypoint numbers follow each box according to `kpt_shape`; 0 without it."""
    shape = content.get("kpt_shape")
    if not isinstance(shape, list) or not all(str(item).isdecimal() for item in shape):
        return 0
    number = 1
    for item in shape:
        number *= int(item)
    return number


def images_by_split(collection: Collection, file: Path, content: dict[str, Any]) -> dict[str, list[Path]]:
    """Return the images of each split that the file defines by a folder, a list of files, or several of these."""
    base = _base(collection.root, str(content.get("path") or "."))
    splits: dict[str, list[Path]] = {}
    for split, words in _KEYS.items():
        written = next((content[key] for key in words if content.get(key)), None)
        if written is None:
            continue
        images: list[Path] = []
        for entry in written if isinstance(written, list) else [written]:
            place = below(collection.root, base, str(entry)) or below(collection.root, collection.root, str(entry))
            if place is None:
                collection.blame(WARNING, "missing folder", file, f"{split}: there is no {entry} in the collection",
                                 "correct the path", f"key {split}")  # fmt: skip
            else:
                images += image_files(place) if place.is_dir() else _listed(collection, place, base)
        if images:
            splits[split] = sorted(dict.fromkeys(images))
    return splits


def _base(root: Path, written: str) -> Path:
    """Return the folder that `path` in the file means, here or on the machine that wrote it; otherwise `root`."""
    name = Path(written.replace("\\", "/")).name
    beside = root / name
    return below(root, root, written) or (beside if name not in ("", ".", "..") and beside.is_dir() else root)


def below(root: Path, base: Path, written: str) -> Path | None:
    """Return the existing folder or file below `root` that a path in the file refers to, or None.

    Tools write `../train/images` for `train/images`, `data/train.txt` for `train.txt`, and absolute paths of the
    machine on which they ran. Therefore, leading folders are dropped until the path exists.
    """
    parts = Path(written.replace("\\", "/")).parts
    for start in range(len(parts) or 1):
        tail = Path(*parts[start:])
        place = Path(os.path.normpath(base / tail))
        known = start == 0 or parts[start - 1] == ".." or len(tail.parts) > 1 or names.split_of(tail.stem) is not None
        if place.is_relative_to(root) and place.exists() and (known or place.is_file()):
            return place
    return None


def _listed(collection: Collection, file: Path, base: Path) -> list[Path]:
    finder = ImageFinder(collection.root, [base, file.parent, collection.root])
    images = []
    for number, line in enumerate(file.read_text("utf-8-sig", errors="replace").splitlines(), 1):
        written = line.strip()
        if not written:
            continue
        try:
            image = finder.find(written.removeprefix("./"))
            problem = None if image is not None else f"there is no image {written}"
        except ValueError as error:
            image, problem = None, str(error)
        if image is None:
            collection.blame(ERROR, "missing image", file, str(problem), "add it, or remove the line",
                             f"line {number}")  # fmt: skip
        else:
            images.append(image)
    return images
