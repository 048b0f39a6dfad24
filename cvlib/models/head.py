"""What a head declares: the part of a network that answers a task's question, importable without Keras.

A head is one file in `cvlib/models/heads/` that sets `HEAD`. It owns its options, its geometry, what its raw output
means (`decode`), and the loss of that raw output.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from cvlib.config.fields import Options
from cvlib.models.backbone import Backbone

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor


@dataclass(frozen=True)
class Features:
    """What a base gives, for a head to build on.

    Attributes:
        image: the network's input, raw pixels 0–255 `(batch, height, width, channels)`.
        maps: the base's outputs: one `(batch, …)` for a classifier, or the feature maps, finest first.
        strides: of the maps, in pixels of the image; empty for a classifier.
        tap: the map that an auxiliary classifier reads, if the backbone has one and its weight is above 0.
        tap_weight: the auxiliary classifier's weight in the loss.
    """

    image: KerasTensor
    maps: list[KerasTensor]
    strides: list[int]
    tap: KerasTensor | None = None
    tap_weight: float = 0.0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image in pixels."""
        height, width = self.image.shape[1:3]
        return height, width


@dataclass(frozen=True)
class Output:
    """One output of a network.

    Attributes:
        name: the layer that gives it, and the key of its targets.
        tensor: `(batch, …)`, float32.
        loss_weight: what its loss counts in the sum.
        training_only: whether it exists for the loss alone, and is left out of predictions and saved models.
    """

    name: str
    tensor: KerasTensor
    loss_weight: float = 1.0
    training_only: bool = False


@dataclass(frozen=True)
class Built:
    """A head's layers on a base: its outputs, and where the network can be cut.

    `cut` are tensors behind which the first random or trainable layer of the head comes: a frozen base's features up
    to there can be computed once for every image.
    """

    outputs: list[Output]
    cut: list[KerasTensor]


class Head(ABC):
    """One kind of head.

    Attributes:
        name: the file's name, and the value of `model.head`.
        options: the dataclass of its choices.
        feature_levels: whether it builds on feature maps of several resolutions, or on a classifier's features.
        base_key: the key of `model` that names its backbone; None: `model` itself is the backbone.
    """

    name: ClassVar[str]
    options: ClassVar[type[Options]]
    feature_levels: ClassVar[bool] = True
    base_key: ClassVar[str | None] = "backbone"

    @abstractmethod
    def build(self, options: Any, backbone: Backbone, features: Features, classes: int) -> Built:
        """Add the head's layers; the first output is the one that predictions are made from."""

    def check(self, options: Any, backbone: Backbone, backbone_options: Any, size: tuple[int, int]) -> None:  # noqa: B027  most fit all
        """Raise `UserError` where the head doesn't fit the backbone or images of `size` (height, width)."""

    def maps(self, backbone: Backbone, backbone_options: Any) -> list[tuple[str, int]]:
        """Return the layers of the backbone whose maps it builds on, and their strides, finest first."""
        return list(zip(backbone.feature_maps(backbone_options), backbone.strides(backbone_options), strict=True))

    def side_step(self, options: Any) -> int:
        """Return what both sides of the image must be a multiple of, where no size is asked for."""
        return 1

    def start_on_loaded_base(self, last: keras.layers.Layer) -> None:  # noqa: B027  most begin as they are built
        """Let the head begin as suits a base with loaded weights; `last` is the layer of its first output."""
