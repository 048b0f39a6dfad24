"""YOLO: a text file of boxes or polygons per image, and `data.yaml` or `obj.data`; detection and segmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cvlib.config.schema import DataConfig
from cvlib.data.findings import REMARK, WARNING
from cvlib.data.labels import BOXES, MASK, LabelKind
from cvlib.data.layouts import evidence, names, yolo_config, yolo_lines
from cvlib.data.layouts.collection import Collection, Sample, image_files, name_of, subfolders, text_of
from cvlib.data.layouts.evidence import Evidence
from cvlib.data.layouts.survey import Survey
from cvlib.data.layouts.yolo_lines import Form, LabelFile
from cvlib.runtime.errors import UserError

TITLE = "YOLO"
_NO_LABELS = ("classes.txt", "notes.txt", "readme.txt", "labels.txt", "names.txt", "train.txt", "val.txt", "valid.txt",
              "test.txt", "readme.roboflow.txt", "readme.dataset.txt")  # fmt: skip
_MAX_EXAMINED = 50  # label files that are examined for polygons


def signs(survey: Survey) -> list[Evidence]:
    """Return evidence of a data.yaml or obj.data with names, or of text files of boxes that are named like images."""
    root = survey.root
    file = yolo_config.config_file(root)
    named = file is not None and "names" in yolo_config.keys(file)
    labels = [file for file in _labels_of(survey.images) if file.is_file()]
    some = labels[:: max(1, len(labels) // _MAX_EXAMINED)]
    if not named and not any(yolo_lines.looks_right(label) for label in some[:5]):
        return []
    content = yolo_config.loaded(file) if file is not None and named else {}
    number = evidence.counted(len(labels), "text file of labels", "text files of labels")
    source = f"{file.name} and " if file is not None and named else ""
    sure = evidence.CERTAIN if named else 0.9 if (root / "labels").is_dir() else 0.85
    kinds = [BOXES, MASK] if yolo_lines.has_polygons(some, yolo_config.keypoints(content)) else [BOXES]
    return [Evidence("yolo", kind, root, sure, source + number, TITLE) for kind in kinds]


def read(root: Path, kind: LabelKind, config: DataConfig) -> Collection:
    """Read the images that `data.yaml` lists (or all images) and the lines of their label files.

    A line is a class and a box (centre x, y, width, height, relative to the image's sides) or a polygon. For
    detection, a polygon becomes its bounding box; for segmentation, the areas of boxes and polygons become the mask.
    An image without a label file has no objects (a warning). Raise `UserError` for an invalid YAML file, and for
    boxes in pixels.
    """
    file = yolo_config.config_file(root)
    root = root.parent if root.is_file() else root
    collection = Collection(root, "yolo", kind, [], {})
    content = {} if file is None else yolo_config.loaded(file)
    collection.classes = _names(collection, file, content)
    entries = yolo_config.images_by_split(collection, file, content) if file is not None else {}
    pictures = entries or _from_folders(root)
    if not pictures.get("train"):
        raise UserError(f"{file or root}: no training images found: expected images/train, or train: in data.yaml")
    _without_train_as_val(collection, file, pictures)
    everything = [image for files in pictures.values() for image in files]
    files = [label for label in map(_label_file, everything) if label.is_file()]
    form = Form(len(collection.classes), yolo_config.keypoints(content) or yolo_lines.looks_like_poses(files), kind)
    if form.keypoints:
        collection.notes.append("lines have keypoints after each box: the boxes are read, the keypoints are ignored")
    yolo_lines.refuse_pixels(files)
    _fill(collection, pictures, form)
    _blame_strays(collection, set(everything))
    return collection


def _fill(collection: Collection, pictures: dict[str, list[Path]], form: Form) -> None:
    unnamed = 0
    for split, images in pictures.items():
        samples = []
        for image in images:
            label_file = _label_file(image)
            found = LabelFile(collection, image, label_file, form)
            unnamed = max(unnamed, found.highest + 1)
            name = name_of(image, collection.root)
            samples.append(Sample(name, image, found.label(), label_file if label_file.is_file() else None))
        collection.splits[split] = samples
    if not collection.classes:
        collection.classes = [f"class {index}" for index in range(unnamed)]
        collection.notes.append("no data.yaml or classes.txt names the classes: they are numbered")
    if not collection.classes:
        raise UserError(
            f"{collection.root}: no object in any label file and no class names, so there is no class to learn"
        )
    if collection.kind == MASK:
        collection.classes = ["background", *collection.classes]


def _without_train_as_val(collection: Collection, file: Path | None, pictures: dict[str, list[Path]]) -> None:
    """Drop a val or test split with the same images as train, as in some tutorials: its metrics would mean nothing."""
    for split in ("val", "test"):
        if file is not None and pictures.get(split) and set(pictures[split]) == set(pictures["train"]):
            del pictures[split]
            collection.blame(WARNING, "same images", file, f"{split}: lists the same images as train: a part of train "
                             "is held out instead", f"list other images under {split}:",
                             f"key {split}")  # fmt: skip


def _names(collection: Collection, file: Path | None, content: dict[str, Any]) -> list[str]:
    """Return class names in the order of their numbers; empty if nothing names them."""
    listed = content.get("names")
    if isinstance(listed, dict):
        numbers = {str(number): str(name) for number, name in listed.items()}
        if set(numbers) != {str(index) for index in range(len(numbers))}:
            raise UserError(f"{file}: names: the numbers must count from 0, not {', '.join(numbers)}")
        listed = [numbers[str(index)] for index in range(len(numbers))]
    if listed is None:
        return _names_beside(collection.root)
    if not isinstance(listed, list) or not listed:
        raise UserError(f"{file}: names must be a list, or a mapping of numbers to names")
    number = str(content.get("nc", ""))
    if number.isdecimal() and int(number) != len(listed) and file is not None:
        collection.blame(WARNING, "class count", file, f"nc is {number}, but {len(listed)} names are given: the "
                         "names are used", "correct nc")  # fmt: skip
    return [text_of(str(name)) for name in listed]


def _names_beside(root: Path) -> list[str]:
    """Return the lines of classes.txt or obj.names from the root, the labels folder or a split's folder."""
    splits = [folder for folder in subfolders(root) if names.split_of(folder.name)]
    places = [root, root / "labels", root / "labels" / "train", *splits, *(folder / "labels" for folder in splits)]
    files = [place / name for place in places for name in ("classes.txt", "obj.names", "names.txt", "_darknet.labels")]
    listed = next((file for file in files if file.is_file()), None)
    lines = [] if listed is None else listed.read_text("utf-8-sig", errors="replace").splitlines()
    return [text_of(line.strip()) for line in lines if line.strip()]


def _from_folders(root: Path) -> dict[str, list[Path]]:
    """Return images by split from `images/train`, `train/images` or `train`; else all (below `images/`) as train."""
    top = root / "images"
    for home in (top, root):
        inner = subfolders(home) if home.is_dir() else []
        places = {split: folder for folder in inner if (split := names.split_of(folder.name)) is not None}
        if "train" in places:
            break
    else:
        places = {"train": top if top.is_dir() else root}
    return {split: files for split, place in places.items() if (files := _pictures(place))}


def _pictures(place: Path) -> list[Path]:
    return image_files(place / "images" if (place / "images").is_dir() else place)


def _labels_of(pictures: list[Path]) -> list[Path]:
    return [_label_file(image) for image in pictures]


def _label_file(image: Path) -> Path:
    """Return the .txt label file of an image: beside it, or with the last folder images/ in its path set to labels/."""
    beside = image.with_suffix(".txt")
    parts = list(image.parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i].lower() in ("images", "jpegimages"):
            ruled = Path(*parts[:i], "labels", *parts[i + 1 :]).with_suffix(".txt")
            return ruled if ruled.is_file() or not beside.is_file() else beside
    return beside


def _blame_strays(collection: Collection, pictures: set[Path]) -> None:
    """Report files in the label folders that belong to no image."""
    expected = {_label_file(image) for image in pictures}
    for folder in sorted({file.parent for file in expected}):
        for file in sorted(folder.glob("*.txt")) if folder.is_dir() else []:
            if file in expected:
                continue
            if file.name.lower() in _NO_LABELS:
                collection.blame(REMARK, "stray file", file, "not a label file: left out")
            else:
                collection.blame(WARNING, "missing image", file, "there is no image for this label file",
                                 "add it, or remove the label file")  # fmt: skip
