"""Training targets for each form of label: look them up, transform them with the images, and pass them to the loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from cvlib.config.schema import AugmentConfig
from cvlib.data.augmentation import MIXED, mixes
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import Form, LabelKind
from cvlib.data.labels.mask import IGNORE
from cvlib.data.split import Split
from cvlib.data.tensorflow import augment, erasing, geometry, mixing, mosaic


class Targets(ABC):
    """The targets of one form of label."""

    outside: float | None = None  # fill level around a transformed image; None repeats its edge

    @abstractmethod
    def look_up(self, indices: Any, pixels: Any) -> Any:
        """Return the targets of the samples `indices`; `pixels` are their stored pixels."""

    @abstractmethod
    def moved(self, target: Any, source: Any, images: Any) -> Any:
        """Return the targets transformed like the images, by the matrices `source` `(batch, 3, 3)`."""

    def erased(self, target: Any, hidden: Any) -> Any:
        """Return the targets of images whose `hidden` pixels, bool `(batch, height, width)`, were erased."""
        return target

    @abstractmethod
    def fed(self, target: Any) -> Any:
        """Return the targets in the format that the network's loss expects."""


class Rows(Targets):
    """One row of numbers per sample; augmentation does not change it."""

    def __init__(self, split: Split, spec: InputSpec, kind: LabelKind):
        self.values = tf.constant(kind.arrays(split, spec)[0])

    def look_up(self, indices: Any, pixels: Any) -> Any:
        return tf.gather(self.values, indices)

    def moved(self, target: Any, source: Any, images: Any) -> Any:
        return target

    def fed(self, target: Any) -> Any:
        return target


class Boxes(Targets):
    """Corners `(batch, n, 4)` and classes `(batch, n)` of boxes."""

    outside = augment.GREY
    keeps_padding = False  # whether batches have one shape, for which Keras traces its functions only once

    def __init__(self, split: Split, spec: InputSpec, kind: LabelKind):
        self.corners, self.classes = (tf.constant(array) for array in kind.arrays(split, spec))

    def look_up(self, indices: Any, pixels: Any) -> Any:
        return tf.gather(self.corners, indices), tf.gather(self.classes, indices)

    def moved(self, target: Any, source: Any, images: Any) -> Any:
        return geometry.move(target[0], target[1], source, geometry.whole_window(images))

    def fed(self, target: Any) -> Any:
        corners, classes = target if self.keeps_padding else geometry.compact(*target)
        return {"boxes": tf.ensure_shape(corners, (None, None, 4)), "classes": tf.ensure_shape(classes, (None, None))}


class Pixels(Targets):
    """Class ids per pixel `(batch, height, width)`, stored as the channel after those of the image."""

    outside = augment.GREY

    def __init__(self, split: Split, spec: InputSpec, kind: LabelKind):
        self.spec = spec

    def look_up(self, indices: Any, pixels: Any) -> Any:
        return pixels[..., self.spec.channels]

    def moved(self, target: Any, source: Any, images: Any) -> Any:
        return geometry.move_masks(target, source)

    def erased(self, target: Any, hidden: Any) -> Any:
        return tf.where(hidden, tf.cast(IGNORE, target.dtype), target)

    def fed(self, target: Any) -> Any:
        return tf.cast(tf.ensure_shape(target, (None, *self.spec.size)), tf.int32)


_Maker = Callable[[Split, InputSpec, LabelKind], Targets]
_BY_FORM: dict[Form, _Maker] = {
    Form.ROW: Rows,
    Form.BOXES: Boxes,
    Form.PIXELS: Pixels,
}


def of(split: Split, spec: InputSpec, kind: LabelKind) -> Targets:
    """Return the targets of a split."""
    return _BY_FORM[kind.form](split, spec, kind)


def augmented(
    images: Any, target: Any, draws: augment.Draws, config: AugmentConfig, targets: Targets
) -> tuple[Any, Any]:
    """Apply the same geometric changes to images and targets, then change the colours of the images.

    At the end, rectangles are erased, and images are mixed in pairs. Pixels of a mask that are erased become `IGNORE`;
    boxes and classes stay.
    """
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    if config.mosaic:
        images, target, draws = mosaic.joined(images, target[0], target[1], draws, config)
    elif augment.is_geometric(config):
        source = augment.matrices(draws, config, height, width)
        images = augment.resample(images, source, targets.outside)
        target = targets.moved(target, source, images)
    images = augment.apply_photometric(images, draws, config)
    if config.erase:
        hidden = erasing.hidden(draws, config, height, width)
        images, target = tf.where(hidden[..., None], augment.GREY, images), targets.erased(target, hidden)
    if mixes(config):
        images, target = mixing.mixed(images, target, draws.every(MIXED), config)
    return images, target
