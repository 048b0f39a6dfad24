"""How close the boxes are that two runtimes find in one image."""

from __future__ import annotations

import numpy as np

from cvlib.tasks.agreement import Agreement, Outputs
from cvlib.tasks.detection.coco import Detections, overlap
from cvlib.tasks.detection.drawing import SURE
from cvlib.tasks.detection.predictions import detections


def of_boxes(expected: Outputs, found: Outputs, side: int) -> Agreement:
    """Compare every box that either finds with a score of 0.25 or more with the closest one of the other.

    A difference is one of a score, or of a corner as a share of the image's longer side, `side` pixels. A box without
    a counterpart has a difference of 1.
    """
    (one,), (other,) = detections(expected), detections(found)
    whole = Agreement()
    for sure, among in ((one, other), (other, one)):
        for difference in _differences(sure, among, side):
            whole += Agreement(difference, int(difference < 1), 1)
    return whole


def _differences(sure: Detections, among: Detections, side: int) -> list[float]:
    found = []
    for index in np.flatnonzero(sure.scores >= SURE):
        same = np.flatnonzero(among.classes == sure.classes[index])
        overlaps = overlap(sure.corners[index : index + 1], among.corners[same])[0]
        if not len(same) or overlaps.max() < 0.5:
            found.append(1.0)
            continue
        near = same[overlaps.argmax()]
        corners = np.abs(sure.corners[index] - among.corners[near]).max() / side
        found.append(float(np.max([corners, abs(sure.scores[index] - among.scores[near])])))
    return found
