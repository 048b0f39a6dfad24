"""YOLO: a text file of boxes or polygons for each image, and `data.yaml` or `obj.data`; detection, segmentation."""

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
_NOT_LABELS = ("classes.txt", "notes.txt", "readme.txt", "labels.txt", "names.txt", "train.txt", "val.txt", "valid.txt",
              "test.txt", "readme.roboflow.txt", "readme.dataset.txt")  # fmt: skip
_MAX_EXAMINED = 50  # approximate maximum number of label files to examine for polygons


def signs(survey: Survey) -> list[Evidence]:
    """Return evidence from a data.yaml or obj.data with class names, or from text files of boxes named after images."""
    root = survey.root
    file = yolo_config.config_file(root)
    named = file is not None and "names" in yolo_config.keys(file)
    labels = [file for file in _labels_of(survey.images) if file.is_file()]
    some = labels[:: max(1, len(labels) // _MAX_EXAMINED)]
    if not named and not any(yolo_lines.looks_like_yolo(label) for label in some[:5]):
        return []
    content = yolo_config.loaded(file) if file is not None and named else {}
    number = evidence.counted(len(labels), "text file of labels", "text files of labels")
    source = f"{file.name} and " if file is not None and named else ""
    certainty = evidence.CERTAIN if named else 0.9 if (root / "labels").is_dir() else 0.85
    kinds = [BOXES, MASK] if yolo_lines.has_polygons(some, yolo_config.keypoints(content)) else [BOXES]
    return [Evidence("yolo", kind, root, certainty, source + number, TITLE) for kind in kinds]


def read(root: Path, kind: LabelKind, config: DataConfig) -> Collection:
    """Read the images that `data.yaml` lists (or all images found), and the lines of their label files.

    A line is a class and a box (centre x, y, width, height relative to the image's sides), or a class and a polygon.
    For detection, a polygon is replaced by its bounding box. For segmentation, boxes and polygons are filled. An image
    without a label file has no objects (a warning). Raises `UserError` for a YAML file that can't be interpreted, and
    for boxes in pixels.
    """
    file = yolo_config.config_file(root)
    root = root.parent if root.is_file() else root
    collection = Collection(root, "yolo", kind, [], {})
    content = {} if file is None else yolo_config.loaded(file)
    collection.classes = _names(collection, file, content)
    entries = yolo_config.images_by_split(collection, file, content) if file is not None else {}
    pictures = entries or _from_folders(root)
    if not pictures.get("train"):
        raise UserError(
            f"{file or root}: no training images found: expected images/train, or the key train in data.yaml"
        )
    _without_train_as_val(collection, file, pictures)
    everything = [image for files in pictures.values() for image in files]
    files = [label for label in map(_label_file, everything) if label.is_file()]
    form = Form(len(collection.classes), yolo_config.keypoints(content) or yolo_lines.guess_keypoints(files), kind)
    if form.keypoints:
        collection.notes.append("the lines contain keypoints after each box: only the boxes are read")
    yolo_lines.refuse_pixels(files)
    _fill(collection, pictures, form)
    _blame_strays(collection, set(everything))
    return collection


def _fill(collection: Collection, pictures: dict[str, list[Path]], form: Form) -> None:
    class_count = 0
    for split, images in pictures.items():
        samples = []
        for image in images:
            label_file = _label_file(image)
            found = LabelFile(collection, image, label_file, form)
            class_count = max(class_count, found.highest + 1)
            name = name_of(image, collection.root)
            samples.append(Sample(name, image, found.label(), label_file if label_file.is_file() else None))
        collection.splits[split] = samples
    if not collection.classes:
        collection.classes = [f"class {index}" for index in range(class_count)]
        collection.notes.append("neither data.yaml nor classes.txt names the classes: they are numbered")
    if not collection.classes:
        raise UserError(
            f"{collection.root}: no class names and no object in any label file, so there is no class to learn"
        )
    if collection.kind == MASK:
        collection.classes = ["background", *collection.classes]


def _without_train_as_val(collection: Collection, file: Path | None, pictures: dict[str, list[Path]]) -> None:
    """Remove a val or test split that lists the training images, as in some tutorials: it would measure nothing."""
    for split in ("val", "test"):
        if file is not None and pictures.get(split) and set(pictures[split]) == set(pictures["train"]):
            del pictures[split]
            collection.blame(WARNING, "same images", file, f"{split} lists the same images as train: {split} is split "
                             "off from train instead, so that it measures unseen images", f"list other images under "
                             f"{split}", f"key {split}")  # fmt: skip


def _names(collection: Collection, file: Path | None, content: dict[str, Any]) -> list[str]:
    """Return the class names in the order of their numbers, or an empty list if nothing names them."""
    listed = content.get("names")
    if isinstance(listed, dict):
        numbers = {str(number): str(name) for number, name in listed.items()}
        if set(numbers) != {str(index) for index in range(len(numbers))}:
            raise UserError(f"{file}: names: expected numbers from 0 without gaps, not {', '.join(numbers)}")
        listed = [numbers[str(index)] for index in range(len(numbers))]
    if listed is None:
        return _names_beside(collection.root)
    if not isinstance(listed, list) or not listed:
        raise UserError(f"{file}: names must be a list, or a mapping of numbers to names")
    number = str(content.get("nc", ""))
    if number.isdecimal() and int(number) != len(listed) and file is not None:
        collection.blame(WARNING, "class count", file, f"nc is {number}, but there are {len(listed)} names: the "
                         "names are used", "correct nc")  # fmt: skip
    return [text_of(str(name)) for name in listed]


def _names_beside(root: Path) -> list[str]:
    """Return the class names from classes.txt or obj.names in the root, in a labels folder or in a split's folder."""
    splits = [folder for folder in subfolders(root) if names.split_of(folder.name)]
    places = [root, root / "labels", root / "labels" / "train", *splits, *(folder / "labels" for folder in splits)]
    files = [place / name for place in places for name in ("classes.txt", "obj.names", "names.txt", "_darknet.labels")]
    listed = next((file for file in files if file.is_file()), None)
    lines = [] if listed is None else listed.read_text("utf-8-sig", errors="replace").splitlines()
    return [text_of(line.strip()) for line in lines if line.strip()]


def _from_folders(root: Path) -> dict[str, list[Path]]:
    """Return the images by split, from the first of these places that exists.

    Split folders below `images/`, such as `images/train`; split folders in the root, such as `train` or `train/images`;
    all images below `images/`, as train; all images below the root, as train.
    """
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
    """Return the path of an image's label file, ending in .txt.

    It is the image's path with the last folder named images replaced by labels. If only a file beside the image exists,
    or if there is no such folder, it is the path beside the image.
    """
    beside = image.with_suffix(".txt")
    parts = list(image.parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i].lower() in ("images", "jpegimages"):
            in_labels = Path(*parts[:i], "labels", *parts[i + 1 :]).with_suffix(".txt")
            return in_labels if in_labels.is_file() or not beside.is_file() else beside
    return beside


def _blame_strays(collection: Collection, pictures: set[Path]) -> None:
    """Report the text files in the label folders that belong to no image."""
    expected = {_label_file(image) for image in pictures}
    for folder in sorted({file.parent for file in expected}):
        for file in sorted(folder.glob("*.txt")) if folder.is_dir() else []:
            if file in expected:
                continue
            if file.name.lower() in _NOT_LABELS:
                collection.blame(REMARK, "stray file", file, "not a label file: left out")
            else:
                collection.blame(WARNING, "missing image", file, "there is no image for this label file",
                                 "add it, or remove the label file")  # fmt: skip
