"""The interface of a head, the part of a network that computes a task's output. Doesn't import Keras.

A head is one file in `cvlib/models/heads/` that sets `HEAD`. It defines its options, its geometry, the meaning of its
raw output (`decode`), and the loss of that raw output.
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
    """The outputs of a base that a head is built on.

    Attributes:
        image: the network's input, raw pixels 0–255 `(batch, height, width, channels)`.
        maps: the base's outputs: one `(batch, …)` for a classifier, or the feature maps, finest first.
        strides: strides of the maps in pixels of the image; empty for a classifier.
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
        name: name of the layer that computes it, and the key of its targets.
        tensor: `(batch, …)`, float32.
        loss_weight: weight of its loss in the total loss.
        training_only: whether only the loss uses it; predictions and saved models don't contain it.
    """

    name: str
    tensor: KerasTensor
    loss_weight: float = 1.0
    training_only: bool = False


@dataclass(frozen=True)
class Built:
    """The outputs of a head built on a base, and the tensors at which the network can be cut.

    The tensors in `cut` come just before the first random or trainable layer of the head. If the base is frozen, they
    can be computed once for every image.
    """

    outputs: list[Output]
    cut: list[KerasTensor]


class Head(ABC):
    """One kind of head.

    Attributes:
        name: the file's name, and the value of `model.head`.
        options: the dataclass of its options.
        feature_levels: whether it uses feature maps of several resolutions instead of a classifier's features.
        base_key: the key under `model` that names the backbone; None: `model.name` is the backbone's name.
        shared_options: options that the head uses even if the backbone has them, too.
        class_layers: the layers whose last axis counts the classes, if all other layers of the head don't depend on
            the classes; empty for a head that can't be divided by class.
    """

    name: ClassVar[str]
    options: ClassVar[type[Options]]
    feature_levels: ClassVar[bool] = True
    base_key: ClassVar[str | None] = "backbone"
    shared_options: ClassVar[tuple[str, ...]] = ()
    class_layers: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def build(self, options: Any, backbone: Backbone, features: Features, classes: int) -> Built:
        """Add the head's layers to the base. Predictions are made from the first output."""

    def check(self, options: Any, backbone: Backbone, backbone_options: Any, size: tuple[int, int]) -> None:  # noqa: B027  most heads have no limits
        """Raise `UserError` if the head doesn't support the backbone or images of `size` (height, width)."""

    def maps(self, backbone: Backbone, backbone_options: Any) -> list[tuple[str, int]]:
        """Return the layers of the backbone whose maps the head uses, and their strides, finest first."""
        return list(zip(backbone.feature_maps(backbone_options), backbone.strides(backbone_options), strict=True))

    def side_step(self, options: Any) -> int:
        """Return the step in pixels; without `data.image_size`, both sides of the input are a multiple of it."""
        return 1

    def start_on_loaded_base(self, last: keras.layers.Layer) -> None:  # noqa: B027  most heads change nothing
        """Initialize the head for a base with loaded weights; `last` is the layer that computes its first output."""
