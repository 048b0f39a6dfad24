"""How near an exported network's answers are to those of Keras."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from cvlib.export.runtimes import Predict
from cvlib.export.writers import named
from cvlib.tasks import detection
from cvlib.tasks.detection.coco import Detections, overlap
from cvlib.tasks.detection.drawing import SURE


@dataclass(frozen=True)
class Agreement:
    """Over some images: answers are classes of images or of pixels, or boxes that either is sure of."""

    difference: float  # the largest, of a probability or, as a share of the image's longer side, of a box's corner
    same: int  # answers that are the same
    answers: int


def compare(model: keras.Model, predict: Predict, pictures: list[np.ndarray]) -> Agreement:
    """Of every output, for images (height, width, channels): the same is what has its largest value at the same place.

    Undefined numbers are a difference that is undefined, and never the same.
    """
    difference, same, answers = 0.0, 0, 0
    for picture in pictures:
        for one, other in _both(model, predict, picture):
            agree = np.isfinite(other).all(axis=-1) & (one.argmax(-1) == other.argmax(-1))
            # np.max, unlike Python's, hands a NaN on.
            difference = float(np.max([difference, np.abs(one - other).max()]))
            same, answers = same + int(agree.sum()), answers + agree.size
    return Agreement(difference, same, answers)


def compare_boxes(model: keras.Model, predict: Predict, pictures: list[np.ndarray]) -> Agreement:
    """Of a detector: every box with a score of 0.25 or more, looked for among all boxes of the other."""
    difference, same, answers = 0.0, 0, 0
    for picture in pictures:
        boxes, classes, scores = _both(model, predict, picture)  # in the order of their names
        one, other = (detection.answers({"boxes": boxes[i], "scores": scores[i], "classes": classes[i]})[0]
                      for i in (0, 1))  # fmt: skip
        for sure, among in ((one, other), (other, one)):
            found = _differences(sure, among, max(picture.shape[:2]))
            difference = float(np.max([difference, *found]))
            same, answers = same + int((found < 1).sum()), answers + len(found)
    return Agreement(difference, same, answers)


def _both(model: keras.Model, predict: Predict, picture: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each output by Keras and by the exported file, in the order of the outputs' names."""
    image = picture[np.newaxis].astype(np.float32)
    expected = sorted(named(model, model(image, training=False)).items())
    return list(zip([keras.ops.convert_to_numpy(value) for _, value in expected], predict(image), strict=True))


def _differences(sure: Detections, among: Detections, side: int) -> np.ndarray:
    """For each sure box how far its nearest of the same class lies, in score or in corners; 1 where there is none."""
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
    return np.array(found)
