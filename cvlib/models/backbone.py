"""What a backbone declares: everything that is known about one architecture, importable without Keras.

A backbone is one file in `cvlib/models/backbones/` (or in `backbones/` of the folder a user works in) that sets
`BACKBONE` to an object of a subclass of `Backbone`. All that the rest of the code asks of an architecture is here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from cvlib.config.fields import Options
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor


@dataclass(frozen=True)
class Level:
    """The last feature map of one resolution.

    Attributes:
        layer: name of the layer that gives the map.
        stride: pixels of the input from one unit of the map to the next.
        channels: of the map.
        pooled: name of the layer that ends the level with a 2×2 pooling; its map has twice the stride. None where the
            level ends otherwise, for example in a strided convolution.
        max_pooled: whether that pooling takes the maximum, so that unpooling can find each value's place again.
    """

    layer: str
    stride: int
    channels: int
    pooled: str | None = None
    max_pooled: bool = False


class WeightsUnavailable(UserError):
    """Published weights are not available here."""


@dataclass(frozen=True)
class WeightSource:
    """Published weights of an architecture, with the preprocessing that they expect.

    Attributes:
        name: as `mode.weights` names it, such as imagenet.
        load: (options, input shape (height, width, channels)) → the base as a `keras.Model` with these weights. Raises
            `UserError` where it knows what is wrong; any other exception is taken for a download that failed.
        preprocess: raw pixels 0–255 `(batch, height, width, 1 or 3)` → the pixels that these weights were trained on.
        check: options → nothing; raises `WeightsUnavailable` or another `UserError` for weights that `load` couldn't
            give. It is asked before any image is read, so it takes a second at most and needs no Keras.
    """

    name: str
    load: Callable[[Any, tuple[int, int, int]], keras.Model]
    preprocess: Callable[[KerasTensor], KerasTensor]
    check: Callable[[Any], None] = lambda options: None


@dataclass(frozen=True)
class Block:
    """Consecutive layers of a base that belong together, such as a stage."""

    name: str
    layers: Sequence[keras.layers.Layer]


class Backbone(ABC):
    """One architecture.

    Attributes:
        name: the file's name, and the value of `model.backbone` or `model.encoder`.
        options: the dataclass of its choices; the fields carry their bounds.
        has_feature_levels: whether it can serve detectors and segmenters, which need a map for each resolution.
        channels: of the pixels that the base takes; None: as many as the images have.
        sources: published weights; the first one's preprocessing is also that of random weights.
        shape_options: options that decide which weights fit, besides the architecture.
        depthwise: whether it consists of depthwise convolutions, which processors do faster in float32.
    """

    name: ClassVar[str]
    options: ClassVar[type[Options]]
    has_feature_levels: ClassVar[bool] = True
    channels: ClassVar[int | None] = None
    sources: ClassVar[tuple[WeightSource, ...]] = ()
    shape_options: ClassVar[tuple[str, ...]] = ()
    depthwise: ClassVar[bool] = False

    @abstractmethod
    def smallest_side(self, options: Any, feature_levels: bool) -> int:
        """Return the smallest height or width in pixels that it takes, as a classifier or with `feature_levels`."""

    @abstractmethod
    def build(self, options: Any, input_shape: tuple[int, int, int], feature_levels: bool) -> keras.Model:
        """Return the base with random weights: preprocessed pixels `input_shape` → features.

        Without `feature_levels` the one output is the input of a classifier's head: a vector `(batch, features)` or a
        map `(batch, height, width, channels)`. With `feature_levels` only the layers named by `feature_maps` matter;
        the caller cuts off the layers behind the last of them. Raises `UserError` for an image that is too small.
        """

    def feature_levels(self, options: Any) -> list[Level]:
        """Return the feature levels, finest first. Only asked where `has_feature_levels` is true."""
        raise NotImplementedError(f"{self.name} has no feature levels")

    def preprocess(self, image: KerasTensor) -> KerasTensor:
        """Return raw pixels 0–255 `(batch, height, width, channels)` as the base takes them: scaled to 0–1."""
        if self.sources:
            return self.sources[0].preprocess(image)
        from cvlib.models.preprocessing import to_unit_range

        return to_unit_range(image)

    def auxiliary(self, options: Any) -> tuple[str, float] | None:
        """Return the layer that an auxiliary classifier reads in training, and its loss weight; None: no such tap."""
        return None

    def auxiliary_head(self, tap: KerasTensor, classes: int) -> tuple[KerasTensor, KerasTensor]:
        """Return the auxiliary classifier's logits, and the tensor before its first trainable or random layer.

        The logits are `(batch, classes)`, by a layer named "auxiliary", from the tap's map.
        """
        raise NotImplementedError(f"{self.name} has no auxiliary classifier")

    def blocks(self, base: keras.Model) -> list[Block]:
        """Return the base's layers with weights, in order, grouped by the first part of their names."""
        groups: dict[str, list[keras.layers.Layer]] = {}
        for layer in base.layers:
            if layer.count_params():
                groups.setdefault(layer.name.split("_")[0], []).append(layer)
        return [Block(name, layers) for name, layers in groups.items()]

    def source(self, name: str) -> WeightSource | None:
        """Return the published weights of that name, None where there are none."""
        return next((source for source in self.sources if source.name == name), None)

    def feature_maps(self, options: Any) -> list[str]:
        """Return the layers that give the feature maps, finest first: each level's, and the last pooling."""
        found = self.feature_levels(options)
        last = found[-1].pooled
        return [level.layer for level in found] + ([last] if last else [])

    def strides(self, options: Any) -> list[int]:
        """Return the strides in pixels of `feature_maps`."""
        found = self.feature_levels(options)
        return [level.stride for level in found] + ([2 * found[-1].stride] if found[-1].pooled else [])

    def used_options(self, feature_levels: bool) -> list[str]:
        """Return the names of the options that matter, as a classifier or with `feature_levels`."""
        return [
            one.name for one in fields(self.options) if not (feature_levels and one.metadata.get("classifier_only"))
        ]
