"""Agreement of the boxes that two runtimes find in one image."""

from __future__ import annotations

import numpy as np

from cvlib.tasks.agreement import Agreement, Outputs
from cvlib.tasks.detection.coco import Detections, overlap
from cvlib.tasks.detection.drawing import MIN_DRAWN_SCORE
from cvlib.tasks.detection.predictions import detections


def of_boxes(expected: Outputs, found: Outputs, side: int) -> Agreement:
    """Compare every box scoring at least 0.25, from either runtime, with the closest box from the other runtime.

    The difference is the larger of the score difference and the largest corner difference. The latter is a share of
    the image's longer side, `side` pixels. A box without a counterpart has a difference of 1. A counterpart has the
    same class and an IoU of at least 0.5.
    """
    (first,), (second,) = detections(expected), detections(found)
    total = Agreement()
    for boxes, others in ((first, second), (second, first)):
        for difference in _differences(boxes, others, side):
            total += Agreement(difference, int(difference < 1), 1)
    return total


def _differences(boxes: Detections, others: Detections, side: int) -> list[float]:
    differences = []
    for index in np.flatnonzero(boxes.scores >= MIN_DRAWN_SCORE):
        same_class = np.flatnonzero(others.classes == boxes.classes[index])
        overlaps = overlap(boxes.corners[index : index + 1], others.corners[same_class])[0]
        if not len(same_class) or overlaps.max() < 0.5:
            differences.append(1.0)
            continue
        closest = same_class[overlaps.argmax()]
        corners = np.abs(boxes.corners[index] - others.corners[closest]).max() / side
        differences.append(float(np.max([corners, abs(boxes.scores[index] - others.scores[closest])])))
    return differences
