"""The anchor-free head: every point of every feature map predicts one box and its class scores.

Each level of a path-aggregation pyramid has separate branches for boxes and classes: Ge et al., YOLOX, 2021. A point's
raw output is (dx, dy, log w, log h, class logits …). Objects are assigned to the points whose current predictions fit
them best by score and overlap: Feng et al., TOOD: Task-aligned One-stage Object Detection, ICCV 2021.
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
_SIDE = 4.0  # side of the box for a raw output of 0, in strides
_LONGEST = 4.0  # the raw log side is clipped to ± this
_SCORE_POWER, _OVERLAP_POWER = 0.5, 6.0
_POSITIVES = 10  # maximum number of points for one object
_NEAR = 1.0  # in strides; points closer than this to an object's centre are candidates even outside its box
_BOX_WEIGHT, _CLASS_WEIGHT = 5.0, 1.0


@dataclass
class AnchorFreeOptions(NeckOptions):
    """The options of the anchor-free head."""

    # Distance between points in pixels; None: [4, 8, 16] if the shorter side is under 200 px, else [8, 16, 32].
    strides: list[int] | None = option(None)

    def __post_init__(self) -> None:
        steps = self.strides
        if steps is not None and (not steps or steps != sorted(set(steps)) or any(s < 1 or s & (s - 1) for s in steps)):
            raise UserError(f"invalid model.strides={steps}: expected increasing powers of two, such as [8, 16, 32]")


class AnchorFree(DetectorHead):
    """One raw output per point: `(batch, points, 4 + classes)`."""

    name = "anchor_free"
    options = AnchorFreeOptions

    def build(self, options: AnchorFreeOptions, backbone: Backbone, features: Features, classes: int) -> Built:
        """Merge the levels of the chosen strides in both directions, and add the branches of each level."""
        from keras import layers

        from cvlib.models.head_parts import neck

        levels, steps = neck.by_stride(features), strides_of(options, features.size)
        for step in steps:
            neck.require(levels, step, 2 * options.neck_channels, f"model.strides={steps}: a stride of {step} pixels")
        levels = neck.bottom_up(neck.top_down(levels, min(steps), options.neck_channels), steps, options.neck_channels)
        raw = [_branches(levels[step], options.neck_channels, classes, f"head{step}") for step in steps]
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
        return decode(raw, size, strides_of(options, size))

    def loss_parts(
        self, options: AnchorFreeOptions, targets: Any, raw: Any, size: tuple[int, int],
        class_weights: np.ndarray | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Call the module's `loss_parts`."""
        return loss_parts(targets, raw, size, strides_of(options, size), class_weights)


def strides_of(options: AnchorFreeOptions, size: tuple[int, int]) -> list[int]:
    """Return the distance in pixels between the points of each level, finest first."""
    return list(options.strides) if options.strides else [4, 8, 16] if min(size) < 200 else [8, 16, 32]


def _branches(x: KerasTensor, width: int, classes: int, name: str) -> KerasTensor:
    """Return raw boxes and class logits from separate layers: `(batch, points, 4 + classes)`."""
    import keras
    from keras import layers

    from cvlib.models.blocks import convolution

    raw = []
    for kind, count, start in (("box", 4, 0.0), ("class", classes, _RARE)):
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


def decode(raw: Any, size: tuple[int, int], strides: list[int]) -> tuple[Any, Any]:
    """Decode raw `(batch, points, 4 + classes)` to boxes `(batch, points, 4)` in pixels and scores
    `(batch, points, classes)`.
    """
    from keras import ops

    return _corners(raw, points(size, strides)), ops.sigmoid(raw[..., 4:])


def _corners(raw: Any, grid_points: np.ndarray) -> Any:
    from keras import ops

    centres = raw[..., :2] * grid_points[:, 2:] + grid_points[:, :2]
    halves = ops.exp(ops.clip(raw[..., 2:4], -_LONGEST, _LONGEST)) * (grid_points[:, 2:] * (_SIDE / 2))
    return ops.concatenate([centres - halves, centres + halves], axis=-1)


def loss_parts(
    targets: Any, raw: Any, size: tuple[int, int], strides: list[int], class_weights: np.ndarray | None = None
) -> dict[str, Any]:  # fmt: skip
    """Return the weighted losses of boxes and of classes, each `(batch,)`.

    Args:
        targets: `(batch, M, 5)`: corners in pixels and class, −1 where there is no box.
        raw: `(batch, points, 4 + classes)`.
        class_weights: `(classes,)`, factors for the class loss at the points of each class.

    Both parts are sums over the image's points. They are scaled so that their mean over the batch is the batch's total
    loss divided by its total target score. Images without boxes contribute through the scores of their points, all of
    which should be 0.
    """
    from keras import ops

    from cvlib.models.head_parts import boxes

    grid_points = points(size, strides)
    guesses, logits = _corners(raw, grid_points), raw[..., 4:]
    target_boxes, target_scores = assign(
        targets, ops.stop_gradient(guesses), ops.stop_gradient(ops.sigmoid(logits)), grid_points
    )
    weights = ops.sum(target_scores, axis=-1)
    scale = ops.cast(ops.shape(raw)[0], "float32") / ops.maximum(ops.sum(weights), 1.0)
    # Points without an object use their own box as the target, so their box loss stays finite and has no gradient.
    target_boxes = ops.where(weights[..., None] > 0, target_boxes, ops.stop_gradient(guesses))
    entropy = ops.relu(logits) - logits * target_scores + ops.log1p(ops.exp(-ops.absolute(logits)))
    if class_weights is not None:
        entropy *= 1 + ops.cast(target_scores > 0, entropy.dtype) * (np.asarray(class_weights, np.float32) - 1)
    return {
        "box_loss": _BOX_WEIGHT * scale * ops.sum(weights * (1 - boxes.ciou(target_boxes, guesses)), axis=-1),
        "class_loss": _CLASS_WEIGHT * scale * ops.sum(entropy, axis=(1, 2)),
    }


def assign(targets: Any, guesses: Any, scores: Any, grid_points: np.ndarray) -> tuple[Any, Any]:
    """Return the targets of each point: boxes `(batch, points, 4)` and class scores `(batch, points, classes)`.

    An object is assigned to the points that align best with it: at most ten, inside its box or next to its centre. If
    several objects compete for a point, the point takes the one that its predicted box overlaps most. The target score
    of the best point is the object's largest overlap. The other points get less, in proportion to their alignment.
    """
    from keras import ops

    from cvlib.models.head_parts import boxes

    corners, labels = targets[..., :4], ops.cast(targets[..., 4], "int32")
    real = ops.cast(labels >= 0, "float32")[..., None]
    kinds = ops.one_hot(ops.maximum(labels, 0), scores.shape[-1]) * real
    overlap = boxes.iou(corners[:, :, None], guesses[:, None]) * real
    score = ops.matmul(kinds, ops.transpose(scores, (0, 2, 1)))
    allowed = _candidates(corners, grid_points) * real
    # The small constants let the alignment rank the points even if no box overlaps an object yet.
    alignment = allowed * (score + 1e-3) ** _SCORE_POWER * (overlap + 1e-2) ** _OVERLAP_POWER
    positive = _most_aligned(alignment, min(_POSITIVES, len(grid_points))) * allowed
    positive = positive * _first_of_largest(overlap * positive + positive, axis=1)
    alignment, overlap = alignment * positive, overlap * positive
    reached = ops.max(overlap, axis=-1, keepdims=True)
    share = alignment / ops.maximum(ops.max(alignment, axis=-1, keepdims=True), 1e-20)
    target_scores = ops.matmul(ops.transpose(positive * share * reached, (0, 2, 1)), kinds)
    return ops.matmul(ops.transpose(positive, (0, 2, 1)), corners), target_scores


def _candidates(corners: Any, grid_points: np.ndarray) -> Any:
    """Return 1 where a point is a candidate for an object, else 0: `(batch, M, points)`."""
    from keras import ops

    corners = corners[:, :, None]
    inside = ops.minimum(ops.min(grid_points[:, :2] - corners[..., :2], axis=-1),
                         ops.min(corners[..., 2:] - grid_points[:, :2], axis=-1)) > 0  # fmt: skip
    away = ops.max(ops.absolute((corners[..., :2] + corners[..., 2:]) / 2 - grid_points[:, :2]), axis=-1)
    return ops.cast(ops.logical_or(inside, away < _NEAR * grid_points[:, 2]), "float32")


def _most_aligned(alignment: Any, count: int) -> Any:
    """Return 1 for the `count` largest values of each object, else 0: `(batch, M, points)`."""
    from keras import ops

    smallest = ops.top_k(alignment, count)[0][..., -1:]
    return ops.cast(alignment >= smallest, "float32")


def _first_of_largest(values: Any, axis: int) -> Any:
    from keras import ops

    largest = ops.cast(values >= ops.max(values, axis=axis, keepdims=True), "float32")
    return largest * ops.cast(ops.cumsum(largest, axis=axis) < 1.5, "float32")


HEAD = AnchorFree()
