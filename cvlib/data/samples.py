"""`Samples`: what a feed's batches consist of. NumPy reads the arrays of a batch, and the feed's engine ends them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from cvlib.config.schema import AugmentConfig
from cvlib.data.augmentation import MIXED, mixes
from cvlib.data.augmenting import affine, changes, geometry
from cvlib.data.augmenting.draws import Draws
from cvlib.data.cache import Cache
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import Form, LabelKind
from cvlib.data.reader import Reader
from cvlib.data.split import Split
from cvlib.data.tiles import Windows

BOXES = ("boxes", "classes")  # arrays whose second axis has another length in each batch

Arrays = dict[str, Any]  # by name; the first axis is that of the batch, or of the images in its samples
# Maps images uint8 `(n, height, width, channels)` and their indices `(n,)` to changed images of the same shape.
PixelChange = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Engine(changes.PixelOperations, Protocol):
    """The operations of a feed's engine on pixels and masks: a module."""

    def load(self, pixels: Any) -> Any:
        """Return stored pixels, uint8 `(batch, height, width, channels)`, as a batch of images in its own layout."""

    def store(self, images: Any) -> Any:
        """Return a batch of images as float32 `(batch, height, width, channels)`."""

    def move_masks(self, masks: Any, source: Any) -> Any:
        """Resample masks uint8 `(batch, height, width)` by nearest neighbour; pixels from outside become `IGNORE`."""

    def ignore(self, masks: Any, hidden: Any) -> Any:
        """Set the hidden pixels of masks to `IGNORE`."""

    def store_masks(self, masks: Any) -> Any:
        """Return masks as int32."""


class Samples(ABC):
    """The samples of a split; `read` and `finish` together make a batch of them."""

    split: Split
    spec: InputSpec
    kind: LabelKind
    config: AugmentConfig | None
    cache: Cache | None
    windows: Windows | None = None  # the samples of a feed that covers large images; None: whole images, random tiles

    @abstractmethod
    def read(self, indices: np.ndarray, drawn: np.ndarray, epoch: int) -> Arrays:
        """Return the arrays of a batch, given the rows of `Order.epoch`; without rows, empty ones."""

    @abstractmethod
    def finish(self, arrays: Arrays, engine: Engine) -> tuple[Any, Any]:
        """Return the batch and its labels, given the arrays from `read`, as arrays or as tensors of the engine."""


class ImageSamples(Samples):
    """Images, resized and augmented, with their labels.

    Args:
        split: images as an array or as files.
        spec: the network input.
        kind: the kind of the split's labels.
        streams: names of the random streams that each image draws from.
        config: the augmentation, if there is one.
        cache: stores resized images after their first use, for a split of files.
        change: changes resized images before they are augmented; it is called for whole batches, from several threads.
    """

    _keeps_padding = False  # whether boxes are padded equally in all batches, so that Keras traces its functions once

    def __init__(
        self, split: Split, spec: InputSpec, kind: LabelKind, streams: Sequence[str], config: AugmentConfig | None,
        cache: Cache | None, change: PixelChange | None = None,
    ):  # fmt: skip
        self.split, self.spec, self.kind, self.streams, self.config, self.cache, self.change = (
            split, spec, kind, streams, config, cache, change)  # fmt: skip
        self._read = self._reader()
        self._labels = () if kind.form is Form.PIXELS else kind.arrays(split, spec)

    def read(self, indices: np.ndarray, drawn: np.ndarray, epoch: int) -> Arrays:
        found, shares = self._changes(drawn)
        if found.tiles is not None:
            indices, drawn = indices[found.tiles], drawn[found.tiles]
        pixels, labels = self._looked_up(indices, drawn)
        return {"pixels": pixels, **found.arrays, **self._targets(labels, found, shares)}

    def finish(self, arrays: Arrays, engine: Engine) -> tuple[Any, Any]:
        made = changes.Changes(**{name: arrays[name] for name in changes.NAMES if name in arrays})
        pixels, channels = arrays["pixels"], self.spec.channels
        images = engine.load(pixels[..., :channels])
        if self.config is not None:
            outside = None if self.kind.form is Form.ROW else affine.GREY
            images = changes.apply(images, made, self.config.rand_magnitude, outside, engine)
        if self.kind.form is Form.PIXELS:
            return engine.store(images), self._masks(pixels[..., channels], made, engine)
        names = [name for name in ("labels", "shares", *BOXES) if name in arrays]
        labels = arrays["labels"] if names == ["labels"] else {name: arrays[name] for name in names}
        return engine.store(images), labels

    def _reader(self) -> Callable[..., np.ndarray]:
        """Return the function that reads pixels, uint8 `(n, *kind.stored_shape(spec))`."""
        return Reader(self.split, self.spec, self.kind, self.cache)

    def _looked_up(self, indices: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """Return the pixels and the label arrays of samples, before augmentation."""
        pixels = self._read(indices)
        if self.change is not None and len(indices):
            pixels = pixels.copy()  # of an image in memory or in the cache
            pixels[..., : self.spec.channels] = self.change(pixels[..., : self.spec.channels], indices)
        return pixels, tuple(array[indices] for array in self._labels)

    def _changes(self, drawn: np.ndarray) -> tuple[changes.Changes, np.ndarray]:
        if self.config is None:
            return changes.Changes(), np.empty((0, 0), np.float32)
        return changes.of(Draws.of(self.streams, drawn), self.config, *self.spec.shape)

    def _targets(self, own: tuple[np.ndarray, ...], found: changes.Changes, shares: np.ndarray) -> Arrays:
        """Return the labels of a batch, given its label arrays; masks are made with the images."""
        if self.kind.form is Form.PIXELS:
            return {}
        if self.kind.form is Form.ROW:
            (labels,) = own
            if not mixes(self.config):
                return {"labels": labels}
            return {"labels": np.stack([labels[first::MIXED] for first in range(MIXED)], axis=1), "shares": shares}
        corners, classes = own
        if found.source is not None:
            whole = geometry.whole_window(len(corners), *self.spec.size)
            windows = whole if found.windows is None else found.windows
            corners, classes = geometry.move(corners, classes, found.source, windows)
        if found.tiles is not None:
            corners, classes = geometry.joined(corners, classes, found.tiles)
        boxes = (corners, classes) if self._keeps_padding else geometry.compact(corners, classes)
        return dict(zip(BOXES, boxes, strict=True))

    @staticmethod
    def _masks(masks: Any, made: changes.Changes, engine: Engine) -> Any:
        if made.source is not None:
            masks = engine.move_masks(masks, made.source)
        if made.hidden is not None:
            masks = engine.ignore(masks, made.hidden)
        return engine.store_masks(masks)


class FeatureSamples(Samples):
    """Cached outputs of a frozen base for every image of a split, with the images' labels of `Form.ROW`.

    Args:
        images: the samples that the features were computed from.
        views: for each augmented view, the features of the whole split: float32 `(n, …)` for each output of the base.
            Epochs cycle through the views.
    """

    def __init__(self, images: ImageSamples, views: list[list[np.ndarray]]):
        self.split, self.spec, self.kind, self.config, self.cache = images.split, images.spec, images.kind, None, None
        self.views = views
        (self._labels,) = images.kind.arrays(images.split, images.spec)

    def read(self, indices: np.ndarray, drawn: np.ndarray, epoch: int) -> Arrays:
        view = self.views[epoch % len(self.views)]
        features = {f"features {number}": np.asarray(array[indices], np.float32) for number, array in enumerate(view)}
        return {**features, "labels": self._labels[indices]}

    def finish(self, arrays: Arrays, engine: Engine) -> tuple[Any, Any]:
        features = tuple(array for name, array in arrays.items() if name != "labels")
        return features if len(features) > 1 else features[0], arrays["labels"]
