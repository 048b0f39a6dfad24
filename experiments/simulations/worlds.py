"""Simulated test images and networks of four tasks.

Images have a difficulty that all networks share. A network's skill, in logits, is that of its recipe plus the deviation
of its seed. Every world gives the contributions of the images to a metric, computed by the functions of the product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cvlib.data.dataset import Boxes
from cvlib.runs.metric_specs import MetricSpec
from cvlib.tasks import pseudo_values
from cvlib.tasks.detection import jackknife
from cvlib.tasks.detection.coco import Detections
from cvlib.tasks.segmentation import counts

Images = dict[str, np.ndarray]  # the properties of the images, each (images, …)


@dataclass(frozen=True)
class World:
    """A task whose images and networks are simulated.

    Attributes:
        task: its name.
        spec: the metric.
        lead: the lead of a better recipe, in logits; about 3 points of the metric.
        deviation: standard deviation of a seed's skill, in logits; about 1 point of the metric.
        images: returns so many images.
        test: returns a network's contributions `(images,)` for its skill.
    """

    task: str
    spec: MetricSpec
    lead: float
    deviation: float
    images: Callable[[np.random.Generator, int], Images]
    test: Callable[[np.random.Generator, Images, float], np.ndarray]


def _sigmoid(values: np.ndarray) -> np.ndarray:
    found: np.ndarray = 1 / (1 + np.exp(-values))
    return found


def _difficulties(rng: np.random.Generator, count: int) -> Images:
    return {"difficulty": rng.normal(0, 2, count)}


def _classify(rng: np.random.Generator, images: Images, skill: float) -> np.ndarray:
    """Return 1 for a correct and 0 for a wrong class; 85 % are correct for a skill of 0."""
    difficulty = images["difficulty"]
    return (rng.random(len(difficulty)) < _sigmoid(2.58 + skill - difficulty)).astype(float)


def _scenes(rng: np.random.Generator, count: int) -> Images:
    """Return the pixels of four classes in each image, `(images, 4)`; not every class occurs in every image."""
    present = rng.random((count, 4)) < [1, 0.7, 0.5, 0.3]
    shares = present * rng.gamma(1.0, 1.0, (count, 4))
    sizes = np.round(10_000 * shares / shares.sum(axis=1, keepdims=True)).astype(int)
    return {"sizes": sizes, "difficulty": rng.normal(0, 1, count)[:, None] + rng.normal(0, 0.5, (count, 4))}


def _segment(rng: np.random.Generator, images: Images, skill: float) -> np.ndarray:
    """Return contributions to mIoU, which is about 0.7; wrong pixels are given to the other classes at random."""
    sizes = images["sizes"]
    own = rng.normal(0, 0.5, sizes.shape)
    wrong = np.round(sizes * _sigmoid(images["difficulty"] + own - 2.0 - skill)).astype(int)
    targets = rng.dirichlet(np.ones(3), len(sizes))
    received = np.zeros_like(sizes)
    for label in range(4):
        others = [other for other in range(4) if other != label]
        given = np.floor(wrong[:, label, None] * targets).astype(int)
        given[:, 0] += wrong[:, label] - given.sum(axis=1)
        received[:, others] += given
    hits = sizes - wrong
    return counts.contributions(np.stack([hits, sizes + received], axis=1))["mIoU"]


def _sets(rng: np.random.Generator, count: int) -> Images:
    """Return the true classes of each image, of six, and how hard each is to recognize."""
    truth = rng.random((count, 6)) < [0.5, 0.4, 0.3, 0.3, 0.2, 0.2]
    return {"truth": truth, "difficulty": rng.normal(0, 1, (count, 6))}


def _tag(rng: np.random.Generator, images: Images, skill: float) -> np.ndarray:
    """Return contributions to mAP, which is about 0.75."""
    truth = images["truth"]
    logits = truth * (2.0 + skill) + images["difficulty"] + rng.normal(0, 0.7, truth.shape)
    return pseudo_values.macro(pseudo_values.average_precision, logits, truth)


def _objects(rng: np.random.Generator, count: int) -> Images:
    return {"objects": 1 + rng.poisson(1.0, count), "difficulty": rng.normal(0, 1.2, count)}


def _found(rng: np.random.Generator, images: Images, skill: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the image, the score and the margin of each detection; a margin above 0 is a match.

    The network sees each object with its own error, and false positives have lower scores.
    """
    owner = np.repeat(np.arange(len(images["objects"])), images["objects"])
    margin = 1.8 + skill - images["difficulty"][owner] + rng.normal(0, 1, len(owner))
    extra = np.repeat(np.arange(len(images["objects"])), rng.poisson(0.5 * np.exp(images["difficulty"] / 4)))
    margins = np.concatenate([margin, np.full(len(extra), -1.0)])
    scores = _sigmoid(np.concatenate([margin, rng.normal(-1.0, 1, len(extra))]) + rng.normal(0, 1, len(margins)))
    return np.concatenate([owner, extra]), scores, margins


def _detect(rng: np.random.Generator, images: Images, skill: float) -> np.ndarray:
    """Return contributions to the average precision at one IoU threshold, without any geometry."""
    owner, scores, margins = _found(rng, images, skill)
    order = np.argsort(-scores, kind="stable")
    return jackknife.of_average_precision(owner[order], (margins[order] > 0).astype(int), images["objects"])


def _detect_boxes(rng: np.random.Generator, images: Images, skill: float) -> np.ndarray:
    """Return contributions to mAP of boxes 100 pixels wide; the larger the margin, the closer a box to its object."""
    owner, scores, margins = _found(rng, images, skill)
    true = [Boxes(_corners(number), np.zeros(number, int), np.zeros(number, bool))
            for number in images["objects"].tolist()]  # fmt: skip
    found = []
    for image, truth in enumerate(true):
        own = owner == image
        shifts = 70 * _sigmoid(-0.8 * margins[own] - 0.4)  # pixels
        corners = _corners(int(own.sum()))
        corners[:, [1, 3]] += np.where(np.arange(len(corners)) < len(truth.classes), shifts, 0)[:, None]
        found.append(Detections(corners, scores[own].astype(np.float32), np.zeros(len(corners), int)))
    return jackknife.contributions(true, found, 1)["mAP"]


def _corners(count: int) -> np.ndarray:
    """Return boxes of 100 by 100 pixels in a row."""
    left = 200.0 * np.arange(count)
    return np.stack([left, np.zeros(count), left + 100, np.full(count, 100.0)], axis=1).astype(np.float32)


WORLDS = {
    world.task: world
    for world in (
        World("classification", MetricSpec("accuracy"), 0.4, 0.11, _difficulties, _classify),
        World("segmentation", pseudo_values.spec("mIoU"), 0.25, 0.08, _scenes, _segment),
        World("multi-label", pseudo_values.spec("mAP"), 0.2, 0.065, _sets, _tag),
        World("detection", pseudo_values.spec("mAP50"), 0.3, 0.1, _objects, _detect),
        World("detection, boxes", pseudo_values.spec("mAP"), 0.3, 0.1, _objects, _detect_boxes),
    )
}
