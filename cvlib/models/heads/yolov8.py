"""The neck and the head of YOLOv8, as keras-cv builds and trains them: Jocher et al., Ultralytics YOLO, 2023.

A point's raw output is 4 · 16 logits of the distances from the point to the sides of its box, and a probability for
each class. keras-cv assigns objects to points. Four details differ from keras-cv. As in the original, the loss has a
term for the distributions of the distances, the class loss is a sum over the classes, not a mean, and the initial
probability of a class is 1 % instead of 50 %. The initial boxes have sides of about 3 strides instead of 15, because
the assignment hardly reacts to boxes that are far too large.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from cvlib.config.fields import option
from cvlib.models.backbone import Backbone
from cvlib.models.head import Built, Features, Output
from cvlib.models.head_parts.detector import DetectorHead, DetectorOptions
from cvlib.models.heads.anchor_free import points

_STRIDES = [8, 16, 32]
_BINS = 16  # logits for each side of a box
_RARE = -math.log(99)  # initial class logit, for a probability of 1 %
_NEAR = -0.5  # initial logits fall by this from bin to bin, for distances of about 1.5 strides
_WIDE = 192  # channels at stride 8 from which the neck's blocks are deeper
_EXTRA = 256  # channels of a level that the backbone lacks
_TINY = 1e-7


@dataclass
class Yolov8HeadOptions(DetectorOptions):
    """The options of YOLOv8's head."""

    fpn_depth: int | None = option(None, low=1, high=9)  # pairs of convolutions in a block of the neck; None: by size


class Yolov8(DetectorHead):
    """One raw output per point: `(batch, points, 64 + classes)`."""

    name = "yolov8"
    options = Yolov8HeadOptions

    def build(self, options: Yolov8HeadOptions, backbone: Backbone, features: Features, classes: int) -> Built:
        """Add keras-cv's path-aggregation pyramid and the branches of each level."""
        import keras
        from keras import layers

        from cvlib.models import keras_cv
        from cvlib.models.head_parts import neck

        levels = neck.by_stride(features)
        for stride in _STRIDES:
            neck.require(levels, stride, _EXTRA, f"model.head=yolov8: a stride of {stride} pixels")
        maps = [levels[stride] for stride in _STRIDES]
        depth = options.fpn_depth or (2 if maps[0].shape[-1] >= _WIDE else 1)
        raw = keras_cv.neck_and_head(maps, classes, depth)
        joined = layers.Concatenate(axis=-1, name="predictions", dtype="float32")(raw)
        for layer in keras.Model(maps, joined).layers:
            if layer.name.endswith("_class_3_conv"):
                layer.bias.assign(np.full(classes, _RARE))
            elif layer.name.endswith("_box_3_conv"):
                layer.bias.assign(np.tile(_NEAR * np.arange(_BINS), 4))
        return Built([Output("predictions", joined)], features.maps)

    def step(self, options: Yolov8HeadOptions, size: tuple[int, int]) -> int:
        """Return the coarsest stride."""
        return _STRIDES[-1]

    def side_step(self, options: Yolov8HeadOptions) -> int:
        """Return the coarsest stride."""
        return _STRIDES[-1]

    def decode(self, options: Yolov8HeadOptions, raw: Any, size: tuple[int, int]) -> tuple[Any, Any]:
        """Return boxes `(batch, points, 4)` in pixels and scores `(batch, points, classes)`."""
        from cvlib.models.head_parts import distances

        return distances.corners(raw[..., : 4 * _BINS], points(size, _STRIDES), _BINS), raw[..., 4 * _BINS :]

    def loss_parts(
        self, options: Yolov8HeadOptions, targets: Any, raw: Any, size: tuple[int, int],
        class_weights: np.ndarray | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Return the weighted losses of boxes, of classes and of the distances; see `point_loss.parts`."""
        from keras import ops

        from cvlib.models import keras_cv
        from cvlib.models.head_parts import distances, point_loss

        grid = points(size, _STRIDES)
        guesses, scores = self.decode(options, raw, size)
        target_boxes, target_scores = keras_cv.assign(
            ops.stop_gradient(scores), ops.stop_gradient(guesses), ops.convert_to_tensor(grid[:, :2]), targets
        )
        target_boxes, target_scores = ops.stop_gradient(target_boxes), ops.stop_gradient(target_scores)
        sure = ops.clip(scores, _TINY, 1 - _TINY)
        entropy = -target_scores * ops.log(sure) - (1 - target_scores) * ops.log(1 - sure)
        return point_loss.parts(
            target_boxes, target_scores, guesses, entropy,
            lambda wanted: distances.loss(raw[..., : 4 * _BINS], wanted, grid, _BINS), class_weights,
        )  # fmt: skip


HEAD = Yolov8()
