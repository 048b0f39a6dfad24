"""The anchor-free head: every point of every feature map predicts one box and its class scores.

Each level of a path-aggregation pyramid has separate branches for boxes and classes: Ge et al., YOLOX, 2021. A point's
raw output is the logits of the distances to the sides of its box (`head_parts.distances`), then the class logits.
`head_parts.assignment` chooses the points that learn an object, and `head_parts.point_loss` has the parts of the loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib.config.fields import option
from cvlib.models.backbone import Backbone
from cvlib.models.head import Built, Features, Output
from cvlib.models.head_parts.detector import DetectorHead, NeckOptions
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    from keras import KerasTensor

_RARE = -math.log(99)  # initial class logit, for a probability of 1 %
_SIDE = 4.0  # without bins: side of the box for a raw output of 0, in strides
_LONGEST = 4.0  # without bins: the raw log side is clipped to ± this


@dataclass
class AnchorFreeOptions(NeckOptions):
    """The options of the anchor-free head."""

    # Distance between points in pixels; None: [4, 8, 16] if the shorter side is under 200 px, else [8, 16, 32].
    strides: list[int] | None = option(None)
    # Number of values in the distribution of each distance, in strides. None: the centre and the sides of a box are
    # predicted as four numbers, as in runs of version 0.1.
    bins: int | None = option(16, low=2, high=64)
    # Factor of neck_channels from one level to the next coarser one, up to the third; 1: the same, as in version 0.1.
    neck_growth: int = option(2, low=1, high=8)

    def __post_init__(self) -> None:
        steps = self.strides
        if steps is not None and (not steps or steps != sorted(set(steps)) or any(s < 1 or s & (s - 1) for s in steps)):
            raise UserError(f"invalid model.strides={steps}: expected increasing powers of two, such as [8, 16, 32]")


class AnchorFree(DetectorHead):
    """One raw output per point: `(batch, points, 4 · bins + classes)`, or `4 + classes` values without bins."""

    name = "anchor_free"
    options = AnchorFreeOptions
    shared_options = ("size",)

    def build(self, options: AnchorFreeOptions, backbone: Backbone, features: Features, classes: int) -> Built:
        """Merge the levels of the chosen strides in both directions, and add the branches of each level."""
        from keras import layers

        from cvlib.models.head_parts import neck

        levels, steps = neck.by_stride(features), strides_of(options, features.size)
        for step in steps:
            neck.require(levels, step, 2 * options.channels, f"model.strides={steps}: a stride of {step} pixels")
        widths = neck.widths(levels, min(steps), options.channels, options.neck_growth)
        levels = neck.bottom_up(neck.top_down(levels, widths), steps)
        raw = [_branches(levels[step], options, classes, f"head{step}") for step in steps]
        joined = layers.Concatenate(axis=1, name="predictions", dtype="float32")(raw)
        return Built([Output("predictions", joined)], features.maps)

    def step(self, options: AnchorFreeOptions, size: tuple[int, int]) -> int:
        """Return the coarsest stride, but at least 32."""
        return max(32, *strides_of(options, size))

    def side_step(self, options: AnchorFreeOptions) -> int:
        """Return the coarsest stride in the options, but at least 32."""
        return max([32, *(options.strides or [])])

    def decode(self, options: AnchorFreeOptions, raw: Any, size: tuple[int, int]) -> tuple[Any, Any]:
        """Call the module's `decode`."""
        return decode(raw, size, strides_of(options, size), options.bins)

    def loss_parts(
        self, options: AnchorFreeOptions, targets: Any, raw: Any, size: tuple[int, int],
        class_weights: np.ndarray | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Call the module's `loss_parts`."""
        return loss_parts(targets, raw, size, strides_of(options, size), options.bins, class_weights)


def strides_of(options: AnchorFreeOptions, size: tuple[int, int]) -> list[int]:
    """Return the distance in pixels between the points of each level, finest first."""
    return list(options.strides) if options.strides else [4, 8, 16] if min(size) < 200 else [8, 16, 32]


def _values(bins: int | None) -> int:
    """Return the number of raw values of a box."""
    return 4 * (bins or 1)


def _branches(x: KerasTensor, options: AnchorFreeOptions, classes: int, name: str) -> KerasTensor:
    """Return raw boxes and class logits from separate layers, joined: `(batch, points, values + classes)`."""
    import keras
    from keras import layers

    from cvlib.models.blocks import convolution

    raw, width = [], options.channels
    for kind, count, start in (("box", _values(options.bins), 0.0), ("class", classes, _RARE)):
        y = convolution(x, width, 3, f"{name}_{kind}1")
        y = convolution(y, width, 3, f"{name}_{kind}2")
        bias = keras.initializers.Constant(start)
        y = layers.Conv2D(count, 1, bias_initializer=bias, dtype="float32", name=f"{name}_{kind}")(y)
        raw.append(layers.Reshape((-1, count), name=f"{name}_{kind}_flat", dtype="float32")(y))
    return layers.Concatenate(name=f"{name}_joined", dtype="float32")(raw)


def points(size: tuple[int, int], strides: list[int]) -> np.ndarray:
    """Return each point's x, y and stride in pixels of the input, level by level: float32 `(points, 3)`."""
    levels = []
    for stride in strides:
        y, x = np.mgrid[: size[0] // stride, : size[1] // stride]
        levels.append(np.stack([(x + 0.5) * stride, (y + 0.5) * stride, np.full(x.shape, stride)], axis=-1))
    return np.concatenate([level.reshape(-1, 3) for level in levels]).astype(np.float32)


def decode(raw: Any, size: tuple[int, int], strides: list[int], bins: int | None) -> tuple[Any, Any]:
    """Decode raw `(batch, points, values + classes)` to boxes `(batch, points, 4)` in pixels and scores
    `(batch, points, classes)`.
    """
    from keras import ops

    return _corners(raw, points(size, strides), bins), ops.sigmoid(raw[..., _values(bins) :])


def _corners(raw: Any, grid_points: np.ndarray, bins: int | None) -> Any:
    from keras import ops

    from cvlib.models.head_parts import distances

    if bins:
        return distances.corners(raw[..., : _values(bins)], grid_points, bins)
    centres = raw[..., :2] * grid_points[:, 2:] + grid_points[:, :2]
    halves = ops.exp(ops.clip(raw[..., 2:4], -_LONGEST, _LONGEST)) * (grid_points[:, 2:] * (_SIDE / 2))
    return ops.concatenate([centres - halves, centres + halves], axis=-1)


def loss_parts(
    targets: Any, raw: Any, size: tuple[int, int], strides: list[int], bins: int | None = None,
    class_weights: np.ndarray | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return the weighted losses of boxes, of classes and of the distances' distributions; see `point_loss.parts`.

    Args:
        targets: `(batch, M, 5)`: corners in pixels and class, −1 where there is no box.
        raw: `(batch, points, values + classes)`.
        class_weights: `(classes,)`, factors for the class loss at the points of each class.
    """
    from keras import ops

    from cvlib.models.head_parts import assignment, distances, point_loss

    grid_points, values = points(size, strides), _values(bins)
    guesses, logits = _corners(raw, grid_points, bins), raw[..., values:]
    target_boxes, target_scores = assignment.assign(
        targets, ops.stop_gradient(guesses), ops.stop_gradient(ops.sigmoid(logits)), grid_points
    )
    entropy = ops.relu(logits) - logits * target_scores + ops.log1p(ops.exp(-ops.absolute(logits)))

    def distance_loss(wanted: Any) -> Any:
        return distances.loss(raw[..., :values], wanted, grid_points, bins) if bins else 0.0

    return point_loss.parts(target_boxes, target_scores, guesses, entropy, distance_loss, class_weights)


HEAD = AnchorFree()
