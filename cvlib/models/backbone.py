"""The interface of a backbone, which declares everything about one architecture. Doesn't import Keras.

A backbone is one file in `cvlib/models/backbones/`, or in `backbones/` of the user's working folder. It sets
`BACKBONE` to an instance of a subclass of `Backbone`. The rest of the code uses only this interface. The `keras.Model`
that a backbone builds is called the base: a network without its head.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from cvlib.config.fields import Options
from cvlib.models.torch_names import TorchNames
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    import keras
    from keras import KerasTensor

TIMES = {"n": 1, "s": 2, "m": 3}  # model.size of a detector: how many times as many channels its layers have


@dataclass(frozen=True)
class Level:
    """The last feature map of one resolution.

    Attributes:
        layer: name of the layer whose output is the map.
        stride: distance in input pixels between neighbouring units of the map.
        channels: number of channels of the map.
        pooled: name of the layer that ends the level with 2×2 pooling; its output has twice the stride. None if the
            level ends differently, for example with a strided convolution.
        max_pooled: whether unpooling can reverse that pooling: it is max pooling, and nothing else reduces the map.
    """

    layer: str
    stride: int
    channels: int
    pooled: str | None = None
    max_pooled: bool = False


class WeightsUnavailable(UserError):
    """Published weights are not available on this machine."""


@dataclass(frozen=True)
class WeightSource:
    """Published weights of an architecture, with the preprocessing that they expect.

    Attributes:
        name: the value of `mode.weights` that selects it, such as imagenet.
        load: (options, input shape (height, width, channels)) → the base as a `keras.Model` with these weights. Raises
            `UserError` if it knows what is wrong; any other exception is treated as a failed download.
        preprocess: raw pixels 0–255 `(batch, height, width, 1 or 3)` → the pixels that these weights were trained on.
        check: options → nothing; raises `WeightsUnavailable` or another `UserError` if `load` would fail. It is called
            before any image is read, so it must take at most a second and must not import Keras.
        described: options → what summary.json records as the source, if it isn't the name.
        installed: options → the file in an installed package; raises what `check` raises. None: the weights are
            downloaded.
    """

    name: str
    load: Callable[[Any, tuple[int, int, int]], keras.Model]
    preprocess: Callable[[KerasTensor], KerasTensor]
    check: Callable[[Any], None] = lambda options: None
    described: Callable[[Any], str] | None = None
    installed: Callable[[Any], Path] | None = None


@dataclass(frozen=True)
class Block:
    """Consecutive layers of a base that belong together, such as a stage."""

    name: str
    layers: Sequence[keras.layers.Layer]


class Backbone(ABC):
    """One architecture.

    Attributes:
        name: the file's name, and the value of `model.backbone` or `model.encoder`.
        options: the dataclass of its options; the fields declare their bounds.
        has_feature_levels: whether detectors and segmenters can use it; they need a map for each resolution.
        channels: number of channels that the base takes; None: as many as the images have.
        sources: published weights; with random weights, the base uses the preprocessing of the first source.
        shape_options: names of the options that must match for weights to fit.
        depthwise: whether it uses depthwise convolutions, which CPUs compute faster in float32 than in bfloat16.
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
        """Return the smallest supported height or width in pixels for a classifier.

        With `feature_levels`, return it for a detector or segmenter.
        """

    @abstractmethod
    def build(self, options: Any, input_shape: tuple[int, int, int], feature_levels: bool) -> keras.Model:
        """Return the base with random weights: preprocessed pixels `input_shape` → features.

        Without `feature_levels`, the only output is the input of a classifier's head: a vector `(batch, features)` or a
        map `(batch, height, width, channels)`. With `feature_levels`, only the layers named by `feature_maps` matter;
        the caller removes the layers after the last of them. Raises `UserError` for an image that is too small.
        """

    def check(self, options: Any, size: tuple[int, int] | None, pretrained: bool) -> None:  # noqa: B027  most have no limits
        """Raise `UserError` for options or images that can't be used. It is called before any image is read.

        `size` is the height and width of the images; None: not known yet. With `pretrained`, the base starts from the
        published weights.
        """

    def default_size(self, options: Any) -> tuple[int, int] | None:
        """Return the height and width of a classifier's images without `data.image_size`; None: the data's own."""
        return None

    def depends_on_size(self, options: Any) -> bool:
        """Return whether the shapes of a classifier's weights depend on the image size, as those of dense layers do."""
        return False

    def feature_levels(self, options: Any) -> list[Level]:
        """Return the feature levels, finest first. Only called if `has_feature_levels` is true."""
        raise NotImplementedError(f"{self.name} has no feature levels")

    def preprocess(self, image: KerasTensor) -> KerasTensor:
        """Return raw pixels 0–255 `(batch, height, width, channels)` as the base expects them; by default, 0–1."""
        if self.sources:
            return self.sources[0].preprocess(image)
        from cvlib.models.preprocessing import to_unit_range

        return to_unit_range(image)

    def pixels(self, options: Any, image: KerasTensor) -> KerasTensor:
        """Return raw pixels 0–255 as the base with these options expects them; by default, `preprocess`.

        Override it if an option decides whose weights fit, because their source decides what the pixels mean.
        """
        return self.preprocess(image)

    def torch_names(self, options: Any) -> list[TorchNames]:
        """Return the names of the base's tensors in the state dicts of PyTorch's packages, one entry per package."""
        return []

    def auxiliary(self, options: Any) -> tuple[str, float] | None:
        """Return the layer that an auxiliary classifier reads in training, and its loss weight; None without one."""
        return None

    def auxiliary_head(self, tap: KerasTensor, classes: int) -> tuple[KerasTensor, KerasTensor]:
        """Return the auxiliary classifier's logits for the map `tap`, and the tensor before its first trainable or
        random layer.

        The logits are `(batch, classes)`, the output of a layer named "auxiliary".
        """
        raise NotImplementedError(f"{self.name} has no auxiliary classifier")

    def block_name(self, layer: str) -> str:
        """Return the name of the block that contains a layer: by default, the first part of the layer's name."""
        return layer.split("_")[0]

    def blocks(self, base: keras.Model) -> list[Block]:
        """Return the base's layers that have weights, in order, grouped by `block_name`."""
        groups: dict[str, list[keras.layers.Layer]] = {}
        for layer in base.layers:
            if layer.count_params():
                groups.setdefault(self.block_name(layer.name), []).append(layer)
        return [Block(name, layers) for name, layers in groups.items()]

    def source(self, name: str) -> WeightSource | None:
        """Return the published weights with this name, or None."""
        return next((source for source in self.sources if source.name == name), None)

    def feature_maps(self, options: Any) -> list[str]:
        """Return the layers that output the feature maps, finest first: one per level, then the last pooling."""
        levels = self.feature_levels(options)
        last = levels[-1].pooled
        return [level.layer for level in levels] + ([last] if last else [])

    def strides(self, options: Any) -> list[int]:
        """Return the strides in pixels of `feature_maps`."""
        levels = self.feature_levels(options)
        return [level.stride for level in levels] + ([2 * levels[-1].stride] if levels[-1].pooled else [])

    def used_options(self, feature_levels: bool) -> list[str]:
        """Return the names of the options that a classifier or, with `feature_levels`, a detector or segmenter uses."""
        return [
            item.name for item in fields(self.options) if not (feature_levels and item.metadata.get("classifier_only"))
        ]
