"""The lines of YOLO's label files: a class and a box, a polygon, or a box with keypoints."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cvlib.data.findings import ERROR, REMARK, WARNING
from cvlib.data.labels import MASK, LabelKind
from cvlib.data.labels import raw_boxes as boxes
from cvlib.data.labels.raw_boxes import RawBoxes
from cvlib.data.layouts.collection import Collection, name_of
from cvlib.data.layouts.painted import Painted
from cvlib.runtime.errors import UserError

_MAX_RELATIVE = 2.0  # larger values can't be relative to a side, even if a box extends far beyond the image


@dataclass(frozen=True)
class Form:
    """The contents of the lines in a collection's label files."""

    classes: int  # number of classes; 0 if nothing names them
    keypoints: int  # keypoint numbers after each box
    kind: LabelKind


class LabelFile:
    """One parsed label file; its problems are added to the collection's findings."""

    def __init__(self, collection: Collection, image: Path, file: Path, form: Form):
        self.image, self.form = image, form
        self.classes: list[int] = []
        self.values: list[list[float]] = []
        self.places: list[str] = []
        self.highest = -1  # the highest class number
        if not file.is_file():
            collection.blame(WARNING, "missing label file", image, f"there is no {name_of(file, collection.root)}: "
                             "read as an image without objects",
                             "add an empty file if the image has no objects")  # fmt: skip
            return
        for number, line in _lines(file):
            self._add(collection, file, line.split(), f"line {number}")
        polygons = sum(len(values) > 4 for values in self.values)
        if 0 < polygons < len(self.values) and form.kind != MASK:
            collection.blame(REMARK, "polygon among boxes", file, f"{polygons} of {len(self.values)} lines are "
                             "polygons: their bounding boxes are used")  # fmt: skip

    def _add(self, collection: Collection, file: Path, words: list[str], place: str) -> None:
        try:
            label, values = _parsed(words, self.form.keypoints)
        except ValueError as error:
            collection.blame(ERROR, "bad label line", file, str(error), "correct or remove it", place)
            return
        count = self.form.classes
        if label < 0 or (count and label >= count):
            known = f"only 0 to {count - 1} exist" if count else "class numbers start at 0"
            collection.blame(ERROR, "unknown class", file, f"class {label}, but {known}", "correct or remove it", place)
            return
        self.highest = max(self.highest, label)
        self.classes.append(label)
        self.values.append(values)
        self.places.append(place)

    def label(self) -> RawBoxes | Painted:
        """Return the image's label, of the collection's kind."""
        if self.form.kind == MASK:
            shapes = [(label + 1, [_ring(values)], False)
                      for label, values in zip(self.classes, self.values, strict=True)]  # fmt: skip
            return Painted(self.image, shapes, None, relative=True)
        corners = [_corners(values) for values in self.values]
        return boxes.raw(corners, self.classes, [False] * len(corners), self.places, relative=True)


def _lines(file: Path) -> list[tuple[int, str]]:
    """Return the non-empty lines of a file, with their line numbers."""
    text = file.read_text("utf-8-sig", errors="replace")
    return [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _parsed(words: list[str], keypoints: int) -> tuple[int, list[float]]:
    """Return the class and the coordinates in a line; raises `ValueError` with the problem."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        raise ValueError(f"{' '.join(words)[:60]!r} contains something other than numbers") from None
    if not all(math.isfinite(number) for number in numbers) or numbers[0] != int(numbers[0]):
        raise ValueError("the class must be a whole number, and the other numbers must be finite")
    count = len(numbers) - 1
    if keypoints:
        if count not in (4, 4 + keypoints):
            raise ValueError(f"expected a class, a box and {keypoints} keypoint numbers, found {len(numbers)} numbers")
        return int(numbers[0]), numbers[1:5]
    if count != 4 and (count < 6 or count % 2):
        raise ValueError(f"expected 4 numbers (or a polygon of at least 3 points) after the class, found {count}")
    return int(numbers[0]), numbers[1:]


def _corners(values: list[float]) -> tuple[float, float, float, float]:
    if len(values) == 4:
        x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    points = np.array(values).reshape(-1, 2)
    (x_min, y_min), (x_max, y_max) = points.min(axis=0), points.max(axis=0)
    return float(x_min), float(y_min), float(x_max), float(y_max)


def _ring(values: list[float]) -> list[float]:
    """Return the points of a polygon as a flat list; a box becomes the polygon of its corners."""
    if len(values) > 4:
        return values
    left, top, right, bottom = _corners(values)
    return [left, top, right, top, right, bottom, left, bottom]


def _numbers(files: Iterable[Path]) -> list[tuple[Path, int, list[float]]]:
    """Return the numeric lines of label files as (file, line number, numbers)."""
    found = []
    for file in files:
        for number, line in _lines(file):
            try:
                found.append((file, number, [float(word) for word in line.split()]))
            except ValueError:
                continue
    return found


def looks_like_yolo(file: Path) -> bool:
    """Return whether the first line of a text file, if any, is a class with a box, a polygon, or box and keypoints."""
    try:
        lines = _lines(file)
        return not lines or len(_parsed(lines[0][1].split(), 0)[1]) >= 4
    except ValueError:
        try:
            words = [float(word) for word in lines[0][1].split()]
        except ValueError:
            return False
        return len(words) >= 8 and words[0] == int(words[0])  # with keypoints
    except OSError:
        return False


def has_polygons(files: Iterable[Path], keypoints: int) -> bool:
    """Return whether any line is a polygon, so that the files also provide masks."""
    files = list(files)
    if keypoints or guess_keypoints(files):
        return False
    return any(len(numbers) >= 7 and len(numbers) % 2 for _, _, numbers in _numbers(files))


def guess_keypoints(files: Iterable[Path]) -> int:
    """Guess from the lines how many keypoint numbers follow each box; 0 if the lines do not look like poses.

    All lines of poses are equally long, and every third number after the box is a visibility of 0, 1 or 2.
    """
    lines = [numbers for _, _, numbers in _numbers(list(files)[:50])]
    lengths = {len(numbers) for numbers in lines}
    if len(lengths) != 1 or (length := lengths.pop()) < 11 or (length - 5) % 3:
        return 0
    flags = {value for numbers in lines for value in numbers[7::3]}
    return length - 5 if flags <= {0.0, 1.0, 2.0} else 0


def refuse_pixels(files: Iterable[Path]) -> None:
    """Raise `UserError` if most boxes are in pixels instead of relative to the image's sides."""
    lines = _numbers(list(files)[:200])
    pixels = [(file, number, numbers) for file, number, numbers in lines
              if len(numbers) >= 5 and sum(abs(value) > _MAX_RELATIVE for value in numbers[1:5]) >= 2]  # fmt: skip
    if pixels and 2 * len(pixels) > len(lines):
        file, number, numbers = pixels[0]
        shown = " ".join(f"{value:g}" for value in numbers[:5])
        raise UserError(f"{file}, line {number}: {shown} looks like pixels, but YOLO's numbers are relative to the "
                        "image's width and height (0 to 1): divide by the width and height")  # fmt: skip
