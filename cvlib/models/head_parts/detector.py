"""The base class of detector heads, which decode raw outputs to boxes and compute the parts of the loss."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from cvlib.config.fields import Options, option
from cvlib.models.backbone import TIMES, Backbone
from cvlib.models.head import Head
from cvlib.runtime.errors import UserError


@dataclass
class DetectorOptions(Options):
    """The options that all detectors share."""

    nms_iou: float = option(0.6, low=0, high=1)  # boxes of one class that overlap more are duplicates


@dataclass
class NeckOptions(DetectorOptions):
    """The options of the detectors whose neck is in `neck`."""

    neck_channels: int = option(64, low=1, high=4096)  # channels between base and predictions, at the finest level
    size: str = option("n", choices=tuple(TIMES))  # multiplies these channels by 1, 2 or 3

    @property
    def channels(self) -> int:
        """The number of channels of the layers between base and predictions."""
        return TIMES[self.size] * self.neck_channels


class DetectorHead(Head):
    """A head whose only output is `(batch, positions, values)`, float32, named "predictions".

    A position is a point or a grid cell, depending on the head.

    Attributes:
        loss_names: the names of the parts that `loss_parts` returns.
        measure_names: the names of the values that `measures` returns.
    """

    loss_names: ClassVar[tuple[str, ...]] = ("box_loss", "class_loss", "distance_loss")
    measure_names: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def decode(self, options: Any, raw: Any, size: tuple[int, int]) -> tuple[Any, Any]:
        """Return boxes `(batch, n, 4)` in pixels of the network's input of `size`, and scores `(batch, n, classes)`."""

    @abstractmethod
    def loss_parts(
        self, options: Any, targets: Any, raw: Any, size: tuple[int, int], class_weights: np.ndarray | None = None
    ) -> dict[str, Any]:  # fmt: skip
        """Return the weighted parts of the loss by name, each `(batch,)`.

        `targets` are `(batch, M, 5)`: corners in pixels and class, −1 where there is no box. `class_weights`
        `(classes,)` multiply the class loss of each class's objects; None: all count the same.
        """

    def measures(self, options: Any, targets: Any, size: tuple[int, int]) -> dict[str, Any]:
        """Return further statistics of the targets to show in training, each `(batch,)`."""
        return {}

    @abstractmethod
    def step(self, options: Any, size: tuple[int, int]) -> int:
        """Return the number of pixels that both sides of an image of `size` must be a multiple of."""

    def check(self, options: Any, backbone: Backbone, backbone_options: Any, size: tuple[int, int]) -> None:
        """Raise `UserError` unless both sides are multiples of `step`."""
        step = self.step(options, size)
        if any(side % step or side < step for side in size):
            near = [max(step, round(side / step) * step) for side in size]
            given, nearest = (str(sides[0]) if sides[0] == sides[1] else f"[{sides[0]},{sides[1]}]"
                              for sides in (size, near))  # fmt: skip
            raise UserError(f"data.image_size={given}: a detector with model.head={self.name} needs a multiple of "
                            f"{step} pixels, such as {nearest}")  # fmt: skip
