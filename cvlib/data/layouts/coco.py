"""COCO: one JSON file, or one per split, with boxes, masks (polygons and RLE), or the set of classes in an image."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cvlib.config.schema import DataConfig
from cvlib.data.findings import ERROR, WARNING
from cvlib.data.labels import BOXES, CLASS_SET, MASK, LabelKind
from cvlib.data.labels import raw_boxes as boxes
from cvlib.data.labels.mask import is_background
from cvlib.data.labels.raw_boxes import RawBoxes
from cvlib.data.layouts import coco_files, evidence
from cvlib.data.layouts.collection import Collection, Sample, name_of, text_of
from cvlib.data.layouts.evidence import Evidence
from cvlib.data.layouts.find import ImageFinder
from cvlib.data.layouts.painted import Painted
from cvlib.data.layouts.survey import Survey
from cvlib.runtime.errors import UserError

TITLE = "COCO"


def signs(survey: Survey) -> list[Evidence]:
    """Return evidence from JSON files with images, annotations and categories."""
    files = coco_files.json_files(survey.root)
    if not files:
        return []
    listed = ", ".join(name_of(file, survey.root) for file in files[:3]) + (", …" if len(files) > 3 else "")
    why = f"{evidence.counted(len(files), 'JSON file')} with images and annotations ({listed})"
    if coco_files.is_panoptic(files[0]):
        return [Evidence("coco", kind, survey.root, evidence.CERTAIN, why, TITLE, _PANOPTIC.format(name_of(
            files[0], survey.root))) for kind in (BOXES, MASK)]  # fmt: skip
    return [Evidence("coco", kind, survey.root, evidence.CERTAIN, why, TITLE) for kind in coco_files.kinds(survey.root)]


_PANOPTIC = ("{} is a COCO panoptic file, which is not supported: convert it to COCO instances (with panopticapi's "
             "panoptic2detection_coco_format), or to masks of class ids")  # fmt: skip


def read(root: Path, kind: LabelKind, config: DataConfig) -> Collection:
    """Read the images that the JSON files list, with their annotations; image and category ids may be any values.

    The classes are the categories in the order of their ids; for masks, a background comes first. Raises `UserError`
    for a file that is not COCO JSON.
    """
    by_split = coco_files.find(root)
    folder = _home(root)
    if not by_split:
        raise UserError(f"{folder}: no COCO JSON file found, neither in this folder nor in annotations/")
    collection = Collection(folder, "coco", kind, [], {})
    contents = {split: _loaded(file) for split, file in by_split.items()}
    for split, content in contents.items():
        if coco_files.segments_in(content):
            raise UserError(f"{by_split[split]}: {_PANOPTIC.format(by_split[split].name)}")
    numbers = _categories(collection, by_split, contents)
    for split, content in contents.items():
        collection.splits[split or "train"] = _samples(collection, by_split[split], content, numbers)
    return collection


def _home(root: Path) -> Path:
    """Return the collection's folder; `root` is that folder or one of its JSON files."""
    if root.is_dir():
        return root
    return root.parent.parent if root.parent.name == "annotations" else root.parent


def _loaded(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{file}: can't be read as JSON: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{file}: not a COCO JSON file: expected an object with images, annotations and categories, "
                        f"found a {type(content).__name__}")  # fmt: skip
    for key in ("images", "categories"):
        if not isinstance(content.get(key), list):
            raise UserError(f"{file}: not a COCO JSON file: the list {key!r} is missing")
    return content


def _categories(
    collection: Collection, by_split: dict[str, Path], contents: dict[str, dict[str, Any]]
) -> dict[int, int]:  # fmt: skip
    """Set the collection's classes; return the class index of each category id."""
    names: dict[int, str] = {}
    for split, content in contents.items():
        for entry in content["categories"]:
            if not isinstance(entry, dict) or not isinstance(entry.get("id"), int) or "name" not in entry:
                raise UserError(f"{by_split[split]}: a category has no valid id or no name: {str(entry)[:60]}")
            name = text_of(str(entry["name"]))
            if names.setdefault(entry["id"], name) != name:
                raise UserError(f"{by_split[split]}: category {entry['id']} is named {name}, but {names[entry['id']]} "
                                "in another file of the collection")  # fmt: skip
    for number in _groupings(contents):
        name = names.pop(number)
        collection.notes.append(f"category {name} (id {number}) is only the supercategory of others and has no "
                                "annotations: it is not a class")  # fmt: skip
    ids = sorted(names)
    if not ids:
        raise UserError(f"{next(iter(by_split.values()))}: the file has no categories, so there is no class to learn")
    first: list[str] = []
    if _FORMS[collection.kind].has_background:
        ids.sort(key=lambda number: not is_background(names[number]))
        first = [] if is_background(names[ids[0]]) else ["background"]
    _warn_of_shared_names(collection, next(iter(by_split.values())), names)
    collection.classes = [*first, *dict.fromkeys(names[number] for number in ids)]
    return {number: collection.classes.index(names[number]) for number in ids}


def _groupings(contents: dict[str, dict[str, Any]]) -> list[int]:
    """Return the categories without annotations that are the supercategory of others; some tools list one first."""
    entries = [entry for content in contents.values() for entry in content["categories"]]
    above = {
        str(entry.get("supercategory")) for entry in entries if str(entry.get("supercategory")) != str(entry["name"])
    }
    groups = {entry["id"] for entry in entries if str(entry["name"]) in above}
    used = {item.get("category_id") for content in contents.values() if groups
            for item in content.get("annotations") or [] if isinstance(item, dict)
            and _is_id(item.get("category_id"))}  # fmt: skip
    return sorted(groups - used)


def _warn_of_shared_names(collection: Collection, file: Path, names: dict[int, str]) -> None:
    """Warn if several categories have the same name, because they become one class."""
    for name, count in Counter(names.values()).items():
        if count > 1:
            ids = " and ".join(str(number) for number in sorted(names) if names[number] == name)
            collection.blame(WARNING, "duplicate name", file, f"{count} categories have the same name {name} (ids "
                             f"{ids}): merged into one class", "rename one if they are two classes")  # fmt: skip


def _samples(
    collection: Collection, file: Path, content: dict[str, Any], numbers: dict[int, int]
) -> list[Sample]:  # fmt: skip
    by_image = _annotations(collection, file, content, numbers)
    finder = ImageFinder(collection.root, coco_files.image_folders(collection.root, file))
    counts = Counter(str(entry.get("id")) for entry in content["images"] if isinstance(entry, dict))
    samples: dict[str, Sample] = {}
    for index, entry in enumerate(content["images"]):
        place = f"image {entry.get('id', '?')} (images[{index}])" if isinstance(entry, dict) else f"images[{index}]"
        image = _image(collection, file, entry, place, finder)
        if image is None:
            continue
        name = name_of(image, collection.root)
        if counts[str(entry["id"])] > 1:
            message = f"another image also has the id {entry['id']}, so its annotations are ambiguous ({name})"
            collection.blame(ERROR, "duplicate image id", file, message, "give each image a unique id", place)
        elif name in samples:
            collection.blame(
                WARNING, "listed twice", file, f"{name} is already listed: left out", "remove one entry", place
            )
        else:
            label = _FORMS[collection.kind].label(image, by_image[entry["id"]], _size(entry), place)
            samples[name] = Sample(name, image, label, file)
    collection.notes += [f"{name_of(file, collection.root)}: {note}" for note in finder.notes()]
    return list(samples.values())


@dataclass(frozen=True)
class _Object:
    label: int
    shape: Any  # depends on the kind: the corners of a box, or a COCO segmentation
    crowd: bool
    place: str
    area: float | None = None  # in pixels, as given in the annotation


def _size(entry: dict[str, Any]) -> tuple[int, int] | None:
    height, width = entry.get("height"), entry.get("width")
    valid = isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0
    return (height, width) if valid else None  # type: ignore[return-value]


def _image(collection: Collection, file: Path, entry: Any, place: str, finder: ImageFinder) -> Path | None:
    known = isinstance(entry, dict) and _is_id(entry.get("id"))
    if not known or not isinstance(written := entry.get("file_name") or entry.get("coco_url"), str):  # LVIS: coco_url
        collection.blame(ERROR, "bad image entry", file, "an image needs an id and a file_name", "add them", place)
        return None
    image, problem = finder.look_up(written)
    if image is None:
        collection.blame(ERROR, "missing image", file, problem, "add it, or remove the entry", place)
    else:
        finder.bases.sort(key=lambda base: not image.is_relative_to(base))  # the next image is probably there too
    return image


def _annotations(
    collection: Collection, file: Path, content: dict[str, Any], numbers: dict[int, int]
) -> dict[Any, list[_Object]]:  # fmt: skip
    """Return the usable objects by image id."""
    entries = content.get("annotations")
    if not isinstance(entries, list):
        collection.blame(WARNING, "no annotations", file, "it has no list of annotations: all images are read as empty",
                         "is it the file of a test split without labels?")  # fmt: skip
        entries = []
    known = set(_ids(content["images"]))
    repeated = {number for number, count in Counter(_ids(entries)).items() if count > 1}
    by_image: dict[Any, list[_Object]] = defaultdict(list)
    for index, entry in enumerate(entries):
        number = entry.get("id", "?") if isinstance(entry, dict) else "?"
        place = f"annotation {number} (annotations[{index}])"
        if _is_id(number) and number in repeated:
            repeated.discard(number)
            collection.blame(WARNING, "duplicate annotation id", file, f"several annotations have the id {number}",
                             "give each annotation a unique id", place)  # fmt: skip
        try:
            image_id, item = _object(collection.kind, entry, known, numbers, place)
        except ValueError as error:
            kind, message = error.args
            collection.blame(ERROR, kind, file, message, "correct or remove it", place)
            continue
        by_image[image_id].append(item)
    return by_image


def _object(kind: LabelKind, entry: Any, known: set[Any], numbers: dict[int, int], place: str) -> tuple[Any, _Object]:
    """Return the image id and the object. Raises `ValueError(kind, message)` if the annotation can't be used."""
    if not isinstance(entry, dict):
        raise ValueError("bad annotation", f"an annotation must be an object, not {type(entry).__name__}")
    if not _is_id(entry.get("image_id")) or entry["image_id"] not in known:
        raise ValueError("unknown image", f"image_id {entry.get('image_id')} is not an image of this file")
    if not _is_id(entry.get("category_id")) or entry["category_id"] not in numbers:
        raise ValueError("unknown class", f"category_id {entry.get('category_id')} is not a category of this file")
    label, crowd = numbers[entry["category_id"]], bool(entry.get("iscrowd", 0))
    area = float(entry["area"]) if _is_number(entry.get("area")) and entry["area"] > 0 else None
    return entry["image_id"], _Object(label, _FORMS[kind].shape(entry), crowd, place, area)


def _segmentation(entry: dict[str, Any]) -> Any:
    shape = entry.get("segmentation")
    good = isinstance(shape, dict) and {"size", "counts"} <= set(shape)
    if isinstance(shape, list) and shape:
        good = all(isinstance(ring, list) and len(ring) >= 6 and len(ring) % 2 == 0 for ring in shape)
    if not good:
        raise ValueError("bad segmentation", "invalid segmentation: expected polygons of at least 3 points, or an RLE")
    return shape


def _corners(entry: dict[str, Any]) -> tuple[float, float, float, float]:
    box = entry.get("bbox")
    if box is None:
        raise ValueError("missing box", "the annotation has no bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(value) for value in box):
        raise ValueError("invalid box number", f"bbox must be four numbers (x, y, width, height), not {str(box)[:60]}")
    x, y, width, height = (float(value) for value in box)
    return x, y, x + width, y + height


def _mask(image: Path, objects: list[_Object], size: tuple[int, int] | None, place: str) -> Painted:
    return Painted(image, [(item.label, item.shape, item.crowd) for item in objects], size)


def _boxes(image: Path, objects: list[_Object], size: tuple[int, int] | None, place: str) -> RawBoxes:
    label = boxes.raw([item.shape for item in objects], [item.label for item in objects],
                      [item.crowd for item in objects], [item.place for item in objects],
                      size=size, place=place)  # fmt: skip
    areas = [item.area for item in objects]
    return label if None in areas else replace(label, areas=np.array(areas, np.float64))


def _classes(image: Path, objects: list[_Object], size: tuple[int, int] | None, place: str) -> frozenset[int]:
    return frozenset(item.label for item in objects)


@dataclass(frozen=True)
class _Form:
    """How to make one kind of label from annotations."""

    shape: Callable[[dict[str, Any]], Any]  # raises `ValueError(kind, message)`
    label: Callable[[Path, list[_Object], tuple[int, int] | None, str], RawBoxes | Painted | frozenset[int]]
    has_background: bool  # whether class 0 is the pixels that no object covers


_FORMS: dict[LabelKind, _Form] = {
    BOXES: _Form(_corners, _boxes, False),
    MASK: _Form(_segmentation, _mask, True),
    CLASS_SET: _Form(lambda entry: None, _classes, False),  # annotations need no box
}


def _ids(entries: list[Any]) -> list[int | str]:
    return [entry["id"] for entry in entries if isinstance(entry, dict) and _is_id(entry.get("id"))]


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
