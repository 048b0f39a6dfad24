"""Merge the detections in overlapping windows, so that an object on a seam is found once. Needs no Keras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from cvlib.data import tiles
from cvlib.data.input_spec import InputSpec
from cvlib.tasks.detection.coco import Detections

_EDGE = 0.02  # of a window's side: a box that ends within this distance of a seam is probably cut by it
_INSIDE = 0.5  # a cut box is a part of a box that covers this share of it, or of which it covers this share
_CUT = 0.5  # factor of a cut box's score when boxes compete
_IOU = 0.5  # two boxes of one class with a larger IoU show the same object
_BATCH = 16


@dataclass(frozen=True)
class _Boxes:
    """The boxes of all windows in pixels of the image, each array with one row per box."""

    corners: np.ndarray  # float32 (n, 4)
    scores: np.ndarray  # float32 (n,)
    classes: np.ndarray  # int (n,)
    cut: np.ndarray  # bool (n,): whether the box ends at a seam
    window: np.ndarray  # int (n,)


def merged(found: Sequence[Detections], size: tuple[int, int], spec: InputSpec) -> Detections:
    """Return the detections in an image, highest score first.

    Boxes of different windows compete by non-maximum suppression: two boxes of one class are the same object if their
    IoU exceeds 0.5, or if one of them ends at a seam and one covers half of the other. A box at a seam competes with
    half its score, so that the whole object wins over its parts. It also loses against a box of another class that
    covers half of it, because a part often looks like something else. Objects larger than the overlap can still be
    found twice.

    Args:
        found: the detections in each window of `tiles.windows`, in pixels of the window.
        size: height and width of the image.
        spec: the size of a window and their overlap.
    """
    boxes = _gathered(found, size, spec)
    rank = np.argsort(-boxes.scores * np.where(boxes.cut, _CUT, 1.0), kind="stable")
    alive, kept = np.ones(len(rank), bool), []
    for place in rank.tolist():
        if alive[place]:
            kept.append(place)
            alive &= ~_same_object(boxes, place)
    best: np.ndarray = np.array(kept, np.int64)
    best = best[np.argsort(-boxes.scores[best], kind="stable")]
    return Detections(boxes.corners[best], boxes.scores[best], boxes.classes[best])


def _gathered(found: Sequence[Detections], size: tuple[int, int], spec: InputSpec) -> _Boxes:
    """Move the boxes of all windows to the image, and clip them to it."""
    height, width = size
    origins = tiles.windows(np.array([size]), spec).corners
    counts = [len(one) for one in found]
    window = np.repeat(np.arange(len(found)), counts)
    corners = np.concatenate([one.corners.reshape(-1, 4) for one in found]).astype(np.float32)
    own = np.tile(origins[window][:, ::-1], 2)  # (left, top, left, top)
    reach = _EDGE * np.array([spec.width, spec.height])
    low, high = own[:, :2] > 0, own[:, :2] + [spec.width, spec.height] < [width, height]  # ends that are seams
    ends: np.ndarray = np.array([spec.width, spec.height]) - reach
    cut = ((low & (corners[:, :2] < reach)) | (high & (corners[:, 2:] > ends))).max(axis=1, initial=False)
    moved = np.clip(corners + own, 0, [width, height, width, height]).astype(np.float32)
    classes = np.concatenate([one.classes for one in found]).astype(np.int64)
    boxes = _Boxes(moved, np.concatenate([one.scores for one in found]), classes, cut, window)
    shown = (moved[:, 2:] > moved[:, :2]).all(axis=1)  # not entirely in the padding
    return _Boxes(*(getattr(boxes, name)[shown] for name in boxes.__dataclass_fields__))


def _same_object(boxes: _Boxes, place: int) -> Bool[np.ndarray, " n"]:
    """Return which boxes show the same object as the box at `place`, itself included."""
    shared, areas, cut = _intersections(boxes.corners, boxes.corners[place]), _areas(boxes.corners), boxes.cut
    overlapping = shared > _IOU * (areas + areas[place] - shared)
    part = (cut | cut[place]) & (shared > _INSIDE * np.minimum(areas, areas[place]))
    piece = cut & (not cut[place]) & (shared > _INSIDE * areas)
    alike = boxes.classes == boxes.classes[place]
    same: np.ndarray = (boxes.window != boxes.window[place]) & ((alike & (overlapping | part)) | piece)
    same[place] = True
    return same


def _areas(corners: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, " n"]:
    found: np.ndarray = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
    return found


def _intersections(corners: Float[np.ndarray, "n 4"], other: Float[np.ndarray, " 4"]) -> Float[np.ndarray, " n"]:
    sides = np.minimum(corners[:, 2:], other[2:]) - np.maximum(corners[:, :2], other[:2])
    found: np.ndarray = np.clip(sides, 0, None).prod(axis=1)
    return found


def found_in(
    predict: Callable[[np.ndarray], Sequence[Detections]], image: np.ndarray, spec: InputSpec
) -> Detections:  # fmt: skip
    """Return the detections in an image `(height, width, channels)`; `predict` returns those in a batch of windows."""
    size = image.shape[0], image.shape[1]
    corners = tiles.windows(np.array([size]), spec).corners
    cut = [tiles.cut(image, (top, left), spec.size) for top, left in corners.tolist()]
    found: list[Detections] = []
    for start in range(0, len(cut), _BATCH):
        found += predict(np.stack(cut[start : start + _BATCH]))
    return merged(found, size, spec)
