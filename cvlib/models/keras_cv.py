"""The parts of keras-cv that cvlib uses: its YOLOv8. No other file imports keras-cv, which is imported late.

keras-cv is no longer maintained; docs/yolov8.md says what this means. The graphs consist of plain Keras layers, so a
saved network needs no keras-cv.
"""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cvlib.runtime import backend
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor


def backbone(channels: list[int], depths: list[int], input_shape: tuple[int, int, int]) -> keras.Model:
    """Return a YOLOV8Backbone: pixels 0–1 `input_shape` → the map at stride 32.

    `channels` and `depths` are those of its four stacks, at strides 4 to 32. Raises `UserError` without keras-cv.
    """
    import keras

    built = _detector().YOLOV8Backbone(channels, depths, include_rescaling=False, input_shape=input_shape)
    return keras.Model(built.inputs[0], built.outputs[0], name="backbone")


def neck_and_head(maps: list[KerasTensor], classes: int, fpn_depth: int) -> tuple[KerasTensor, KerasTensor]:
    """Return the raw output of a YOLOV8Detector on maps at strides 8, 16 and 32.

    Returns:
        `(batch, points, 64)`: for each side of a point's box, 16 logits of its distance in strides, and
        `(batch, points, classes)`: probabilities. Both are float32.
    """
    source = _detector()
    outputs = source.apply_yolo_v8_head(source.apply_path_aggregation_fpn(maps, fpn_depth, "pa_fpn"), classes)
    return outputs["boxes"], outputs["classes"]


def assign(scores: Any, guesses: Any, centres: Any, targets: Any) -> tuple[Any, Any]:
    """Return each point's targets: boxes `(batch, points, 4)` and class scores `(batch, points, classes)`.

    Args:
        scores: predicted probabilities `(batch, points, classes)`.
        guesses: predicted boxes in pixels `(batch, points, 4)`.
        centres: the points in pixels `(points, 2)`.
        targets: `(batch, M, 5)`: corners in pixels and class, −1 where there is no box.
    """
    encoder = _detector().YOLOV8LabelEncoder(scores.shape[-1])
    labels = targets[..., 4]
    boxes, kinds, _ = encoder(scores, guesses, centres, labels, targets[..., :4], labels[..., None] >= 0)
    return boxes, kinds


def _detector() -> ModuleType:
    """Return the module of the detector, extended by its backbone."""
    backend.require_tensorflow("YOLOv8")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about its own old dependencies
            from keras_cv.src.models.object_detection.yolo_v8 import yolo_v8_backbone, yolo_v8_detector
    except ImportError as error:
        raise UserError(f"YOLOv8 needs keras-cv, which can't be imported ({str(error).splitlines()[0][:120]}): run "
                        "`pip install keras-cv==0.9.0`") from error  # fmt: skip
    module: ModuleType = yolo_v8_detector
    module.YOLOV8Backbone = yolo_v8_backbone.YOLOV8Backbone  # type: ignore[attr-defined]
    return module
