"""Features of a pretrained backbone for the training images, with the targets of a probe. Has a process of its own."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num

from cvlib import experiment, tasks
from cvlib.config.schema import Config
from cvlib.data.dataset import Dataset
from cvlib.data.labels import Form
from cvlib.data.labels.mask import IGNORE

_BATCH = 16
_TIMED = 5  # batches, at most
_PER_IMAGE = 32  # pixels of a mask, at most
_STRIDE = 16  # of the map in which boxes are pooled
_MOST_OVERLAP = 0.3  # of a background box with a labelled box, as intersection over union


@dataclass(frozen=True)
class Found:
    """Features for a probe.

    Attributes:
        features: float32 `(n, features)`: of each image, box or pixel.
        targets: class ids `(n,)`, or 0/1 for each class `(n, classes)`. Boxes have one more class, the background.
        groups: int `(n,)`: samples with equal numbers belong to one image or one group; None: no groups.
        names: of the samples' images.
        classes: names of the classes.
        images: number of images that were read.
        side: the longer side of the network's images in pixels.
        own_side: the longer side of the images' median size.
        image_seconds: for reading one image and computing its features, without anything that is done once.
    """

    features: Float[np.ndarray, "n features"]
    targets: Num[np.ndarray, "n ..."]
    groups: Int[np.ndarray, " n"] | None
    names: list[str]
    classes: list[str]
    images: int
    side: int
    own_side: int
    image_seconds: float


def of(composed: Any, folder: Path) -> Found:
    """Return the features of the training images with a composed config whose base is frozen."""
    config: Config = tasks.config_of(composed)
    dataset, training = experiment.unrecorded(config, folder, only_training=True)
    form = training.train.kind.form
    if form is Form.ROW:
        fed: Any = training.fitted.train  # cached features
        features = np.concatenate([_flat(array) for array in fed.samples.views[0]], axis=1)
        targets, groups, rows = _row_targets(dataset), dataset.train.groups, np.arange(len(features))
    else:
        features, targets, rows = _dense(training, dataset, form)
        groups = rows if dataset.train.groups is None else dataset.train.groups[rows]
    return Found(features, targets, groups, [dataset.train.names[row] for row in rows], dataset.classes,
                 len(dataset.train), max(training.network.spec.size), max(dataset.size),
                 _image_seconds(training, dataset))  # fmt: skip


def _flat(array: np.ndarray) -> np.ndarray:
    """Return a vector for each sample; maps are averaged over their area."""
    return array.mean(axis=(1, 2)) if array.ndim == 4 else array.reshape(len(array), -1)


def _row_targets(dataset: Dataset) -> np.ndarray:
    labels = dataset.train.labels
    if isinstance(labels, np.ndarray):
        return labels.astype(np.int64)
    found = np.zeros((len(labels), len(dataset.classes)), np.int64)
    for row, label in zip(found, labels, strict=True):
        row[sorted(label)] = 1
    return found


def _dense(training: Any, dataset: Dataset, form: Form) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features, targets and the index of the image for boxes or pixels of all training images."""
    network, in_order = training.network, _in_order(training, dataset)
    generator = np.random.default_rng(0)
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for number, (images, labels) in enumerate(in_order.batches()):
        maps = _maps(network, images)
        for index in range(len(images)):
            own = [found[index] for found in maps]
            if form is Form.BOXES:
                at = boxes(own, labels["boxes"][index], labels["classes"][index], len(dataset.classes),
                           images.shape[1:3], generator)  # fmt: skip
            else:
                at = pixel_samples(own, labels[index], generator)
            place = number * _BATCH + index
            image = place if in_order.windows is None else int(in_order.windows.images[place])
            parts.append((*at, np.full(len(at[1]), image)))
    features, targets, rows = (np.concatenate(part) for part in zip(*parts, strict=True))
    return features.astype(np.float32), targets, rows


def _in_order(training: Any, dataset: Dataset) -> Any:
    """Return the batches of all training images, not augmented."""
    from cvlib.data.make_feed import make_feed

    train = training.train
    return make_feed(dataset.train, train.spec, train.kind, _BATCH, training.config.seed, cache=train.cache)


def _maps(network: Any, images: Any) -> list[np.ndarray]:
    """Return the outputs of the base for a batch of images."""
    from keras import ops

    pixels = network.backbone.pixels(network.config.backbone_options, ops.convert_to_tensor(images))
    found = network.base.predict_on_batch(pixels)
    return [np.asarray(one) for one in (found if isinstance(found, list | tuple) else [found])]


def _image_seconds(training: Any, dataset: Dataset) -> float:
    """Return the seconds for an image, from a few batches after the network has been compiled.

    It is measured apart from the features themselves, because these can come from the cache.
    """
    batches = itertools.islice(_in_order(training, dataset).batches(), _TIMED)
    first, _ = next(batches)
    _maps(training.network, first)  # compiles it
    images, began = 0, time.perf_counter()
    for batch in itertools.chain([first], (batch for batch, _ in batches)):
        if len(batch) < len(first):  # would be compiled again
            break
        _maps(training.network, batch)
        images += len(batch)
    return (time.perf_counter() - began) / images


def boxes(
    maps: list[np.ndarray], corners: Float[np.ndarray, "boxes 4"], classes: Int[np.ndarray, " boxes"], background: int,
    size: tuple[int, int], generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return the features averaged in each box, and in as many boxes of the background, with their classes.

    Args:
        maps: feature maps of one image, each `(height, width, channels)`, finest first.
        corners: xyxy in pixels of the image; rows with class −1 are padding.
        background: the class of the background.
        size: height and width of the image in pixels.
    """
    known = corners[classes >= 0]
    found = min(maps, key=lambda one: abs(size[0] / one.shape[0] - _STRIDE))
    moved = []
    for box in known:
        width, height = box[2] - box[0], box[3] - box[1]
        left, top = generator.uniform(0, max(size[1] - width, 1)), generator.uniform(0, max(size[0] - height, 1))
        other = np.array([left, top, left + width, top + height])
        if all(_overlap(other, one) < _MOST_OVERLAP for one in known):
            moved.append(other)
    all_boxes = [*known, *moved]
    if not all_boxes:
        return np.zeros((0, found.shape[-1])), np.zeros(0, np.int64)
    targets = [*classes[classes >= 0], *[background] * len(moved)]
    return np.stack([_pooled(found, box, size) for box in all_boxes]), np.array(targets, np.int64)


def _pooled(found: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the mean of the cells that the box touches, at least one."""
    rows, columns = found.shape[0] / size[0], found.shape[1] / size[1]
    left, top = int(box[0] * columns), int(box[1] * rows)
    left, top = min(left, found.shape[1] - 1), min(top, found.shape[0] - 1)
    right, bottom = max(math.ceil(box[2] * columns), left + 1), max(math.ceil(box[3] * rows), top + 1)
    return np.asarray(found[top:bottom, left:right].mean(axis=(0, 1)))


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Return the intersection over union of two boxes."""
    sides = np.maximum(np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2]), 0)
    inner = float(sides.prod())
    areas = float((first[2:] - first[:2]).prod() + (second[2:] - second[:2]).prod())
    return inner / max(areas - inner, 1e-9)


def pixel_samples(
    maps: list[np.ndarray], mask: Int[np.ndarray, "height width"], generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the features of some pixels, and their classes; every class in the mask has an equal share of the pixels.

    The features are the nearest cells of all maps, one after the other.
    """
    present = [value for value in np.unique(mask) if value != IGNORE]
    places = []
    for value in present:
        found = np.argwhere(mask == value)
        places.append(found[generator.choice(len(found), min(len(found), max(_PER_IMAGE // len(present), 1)), False)])
    if not places:
        return np.zeros((0, sum(found.shape[-1] for found in maps))), np.zeros(0, np.int64)
    chosen = np.concatenate(places)
    cells = [found[chosen[:, 0] * found.shape[0] // mask.shape[0], chosen[:, 1] * found.shape[1] // mask.shape[1]]
             for found in maps]  # fmt: skip
    return np.concatenate(cells, axis=1), mask[chosen[:, 0], chosen[:, 1]].astype(np.int64)


def thinned(found: Found, most: int, seed: int) -> Found:
    """Return at most `most` samples, chosen at random, in their order."""
    if len(found.features) <= most:
        return found
    kept = np.sort(np.random.default_rng(seed).choice(len(found.features), most, replace=False))
    groups = None if found.groups is None else found.groups[kept]
    return replace(found, features=found.features[kept], targets=found.targets[kept], groups=groups,
                   names=[found.names[index] for index in kept])  # fmt: skip
