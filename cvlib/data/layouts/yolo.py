"""YOLO: `images/`, `labels/` with a text file for each image, `data.yaml`; detection."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cvlib.config.schema import DataConfig
from cvlib.data.findings import ERROR, REMARK, WARNING
from cvlib.data.labels import LabelKind
from cvlib.data.labels import raw_boxes as boxes
from cvlib.data.labels.raw_boxes import RawBoxes
from cvlib.data.layouts.collection import (
    PART_NAMES,
    Collection,
    Sample,
    image_files,
    inside,
    name_of,
    subfolders,
    text_of,
)
from cvlib.runtime.errors import UserError

_CONFIGS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_NO_LABELS = ("classes.txt", "notes.txt", "readme.txt", "labels.txt")  # what labelling tools leave among the labels
_KEYS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}


def config_file(root: Path) -> Path | None:
    """The dataset's YAML in `root`: one of the usual names, or the only one that has `names` and `train`."""
    if root.is_file():
        return root
    for name in _CONFIGS:
        if (root / name).is_file():
            return root / name
    others = [file for file in sorted(root.glob("*.y*ml")) if {"names", "train"} <= set(_keys(file))]
    return others[0] if len(others) == 1 else None


def found(root: Path) -> bool:
    """Whether `root` has a YOLO dataset."""
    file = config_file(root)
    if file is not None and "names" in _keys(file):
        return True
    folder = root / "labels"
    return (root / "images").is_dir() and folder.is_dir() and any(folder.rglob("*.txt"))


def read(root: Path, kind: LabelKind, config: DataConfig) -> Collection:
    """The images that `data.yaml` lists (or all below `images/`) and the lines of their label files.

    A line is a class and a box (centre x, y, width, height as shares of the sides) or a polygon, whose bounding box
    is taken. An image without a label file has no objects, a warning. Raises `UserError` for a YAML that can't be
    understood.
    """
    file = config_file(root)
    root = root.parent if root.is_file() else root
    collection = Collection(root, "yolo", kind, [], {})
    content = {} if file is None else _loaded(file)
    collection.classes = _names(collection, file, content)
    entries = _from_yaml(collection, file, content) if file is not None else {}
    pictures = entries or _from_folders(root)
    if not pictures.get("train"):
        raise UserError(f"{file or root}: no training images found; expected images/train, or train: in data.yaml")
    least = len(collection.classes)
    unnamed = 0
    for part, files in pictures.items():
        samples = []
        for image in files:
            label_file = _label_file(image)
            objects, highest = _objects(collection, image, label_file, least)
            unnamed = max(unnamed, highest + 1)
            samples.append(Sample(name_of(image, root), image, objects, label_file if label_file.is_file() else None))
        collection.parts[part] = samples
    if not collection.classes:
        collection.classes = [f"class {index}" for index in range(unnamed)]
        collection.notes.append("no data.yaml nor classes.txt names the classes: they are numbered")
    if not collection.classes:
        raise UserError(f"{root}: no object in any label file and no names, so there is no class to learn")
    _blame_strays(collection, {image for files in pictures.values() for image in files})
    return collection


def _keys(file: Path) -> list[str]:
    try:
        content = yaml.safe_load(file.read_text("utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError):
        return []
    return [str(key) for key in content] if isinstance(content, dict) else []


def _loaded(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text("utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: can't be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{file}: expected keys such as train, val and names, found {type(content).__name__}")
    return content


def _names(collection: Collection, file: Path | None, content: dict[str, Any]) -> list[str]:
    """Class names in the order of their numbers; empty where nothing names them."""
    names = content.get("names")
    if isinstance(names, dict):
        numbers = {str(number): str(name) for number, name in names.items()}
        if set(numbers) != {str(index) for index in range(len(numbers))}:
            raise UserError(f"{file}: names: the numbers must count from 0 on, not {', '.join(numbers)}")
        names = [numbers[str(index)] for index in range(len(numbers))]
    if names is None:
        folder = collection.root
        listed = next((place / "classes.txt" for place in (folder, folder / "labels", folder / "labels" / "train")
                       if (place / "classes.txt").is_file()), None)  # fmt: skip
        lines = [] if listed is None else listed.read_text("utf-8-sig", errors="replace").splitlines()
        return [text_of(line.strip()) for line in lines if line.strip()]
    if not isinstance(names, list) or not names:
        raise UserError(f"{file}: names must be a list, or a mapping of numbers to names")
    if isinstance(content.get("nc"), int) and content["nc"] != len(names) and file is not None:
        collection.blame(WARNING, "class count", file, f"nc is {content['nc']}, but {len(names)} names are given: the "
                         "names count", "correct nc")  # fmt: skip
    return [text_of(str(name)) for name in names]


def _from_yaml(collection: Collection, file: Path, content: dict[str, Any]) -> dict[str, list[Path]]:
    """The images of each part that the YAML names; folders, lists of files, or several of them."""
    base = _below(collection.root, collection.root, str(content.get("path") or ".")) or collection.root
    parts: dict[str, list[Path]] = {}
    for part, keys in _KEYS.items():
        written = next((content[key] for key in keys if content.get(key)), None)
        if written is None:
            continue
        images: list[Path] = []
        for entry in written if isinstance(written, list) else [written]:
            place = _below(collection.root, base, str(entry)) or _below(collection.root, collection.root, str(entry))
            if place is None:
                collection.blame(WARNING, "missing folder", file, f"{part}: there is no {entry} in the collection",
                                 "correct the path", f"key {part}")  # fmt: skip
            else:
                images += image_files(place) if place.is_dir() else _listed(collection, place, base)
        if images:
            parts[part] = sorted(dict.fromkeys(images))
    return parts


def _below(root: Path, base: Path, written: str) -> Path | None:
    """The existing folder or file that a path in the YAML means, if it lies below `root`.

    Tools write `../train/images` and mean `train/images`; and paths of the machine that they ran on.
    """
    while True:
        place = Path(os.path.normpath(base / written))
        if place.is_relative_to(root) and place.exists():
            return place
        if not written.startswith("../"):
            return None
        written = written.removeprefix("../")


def _listed(collection: Collection, file: Path, base: Path) -> list[Path]:
    images = []
    for number, line in enumerate(file.read_text("utf-8-sig", errors="replace").splitlines(), 1):
        written = line.strip()
        if not written:
            continue
        try:
            image = inside(collection.root, written.removeprefix("./"), base, file.parent, collection.root)
            problem = None if image is not None else f"there is no image {written}"
        except ValueError as error:
            image, problem = None, str(error)
        if image is None:
            collection.blame(ERROR, "missing image", file, str(problem), "add it, or take the line out",
                             f"line {number}")  # fmt: skip
        else:
            images.append(image)
    return images


def _from_folders(root: Path) -> dict[str, list[Path]]:
    """The images of `images/train` …, of `train/images` …, or all below `images/`."""
    top = root / "images"
    places = {PART_NAMES[f.name.lower()]: f for f in (subfolders(top) if top.is_dir() else [])
              if f.name.lower() in PART_NAMES}  # fmt: skip
    if "train" not in places:
        places = {PART_NAMES[f.name.lower()]: f / "images" for f in subfolders(root)
                  if f.name.lower() in PART_NAMES and (f / "images").is_dir()}  # fmt: skip
    if "train" not in places:
        places = {"train": top}
    return {part: files for part, place in places.items() if (files := image_files(place))}


def _label_file(image: Path) -> Path:
    """The label file by the YOLO rule: the last folder called images becomes labels, the extension .txt."""
    parts = list(image.parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == "images":
            parts[i] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _objects(collection: Collection, image: Path, file: Path, least: int) -> tuple[RawBoxes, int]:
    """The boxes of one label file, and the highest class number in it (−1 without any)."""
    corners, classes, places = [], [], []
    polygons, highest = 0, -1
    if not file.is_file():
        collection.blame(WARNING, "missing label file", image, f"there is no {name_of(file, collection.root)}: taken "
                         "as an image without objects", "add an empty file if that is meant")  # fmt: skip
        return boxes.raw([], [], [], [], relative=True), highest
    for number, line in enumerate(file.read_text("utf-8-sig", errors="replace").splitlines(), 1):
        place = f"line {number}"
        if not line.strip():
            continue
        try:
            label, values = _parsed(line.split())
        except ValueError as error:
            collection.blame(ERROR, "bad label line", file, str(error), "correct it or take it out", place)
            continue
        if label < 0 or (least and label >= least):
            known = f"only 0 to {least - 1} exist" if least else "classes count from 0 on"
            collection.blame(ERROR, "unknown class", file, f"class {label}, but {known}", "correct it or take it out",
                             place)  # fmt: skip
            continue
        polygons += len(values) > 4
        highest = max(highest, label)
        corners.append(_corners(values))
        classes.append(label)
        places.append(place)
    if 0 < polygons < len(corners):
        collection.blame(REMARK, "polygon among boxes", file, f"{polygons} of {len(corners)} lines are polygons: their "
                         "bounding boxes are taken")  # fmt: skip
    return boxes.raw(corners, classes, [False] * len(classes), places, relative=True), highest


def _parsed(words: list[str]) -> tuple[int, list[float]]:
    """The class and the numbers of a line; raises `ValueError` with what is wrong."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        raise ValueError(f"{' '.join(words)[:60]!r} holds what is no number") from None
    if not all(math.isfinite(number) for number in numbers) or numbers[0] != int(numbers[0]):
        raise ValueError("the class must be a whole number and the others finite")
    count = len(numbers) - 1
    if count != 4 and (count < 6 or count % 2):
        raise ValueError(f"expected a class and 4 numbers (or a polygon of at least 3 points), found {len(numbers)}")
    return int(numbers[0]), numbers[1:]


def _corners(values: list[float]) -> tuple[float, float, float, float]:
    if len(values) == 4:
        x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    points = np.array(values).reshape(-1, 2)
    (x_min, y_min), (x_max, y_max) = points.min(axis=0), points.max(axis=0)
    return float(x_min), float(y_min), float(x_max), float(y_max)


def _blame_strays(collection: Collection, pictures: set[Path]) -> None:
    """Label files in the folders of labels that belong to no image."""
    expected = {_label_file(image) for image in pictures}
    for folder in sorted({file.parent for file in expected}):
        for file in sorted(folder.glob("*.txt")) if folder.is_dir() else []:
            if file in expected:
                continue
            if file.name.lower() in _NO_LABELS:
                collection.blame(REMARK, "stray file", file, "no label file: left out")
            else:
                collection.blame(WARNING, "missing image", file, "there is no image for this label file",
                                 "add it, or take the label file out")  # fmt: skip
