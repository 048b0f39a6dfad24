"""What every detector's head can do: decode its raw output to boxes, and the parts of its loss."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from cvlib.config.fields import Options, option
from cvlib.models.backbone import Backbone
from cvlib.models.head import Head
from cvlib.runtime.errors import UserError


@dataclass
class DetectorOptions(Options):
    """The choices that every detector has."""

    neck_channels: int = option(64, low=1, high=4096)  # channels of the layers between base and predictions
    nms_iou: float = option(0.6, low=0, high=1)  # of two boxes of one class that overlap by more, the better one stays


class DetectorHead(Head):
    """A head whose one output is `(batch, places, values)`, float32, named "predictions".

    Attributes:
        loss_names: the names of the parts that `loss_parts` gives.
        measure_names: the names of what `measures` gives.
    """

    loss_names: ClassVar[tuple[str, ...]] = ("box_loss", "class_loss")
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
        """Return what else a person should see of the targets in training, each `(batch,)`."""
        return {}

    @abstractmethod
    def step(self, options: Any, size: tuple[int, int]) -> int:
        """Return what both sides of an image of `size` must be a multiple of."""

    def check(self, options: Any, backbone: Backbone, backbone_options: Any, size: tuple[int, int]) -> None:
        """Both sides must be a multiple of `step`."""
        step = self.step(options, size)
        if any(side % step or side < step for side in size):
            near = [max(step, round(side / step) * step) for side in size]
            asked, nearest = (str(sides[0]) if sides[0] == sides[1] else f"[{sides[0]},{sides[1]}]"
                              for sides in (size, near))  # fmt: skip
            raise UserError(f"data.image_size={asked}: a detector with model.head={self.name} needs a multiple of "
                            f"{step} pixels, such as {nearest}")  # fmt: skip
