"""A detector's predictions from another tool: COCO results (JSON), or a folder of YOLO text files."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cvlib.data.layouts import coco_files
from cvlib.data.split import image_sizes
from cvlib.runtime.errors import UserError
from cvlib.tasks.detection.coco import Detections
from cvlib.tasks.detection.predictions import BoxPredictions
from cvlib.tasks.imports import Imported, Matches, Targets, listed, match

_EXPECTED = "expected COCO results, a list of objects with image_id, category_id, bbox and score"
_NOT_IMAGES = ("classes.txt", "labels.txt", "obj.names")  # lists of class names beside YOLO's files
_NAMED = ("category", "category_name")  # keys of cvlib and of other tools


@dataclass(frozen=True)
class _Box:
    image: str
    label: int | None  # None: of a class that the data leaves out
    corners: tuple[float, float, float, float]
    score: float


def read(source: Path, targets: Targets) -> Imported:
    """Return the boxes in a JSON file or a folder of text files; an image without boxes may be missing."""
    matches, boxes, notes, read_as = (_read_yolo if source.is_dir() else _read_coco)(source, targets)
    found = _detections(boxes, matches, len(targets.names))
    if not any(map(len, found)):
        raise UserError(f"{source}: no box belongs to a test image of the data: set data=… to the data that was "
                        "predicted")  # fmt: skip
    empty = [name for name, boxes_of in zip(targets.names, found, strict=True) if not len(boxes_of)]
    notes = [*notes, *matches.notes()]
    if empty:
        notes.append(f"{len(empty)} of {len(found)} test images have no boxes, such as {empty[0]}")
    if dropped := sum(box.label is None for box in boxes):
        notes.append(f"left out: {dropped} boxes of classes that the data doesn't have")
    test = targets.dataset.test
    predictions = BoxPredictions(found, list(test.labels), targets.dataset.classes, image_sizes(test),
                                 targets.spec.resize)  # fmt: skip
    return Imported(predictions, read_as, notes)


def _detections(boxes: Sequence[_Box], matches: Matches, count: int) -> list[Detections]:
    """Return the boxes of each test image, in the order of the file."""
    by_image: list[list[_Box]] = [[] for _ in range(count)]
    for box in boxes:
        position = matches.positions[box.image]
        if position is not None and box.label is not None:
            by_image[position].append(box)
    return [Detections(np.array([box.corners for box in one], np.float32).reshape(-1, 4),
                       np.array([box.score for box in one], np.float32),
                       np.array([box.label for box in one], np.int64)) for one in by_image]  # fmt: skip


# COCO results


def _read_coco(source: Path, targets: Targets) -> tuple[Matches, list[_Box], list[str], str]:
    entries = _entries(source)
    annotations = _annotation_files(targets)
    images = {str(entry.get("file") or entry.get("file_name") or entry["image_id"]) for entry in entries}
    by_id = any("file" not in entry and "file_name" not in entry for entry in entries) and bool(annotations)
    if by_id:
        matches = _by_image_id(images, annotations, targets, source)
    else:
        matches = match(sorted(images), targets.dataset, source)
    labels, notes = _labels(entries, annotations, targets, source)
    boxes = [
        _Box(str(entry.get("file") or entry.get("file_name") or entry["image_id"]), label,
             _corners(entry, f"{source}, entry {index}"), _score(entry["score"], f"{source}, entry {index}"))
        for index, (entry, label) in enumerate(zip(entries, labels, strict=True))
    ]  # fmt: skip
    return matches, boxes, notes, "COCO results"


def _entries(source: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(source.read_bytes())
    except (ValueError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{source}: can't be read as JSON: {' '.join(str(error).split())}") from None
    if not isinstance(content, list) or not content:
        what = (
            "an annotation file" if isinstance(content, dict) and "annotations" in content else type(content).__name__
        )
        raise UserError(f"{source}: {_EXPECTED}, found {what if content else 'nothing'}")
    for index, entry in enumerate(content):
        keys = {"category_id", "bbox", "score"}
        if not isinstance(entry, dict) or not keys <= set(entry) or not {"image_id", "file", "file_name"} & set(entry):
            raise UserError(f"{source}, entry {index}: {_EXPECTED}, found {str(entry)[:80]}")
    return content


def _corners(entry: dict[str, Any], place: str) -> tuple[float, float, float, float]:
    box = entry["bbox"]
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)) or min(box[2:]) < 0:
        raise UserError(f"{place}: invalid bbox {str(box)[:60]}: expected x, y, width and height in pixels")
    x, y, width, height = box
    return x, y, x + width, y + height


def _score(value: Any, place: str) -> float:
    if not _is_number(value) or not 0 <= value <= 1:
        raise UserError(f"{place}: invalid score {str(value)[:40]}: expected a number from 0 to 1")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _annotation_files(targets: Targets) -> dict[str, dict[str, Any]]:
    """Return the content of the data's own COCO files by split; empty for other data."""
    if targets.dataset.layout != "coco" or targets.place is None:
        return {}
    return {split: json.loads(file.read_bytes()) for split, file in coco_files.find(targets.place).items()}


def _by_image_id(
    given: set[str], annotations: dict[str, dict[str, Any]], targets: Targets, source: Path
) -> Matches:  # fmt: skip
    """Return the positions of image ids, which the data's own COCO files define.

    Files of several splits may use the same ids for different images. The predictions are for the test split, so the
    file with most of its images counts.
    """
    known = []
    for split, content in annotations.items():
        files = {str(image["id"]): str(image["file_name"]) for image in content["images"]}
        used = {number: file for number, file in files.items() if number in given}
        found = match(used.values(), targets.dataset, source, split).positions if used else {}
        known.append({number: found[file] for number, file in used.items()})
    positions: dict[str, int | None] = {}
    for one in sorted(known, key=lambda one: sum(position is not None for position in one.values())):
        positions |= one
    if unknown := sorted(given - set(positions)):
        raise UserError(f"{source}: {len(unknown)} image ids (such as {unknown[0]}) are not in the data's COCO file: "
                        "set data=… to the data that was predicted")  # fmt: skip
    return Matches(positions)


def _labels(
    entries: Sequence[dict[str, Any]], annotations: dict[str, dict[str, Any]], targets: Targets, source: Path
) -> tuple[list[int | None], list[str]]:  # fmt: skip
    """Return the class of each entry, or None for a class that the data doesn't have, and notes."""
    key = next((key for key in _NAMED if all(isinstance(entry.get(key), str) for entry in entries)), None)
    if key is not None:
        return _known([str(entry[key]) for entry in entries], targets, source), []
    ids = [entry["category_id"] for entry in entries]
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in ids):
        raise UserError(f"{source}: a category_id is not a whole number")
    names = {category["id"]: str(category["name"]) for content in annotations.values()
             for category in content["categories"]}  # fmt: skip
    if names:
        if unknown := sorted(set(ids) - set(names)):
            raise UserError(f"{source}: category_id {unknown[0]} is not in the data's COCO file: its ids are "
                            f"{listed(map(str, sorted(names)), 8)}")  # fmt: skip
        return [targets.numbers.get(names[number]) for number in ids], []
    first = _first_id(ids, targets, source)
    note = f"the category ids count from {first}: {first} is {targets.ids[0]}"
    return [targets.numbers[targets.ids[number - first]] for number in ids], [note]


def _known(names: list[str], targets: Targets, source: Path) -> list[int | None]:
    if not any(name in targets.numbers for name in names):
        raise UserError(f"{source}: no box has a class of the data ({listed(targets.numbers, 8)}), only "
                        f"{listed(dict.fromkeys(names))}")  # fmt: skip
    return [targets.numbers.get(name) for name in names]


def _first_id(ids: Sequence[int], targets: Targets, source: Path) -> int:
    """Return whether category ids count from 0 or from 1; raise `UserError` if that is unclear."""
    count, low, high = len(targets.ids), min(ids), max(ids)
    if low < 0 or high > count or (low == 0 and high == count):
        raise UserError(f"{source}: category ids {low} to {high} don't fit the {count} classes of the data: list the "
                        "names of the tool's classes with --classes")  # fmt: skip
    if low > 0 and high < count:
        raise UserError(f"{source}: category ids {low} to {high} may count from 0 or from 1: add the class name to "
                        "each entry under the key category")  # fmt: skip
    return int(low > 0)


# YOLO


def _read_yolo(source: Path, targets: Targets) -> tuple[Matches, list[_Box], list[str], str]:
    files = {file.relative_to(source).with_suffix("").as_posix(): file
             for file in sorted(source.rglob("*.txt")) if file.name not in _NOT_IMAGES}  # fmt: skip
    matches = match(files, targets.dataset, source)
    sizes = image_sizes(targets.dataset.test)
    boxes = []
    for name, file in files.items():
        position = matches.positions[name]
        if position is not None:
            height, width = sizes[position].tolist()
            for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
                if line.strip():
                    boxes.append(_yolo_box(name, line, (height, width), targets, f"{file}, line {number}"))
    return matches, boxes, [f"class ids: {targets.order}"], "YOLO text files"


def _yolo_box(image: str, line: str, size: tuple[int, int], targets: Targets, place: str) -> _Box:
    try:
        numbers = [float(part) for part in line.split()]
    except ValueError:
        numbers = []
    if len(numbers) == 5:
        raise UserError(f"{place}: the box has no score: save the predictions with confidences (save_conf=True)")
    if len(numbers) != 6 or not all(map(math.isfinite, numbers)) or max(numbers[1:5]) > 2 or min(numbers[3:5]) < 0:
        raise UserError(f"{place}: expected a class id, the centre x and y, width and height (relative to the image), "
                        f"and a score, found {line.strip()[:60]}")  # fmt: skip
    label, x, y, width, height, score = numbers
    if label != int(label) or not 0 <= label < len(targets.ids):
        raise UserError(f"{place}: class id {line.split()[0]} is not one of the data's {len(targets.ids)} classes: "
                        "list the names of the tool's classes with --classes")  # fmt: skip
    tall, wide = size
    corners = ((x - width / 2) * wide, (y - height / 2) * tall, (x + width / 2) * wide, (y + height / 2) * tall)
    return _Box(image, targets.numbers[targets.ids[int(label)]], corners, _score(score, place))
