"""Boxes as they are written, to boxes of the upright image: one rule for all layouts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cvlib.data.findings import ERROR, REMARK, WARNING, Finding
from cvlib.data.images import Header

_FARTHEST = 1e9  # pixels; what is farther out is no corner of anything
_TINY = 2  # pixels; a side shorter than this can hardly be learned
_SLACK = 1  # pixels beyond the edge that the two customs of counting pixels (from 0, from 1) differ by


@dataclass(frozen=True)
class Boxes:
    """The objects of one image; none at all is a negative image."""

    corners: np.ndarray  # float32 (n, 4): x_min, y_min, x_max, y_max in pixels of the upright image
    classes: np.ndarray  # int64 (n,), index into Dataset.classes
    crowd: np.ndarray  # bool (n,): a crowd or difficult one, neither learned nor scored (COCO's iscrowd)
    areas: np.ndarray | None = None  # float (n,): the objects' own areas in pixels, where they are known (COCO's area)

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True)
class RawBoxes:
    """The objects of one image as its annotation has them; `settle` makes Boxes of them."""

    corners: np.ndarray  # float64 (n, 4): x_min, y_min, x_max, y_max in pixels, or in shares of the sides
    classes: np.ndarray  # int64 (n,), index into Collection.classes
    crowd: np.ndarray  # bool (n,)
    places: list[str]  # where each stands in the label file: "object 2 (king)", "line 3"
    relative: bool = False  # whether corners are shares of the image's sides
    size: tuple[int, int] | None = None  # height, width of the image, as the annotation says
    place: str = ""  # the image's own, in a label file of many
    areas: np.ndarray | None = None  # float64 (n,): the objects' areas in pixels, where the annotation has them

    def __len__(self) -> int:
        return len(self.classes)


def raw(
    corners: list[tuple[float, float, float, float]], classes: list[int], crowd: list[bool], places: list[str],
    relative: bool = False, size: tuple[int, int] | None = None, place: str = "",
) -> RawBoxes:  # fmt: skip
    """The lists as arrays, right for none too."""
    array = np.array(corners, np.float64).reshape(-1, 4)
    return RawBoxes(array, np.array(classes, np.int64), np.array(crowd, bool), places, relative, size, place)


def settle(label: RawBoxes, header: Header, path: str) -> tuple[Boxes, list[Finding]]:
    """The boxes in pixels of the upright image, float32, and what was wrong with them; `path` is the label file.

    A box that reaches out of the image is clipped (a warning; up to one pixel silently). One that has no width or
    no height, a corner that is no number, or that lies outside altogether, is dropped (an error). The same box with
    the same class twice is kept once (a warning). Boxes are those of the upright picture, unless the size in the
    annotation is that of the image as stored, lying: then they are turned with it. A size that is neither is a
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
            findings.append(Finding(ERROR, kind, path, message, "correct it or take it out", place))
            continue
        clipped = np.clip(corners[i], 0, [width, height, width, height])
        if np.abs(clipped - corners[i]).max() > _SLACK:
            findings.append(Finding(WARNING, "box outside", path, f"the box {_text(corners[i])} reaches out of the "
                                    f"{width}×{height} image: clipped", "correct it", place))  # fmt: skip
        corners[i] = clipped
        kept.append(i)
        if min(clipped[2] - clipped[0], clipped[3] - clipped[1]) < _TINY:
            findings.append(Finding(WARNING, "tiny box", path, f"the box {_text(clipped)} is under {_TINY} pixels",
                                    "take it out if it is a slip", place))  # fmt: skip
    kept = _without_repeats(label, corners, kept, path, findings)
    if kept and label.crowd[kept].all():
        findings.append(Finding(REMARK, "all difficult", path, "all objects are difficult or crowds: none is learned "
                                "or scored", "", label.place))  # fmt: skip
    areas = None if label.areas is None else label.areas[kept]
    return Boxes(corners[kept].astype(np.float32), label.classes[kept], label.crowd[kept], areas), findings


def _scaled(label: RawBoxes, header: Header, path: str, findings: list[Finding]) -> RawBoxes:
    """The same boxes in pixels of the upright image."""
    if label.relative:
        height, width = header.size
        return replace(label, corners=label.corners * [width, height, width, height], relative=False)
    if label.size is None or label.size == header.size:
        return label
    if label.size == header.stored:
        return replace(label, corners=_turned(label.corners, header))
    declared, own = (f"{width}×{height}" for height, width in (label.size, header.size))
    message = f"it says the image is {declared}, but it is {own}: boxes are taken as pixels of the image"
    findings.append(Finding(WARNING, "size tag", path, message, "look whether the boxes fit", label.place))
    return label


def _turned(corners: np.ndarray, header: Header) -> np.ndarray:
    """Corners in the stored image, as they lie in the upright one, for the orientations 5–8."""
    height, width = header.stored
    x, y = corners[:, 0::2], corners[:, 1::2]
    upright_x = height - y if header.orientation in (6, 7) else y
    upright_y = width - x if header.orientation in (7, 8) else x
    low_x, low_y = upright_x.min(axis=1), upright_y.min(axis=1)
    return np.stack([low_x, low_y, upright_x.max(axis=1), upright_y.max(axis=1)], axis=1)


def _problem(corners: np.ndarray, height: int, width: int) -> tuple[str, str] | None:
    """The kind and the message of what makes the box unusable."""
    if not (np.abs(corners) < _FARTHEST).all():  # a NaN isn't
        return "box no number", f"the box {_text(corners)} has a corner that is no number"
    x_min, y_min, x_max, y_max = corners
    if x_max <= x_min or y_max <= y_min:
        crossed = "its corners are exchanged" if x_max < x_min or y_max < y_min else "it has no area"
        return "degenerate box", f"the box {_text(corners)} can't be: {crossed}"
    if x_max <= 0 or y_max <= 0 or x_min >= width or y_min >= height:
        return "box fully outside", f"the box {_text(corners)} lies outside of the {width}×{height} image"
    return None


def _without_repeats(
    label: RawBoxes, corners: np.ndarray, kept: list[int], path: str, findings: list[Finding]
) -> list[int]:
    first: dict[bytes, int] = {}
    result = []
    for i in kept:
        same = first.setdefault(corners[i].tobytes(), i)
        if same != i and label.classes[same] == label.classes[i]:
            findings.append(Finding(WARNING, "repeated box", path, f"the same box and class as {label.places[same]}: "
                                    "kept once", "take one out", label.places[i]))  # fmt: skip
            continue
        if same != i:
            findings.append(Finding(WARNING, "box with two classes", path, f"the same box as {label.places[same]} "
                                    "under another class", "take the wrong one out", label.places[i]))  # fmt: skip
        result.append(i)
    return result


def _text(corners: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:g}" for value in (round(float(corner), 1) for corner in corners)) + ")"
