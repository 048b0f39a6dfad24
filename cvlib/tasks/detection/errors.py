"""A detector's errors by kind.

The kinds are those of Bolya et al., TIDE: A General Toolbox for Identifying Object Detection Errors, ECCV 2020.

Detections with a score of at least 0.25 are counted, as they are drawn. An error in both class and place counts as
background.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from cvlib.data.dataset import Boxes
from cvlib.tasks.detection import coco
from cvlib.tasks.detection.coco import Detections
from cvlib.tasks.detection.drawing import MIN_DRAWN_SCORE
from cvlib.tasks.predictions import Row

_MATCH, _NEAR = 0.5, 0.1  # IoU of a correct box, and of a box that is at least near an object
_KINDS = ("badly placed", "wrong class", "duplicate", "background")


def by_kind(truths: Sequence[Boxes], found: Sequence[Detections], classes: Sequence[str]) -> list[Row]:
    """Return for each class the numbers of objects, of objects found and missed, and of wrong detections by kind.

    A detection belongs to the class that it predicts. It is correct if it matches an object of its class at an IoU of
    at least 0.5. A duplicate matches an object that another detection has matched. A detection with the wrong class
    matches an object of another class. A badly placed one has an IoU of 0.1 to 0.5 with an object of its class. All
    others are background. Detections inside crowd boxes are not counted.
    """
    counts: Counter[tuple[int, str]] = Counter()
    for truth, detections in zip(truths, found, strict=True):
        shown = _shown(detections)
        counts.update((int(label), "objects") for label in truth.classes[~truth.crowd])
        counts.update(zip(shown.classes.tolist(), _kinds(truth, shown), strict=True))
    return [
        {"class": name, "objects": counts[label, "objects"], "found": counts[label, "correct"],
         "missed": counts[label, "objects"] - counts[label, "correct"]}
        | {kind: counts[label, kind] for kind in _KINDS}
        for label, name in enumerate(classes)
    ]  # fmt: skip


def _shown(detections: Detections) -> Detections:
    kept = detections.scores >= MIN_DRAWN_SCORE
    return Detections(detections.corners[kept], detections.scores[kept], detections.classes[kept])


def _kinds(truth: Boxes, found: Detections) -> list[str]:
    """Return "correct", "crowd" or the kind of error of each detection."""
    matched = coco.match(truth, found)
    overlaps = np.where(truth.crowd, 0, coco.overlap(found.corners, truth.corners))
    own = found.classes[:, None] == truth.classes
    same = np.where(own, overlaps, 0).max(axis=1, initial=0)
    other = np.where(own, 0, overlaps).max(axis=1, initial=0)
    rules = [matched == 1, matched == -1, same >= _MATCH, other >= _MATCH, same >= _NEAR]
    names = ["correct", "crowd", "duplicate", "wrong class", "badly placed"]
    return [str(name) for name in np.select(rules, names, "background")]
