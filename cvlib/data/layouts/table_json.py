"""JSON files and JSON lines that hold a table: one flat object per image, or a mapping from image to class.

Examples are `metadata.jsonl` of Hugging Face's image folders, Label Studio's JSON-MIN, and SageMaker's manifests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LINES = (".jsonl", ".ndjson", ".manifest")
SUFFIXES = (".json", *LINES)
_HEAD = 2**16  # characters
_MAPPING = re.compile(r'\s*\{\s*"[^"]+\.(?:jpe?g|png|bmp|gif|tiff?|webp)"\s*:\s*(?:"|\d|\[\s*")', re.I)
_LISTED = re.compile(r"\s*\[\s*(?=\{)")
_BOX = ("x", "y", "width", "height")
_CLASSES = ("categories", "category", "labels", "label", "class")  # of the objects in an image


def rows(file: Path) -> list[list[str]]:
    """Return the header and the rows of the table in a JSON file; [] if it holds something else."""
    try:
        with file.open(encoding="utf-8-sig") as opened:
            head = opened.read(_HEAD)
        if file.suffix.lower() in LINES:
            return _table(_of_lines(file))
        if _MAPPING.match(head):
            content = json.loads(file.read_text("utf-8-sig"))
            return [["file", "label"], *([str(name), _cell(label)] for name, label in content.items())]
        if (match := _LISTED.match(head)) and _is_flat(json.JSONDecoder().raw_decode(head, match.end())[0]):
            return _table(json.loads(file.read_text("utf-8-sig")))
    except (ValueError, RecursionError, OSError):  # not JSON, or an object longer than the head
        pass
    return []


def _of_lines(file: Path) -> list[Any]:
    """Return the objects in the lines of a file; [] if the first is not an object that gives an image."""
    found: list[Any] = []
    with file.open(encoding="utf-8-sig") as opened:
        for line in opened:
            if line.strip():
                found.append(_manifest(json.loads(line)))
                if not _is_flat(found[0]):
                    return []
    return found


def _manifest(entry: Any) -> Any:
    """Return a line of a SageMaker manifest as a flat object, and any other line as it is."""
    if not isinstance(entry, dict) or not isinstance(entry.get("source-ref"), str):
        return entry
    for key, about in entry.items():
        if not key.endswith("-metadata") or not isinstance(about, dict):
            continue
        if "class-name" in about:
            return {"file": entry["source-ref"], "label": about["class-name"]}
        job, named = entry.get(key.removesuffix("-metadata")), about.get("class-map")
        if isinstance(job, dict) and isinstance(job.get("annotations"), list) and isinstance(named, dict):
            boxes = [[item[side] for side in ("left", "top", "width", "height")] for item in job["annotations"]]
            classes = [named.get(str(item["class_id"]), item["class_id"]) for item in job["annotations"]]
            return {"file": entry["source-ref"], "objects": {"bbox": boxes, "categories": classes}}
    return {"file": entry["source-ref"]}


def _is_flat(entry: Any) -> bool:
    """Return whether an object holds values, lists of values, and at most the boxes of its objects."""
    if not isinstance(entry, dict) or len(entry) < 2 or {"bbox", "segmentation"} & entry.keys():  # COCO's annotations
        return False
    objects = entry.get("objects")
    has_boxes = isinstance(objects, dict) and isinstance(objects.get("bbox"), list)
    rest = [value for key, value in entry.items() if key != "objects" or not has_boxes]
    return all(_is_value(value) or (isinstance(value, list) and all(map(_is_value, value))) for value in rest)


def _is_value(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return "|".join(map(_cell, value))
    return "" if value is None or isinstance(value, dict) else str(value)


def _table(entries: list[Any]) -> list[list[str]]:
    found = [row for entry in entries if isinstance(entry, dict) for row in _flattened(entry)]
    header = list(dict.fromkeys(key for row in found for key in row))
    return [header, *([_cell(row.get(key)) for key in header] for row in found)] if found else []


def _flattened(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield one row for an object, or one for each of its boxes: a corner, width and height in pixels."""
    boxed = entry.get("objects")
    if not isinstance(boxed, dict):
        yield entry
        return
    rest = {key: value for key, value in entry.items() if key != "objects"}
    classes: list[Any] = next((boxed[key] for key in _CLASSES if isinstance(boxed.get(key), list)), [])
    boxes = boxed.get("bbox") or []
    for index, box in enumerate(boxes):
        label = classes[index] if index < len(classes) else ""
        yield {**rest, "label": label, **dict(zip(_BOX, box, strict=False))}
    if not boxes:
        yield {**rest, "label": "", **dict.fromkeys(_BOX, "")}
