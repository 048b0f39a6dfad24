"""CreateML: JSON files that list images with boxes, beside the images; one file, or one per split."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from cvlib.config.schema import DataConfig
from cvlib.data.findings import ERROR, WARNING
from cvlib.data.labels import BOXES, LabelKind
from cvlib.data.labels import raw_boxes as boxes
from cvlib.data.labels.raw_boxes import RawBoxes
from cvlib.data.layouts import evidence, names
from cvlib.data.layouts.collection import Collection, Sample, name_of, text_of
from cvlib.data.layouts.evidence import Evidence
from cvlib.data.layouts.find import ImageFinder
from cvlib.data.layouts.survey import Survey
from cvlib.runtime.errors import UserError

TITLE = "CreateML"
_KEYS = ("x", "y", "width", "height")
_IMAGE_FIRST = re.compile(r'\s*\[\s*\{\s*"image"\s*:\s*"')  # a list whose first image may have no boxes


def signs(survey: Survey) -> list[Evidence]:
    """Return evidence from JSON files with a list of images and their annotations."""
    files = _files(survey)
    if not files:
        return []
    first = files[0].name if survey.root.is_file() else name_of(files[0], survey.root)
    why = f"{evidence.counted(len(files), 'JSON file')} with a list of images and boxes ({first})"
    return [Evidence("createml", BOXES, survey.root, evidence.CERTAIN, why, TITLE)]


def read(root: Path, kind: LabelKind, config: DataConfig) -> Collection:
    """Read the images that the JSON files list; a box is its centre, width and height in pixels.

    The classes are the labels in alphabetical order. The split of a file is the one in its name or its folder's name;
    a file without one, or a single file, belongs to train. Raises `UserError` if there is no such file, if a file is
    not a JSON list, or if no annotation has a class.
    """
    folder = root.parent if root.is_file() else root
    files = [root] if root.is_file() else _files(Survey(root))
    if not files:
        raise UserError(f"{folder}: no CreateML JSON file found: expected a list of images with annotations")
    collection = Collection(folder, "createml", kind, [], {})
    contents = {file: _loaded(file) for file in files}
    collection.classes = sorted({_class(item) for entries in contents.values() for entry in entries
                                 for item in _annotations(entry) if _problem(item) is None})  # fmt: skip
    if not collection.classes:
        raise UserError(f"{files[0]}: no usable annotation, so there is no class to learn: each needs a label and "
                        "coordinates (x, y, width, height)")  # fmt: skip
    without = [file for file in files if _split(file, folder) is None]
    if len(files) > 1 and without:
        shown = name_of(without[0], folder)
        collection.notes.append(f"{evidence.counted(len(without), 'JSON file')} without a split in the name, such as "
                                f"{shown}: read as train")  # fmt: skip
    for file, entries in contents.items():
        split = (_split(file, folder) if len(files) > 1 else None) or "train"
        collection.splits.setdefault(split, []).extend(_samples(collection, file, entries, split))
    return collection


def _files(survey: Survey) -> list[Path]:
    files = [survey.root] if survey.root.is_file() else survey.by_suffix.get(".json", [])
    return [file for file in files if _looks_like_createml(survey.head(file))]


def _looks_like_createml(head: str) -> bool:
    if not head.lstrip().startswith("[") or not re.search(r'"annotations"\s*:\s*\[', head):
        return False
    return ('"coordinates"' in head and '"label"' in head) or _IMAGE_FIRST.match(head) is not None


def _split(file: Path, root: Path) -> str | None:
    inner = [folder.name for folder in file.parents if folder != root and folder.is_relative_to(root)]
    return next((split for text in (file.stem, *inner) if (split := names.split_in(text))), None)


def _loaded(file: Path) -> list[Any]:
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: can't be read as JSON: {' '.join(str(error).split())}") from None
    if not isinstance(content, list):
        raise UserError(f"{file}: not a CreateML JSON file: expected a list of images with annotations, found a "
                        f"{type(content).__name__}")  # fmt: skip
    return content


def _annotations(entry: Any) -> list[Any]:
    listed = entry.get("annotations") if isinstance(entry, dict) else None
    return listed if isinstance(listed, list) else []


def _samples(collection: Collection, file: Path, entries: list[Any], split: str) -> list[Sample]:
    finder = ImageFinder(collection.root, list(dict.fromkeys([file.parent, collection.root])))
    seen = {sample.name for sample in collection.splits.get(split, [])}
    samples = []
    for index, entry in enumerate(entries):
        place = f"[{index}]"
        image = _image(collection, file, entry, place, finder)
        if image is None:
            continue
        name = name_of(image, collection.root)
        if name in seen:
            collection.blame(
                WARNING, "listed twice", file, f"{name} is already listed: left out", "remove one entry", place
            )
            continue
        seen.add(name)
        samples.append(Sample(name, image, _label(collection, file, entry, place), file))
    collection.notes += [f"{name_of(file, collection.root)}: {note}" for note in finder.notes()]
    return samples


def _image(collection: Collection, file: Path, entry: Any, place: str, finder: ImageFinder) -> Path | None:
    good = isinstance(entry, dict) and isinstance(entry.get("image"), str)
    if not good or not isinstance(entry.get("annotations"), list):
        collection.blame(ERROR, "bad image entry", file, "an entry needs an image (a file name) and a list of "
                         "annotations", "add them", place)  # fmt: skip
        return None
    image, problem = finder.look_up(entry["image"])
    if image is None:
        collection.blame(ERROR, "missing image", file, problem, "add it, or remove the entry", place)
    return image


def _label(collection: Collection, file: Path, entry: dict[str, Any], place: str) -> RawBoxes:
    corners, classes, places = [], [], []
    for index, item in enumerate(entry["annotations"]):
        where = f"{place} ({entry['image']}), annotation {index}"
        if (problem := _problem(item)) is not None:
            collection.blame(ERROR, problem[0], file, problem[1], "correct or remove it", where)
            continue
        x, y, width, height = (float(item["coordinates"][key]) for key in _KEYS)
        corners.append((x - width / 2, y - height / 2, x + width / 2, y + height / 2))
        classes.append(collection.classes.index(_class(item)))
        places.append(where)
    return boxes.raw(corners, classes, [False] * len(classes), places, place=place)


def _class(item: dict[str, Any]) -> str:
    return text_of(item["label"].strip())


def _problem(item: Any) -> tuple[str, str] | None:
    """Return the kind and message of the problem that makes an annotation unusable, or None."""
    if not isinstance(item, dict):
        return "bad annotation", f"an annotation must be an object, not {type(item).__name__}"
    if not isinstance(item.get("label"), str) or not item["label"].strip():
        return "missing class", "the annotation has no label"
    box = item.get("coordinates")
    if box is None:
        return "missing box", "the annotation has no coordinates"
    if not isinstance(box, dict) or not all(_is_number(box.get(key)) for key in _KEYS):
        return "invalid box number", f"coordinates must be four numbers ({', '.join(_KEYS)}), not {str(box)[:60]}"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
