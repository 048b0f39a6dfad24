"""Conversion of annotated boxes to boxes of the upright image, with the same rules for all layouts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cvlib.data.findings import ERROR, REMARK, WARNING, Finding
from cvlib.data.images import Header

_FARTHEST = 1e9  # pixels; larger coordinates are invalid
_TINY = 2  # pixels; boxes with a shorter side can hardly be learned
_SLACK = 1  # pixels beyond the edge that cause no warning, because some tools count pixels from 1 instead of 0


@dataclass(frozen=True)
class Boxes:
    """The objects of one image; without any, it is a negative image."""

    corners: np.ndarray  # float32 (n, 4): x_min, y_min, x_max, y_max in pixels of the upright image
    classes: np.ndarray  # int64 (n,), index into Dataset.classes
    crowd: np.ndarray  # bool (n,): crowd (COCO's iscrowd) or difficult, neither learned nor scored
    areas: np.ndarray | None = None  # float (n,): areas of the objects in pixels, if known (COCO's area)

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True)
class RawBoxes:
    """The objects of one image as annotated; `settle` converts them to `Boxes`."""

    corners: np.ndarray  # float64 (n, 4): x_min, y_min, x_max, y_max in pixels or relative to the sides
    classes: np.ndarray  # int64 (n,), index into Collection.classes
    crowd: np.ndarray  # bool (n,)
    places: list[str]  # position of each object in the label file: "object 2 (king)", "line 3"
    relative: bool = False  # whether corners are relative to the image's sides
    size: tuple[int, int] | None = None  # height, width of the image according to the annotation
    place: str = ""  # position of the image in a label file of many images
    areas: np.ndarray | None = None  # float64 (n,): areas of the objects in pixels, if annotated

    def __len__(self) -> int:
        return len(self.classes)


def raw(
    corners: list[tuple[float, float, float, float]], classes: list[int], crowd: list[bool], places: list[str],
    relative: bool = False, size: tuple[int, int] | None = None, place: str = "",
) -> RawBoxes:  # fmt: skip
    """Convert lists to `RawBoxes`; empty lists give correctly shaped arrays."""
    array = np.array(corners, np.float64).reshape(-1, 4)
    return RawBoxes(array, np.array(classes, np.int64), np.array(crowd, bool), places, relative, size, place)


def settle(label: RawBoxes, header: Header, path: str) -> tuple[Boxes, list[Finding]]:
    """Return the boxes in pixels of the upright image, float32, and the findings; `path` is the label file.

    A box that extends beyond the image is clipped, with a warning if it does so by more than one pixel. A box without
    width or height, with an invalid corner, or entirely outside the image is dropped (an error). A repeated box of
    the same class is kept once (a warning). Boxes refer to the upright image. If the annotated size equals only that of
    the image as stored, before its EXIF rotation, the boxes are rotated with the image. Any other size is reported as a
    warning.
    """
    findings: list[Finding] = []
    label = _scaled(label, header, path, findings)
    height, width = header.size
    kept: list[int] = []
    corners = label.corners.copy()
    for i, place in enumerate(label.places):
        problem = _problem(corners[i], height, width)
        if problem:
            kind, message = problem
            findings.append(Finding(ERROR, kind, path, message, "correct or remove it", place))
            continue
        clipped = np.clip(corners[i], 0, [width, height, width, height])
        if np.abs(clipped - corners[i]).max() > _SLACK:
            findings.append(Finding(WARNING, "box outside", path, f"the box {_text(corners[i])} extends beyond "
                                    f"the {width}×{height} image: clipped", "correct it", place))  # fmt: skip
        corners[i] = clipped
        kept.append(i)
        if min(clipped[2] - clipped[0], clipped[3] - clipped[1]) < _TINY:
            findings.append(Finding(WARNING, "tiny box", path, f"the box {_text(clipped)} is less than {_TINY} pixels "
                                    "wide or high", "remove it if it is a mistake", place))  # fmt: skip
    kept = _without_repeats(label, corners, kept, path, findings)
    if kept and label.crowd[kept].all():
        findings.append(Finding(REMARK, "all difficult", path, "all objects are difficult or crowds, so none is "
                                "learned or scored", "", label.place))  # fmt: skip
    areas = None if label.areas is None else label.areas[kept]
    return Boxes(corners[kept].astype(np.float32), label.classes[kept], label.crowd[kept], areas), findings


def _scaled(label: RawBoxes, header: Header, path: str, findings: list[Finding]) -> RawBoxes:
    """Convert the boxes to pixels of the upright image."""
    if label.relative:
        height, width = header.size
        return replace(label, corners=label.corners * [width, height, width, height], relative=False)
    if label.size is None or label.size == header.size:
        return label
    if label.size == header.stored:
        return replace(label, corners=_turned(label.corners, header))
    declared, actual = (f"{width}×{height}" for height, width in (label.size, header.size))
    message = f"the annotated image size is {declared}, but the image is {actual}: boxes are read in its pixels"
    findings.append(Finding(WARNING, "size tag", path, message, "check that the boxes fit", label.place))
    return label


def _turned(corners: np.ndarray, header: Header) -> np.ndarray:
    """Convert corners from the stored to the upright image, for EXIF orientations 5–8."""
    height, width = header.stored
    x, y = corners[:, 0::2], corners[:, 1::2]
    upright_x = height - y if header.orientation in (6, 7) else y
    upright_y = width - x if header.orientation in (7, 8) else x
    low_x, low_y = upright_x.min(axis=1), upright_y.min(axis=1)
    return np.stack([low_x, low_y, upright_x.max(axis=1), upright_y.max(axis=1)], axis=1)


def _problem(corners: np.ndarray, height: int, width: int) -> tuple[str, str] | None:
    """Return the kind and message of the problem that makes a box unusable, or None."""
    if not (np.abs(corners) < _FARTHEST).all():  # also catches NaN
        return "invalid box number", f"the box {_text(corners)} has an invalid corner"
    x_min, y_min, x_max, y_max = corners
    if x_max <= x_min or y_max <= y_min:
        reason = "its corners are swapped" if x_max < x_min or y_max < y_min else "it has no area"
        return "degenerate box", f"the box {_text(corners)} is invalid: {reason}"
    if x_max <= 0 or y_max <= 0 or x_min >= width or y_min >= height:
        return "box fully outside", f"the box {_text(corners)} lies outside the {width}×{height} image"
    return None


def _without_repeats(
    label: RawBoxes, corners: np.ndarray, kept: list[int], path: str, findings: list[Finding]
) -> list[int]:
    first: dict[bytes, int] = {}
    result = []
    for i in kept:
        same = first.setdefault(corners[i].tobytes(), i)
        if same != i and label.classes[same] == label.classes[i]:
            findings.append(Finding(WARNING, "repeated box", path, f"same box and class as {label.places[same]}: kept "
                                    "once", "remove one of them", label.places[i]))  # fmt: skip
            continue
        if same != i:
            findings.append(Finding(WARNING, "box with two classes", path, f"same box as {label.places[same]} with "
                                    "another class", "remove the wrong one", label.places[i]))  # fmt: skip
        result.append(i)
    return result


def _text(corners: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:g}" for value in (round(float(corner), 1) for corner in corners)) + ")"
