"""YOLOv8: the network, the decoding and the loss equal those of keras-cv's detector."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from cvlib.models import heads
from cvlib.models.heads.yolov8 import Yolov8HeadOptions
from tests.configs import model_config
from tests.networks import network_of

OPTIONS = Yolov8HeadOptions()
CONFIGURATIONS = {"n": ([32, 64, 128, 256], [1, 2, 2, 1], 1), "m": ([96, 192, 384, 576], [2, 4, 4, 2], 2)}
TARGETS = np.array([[[5, 5, 30, 40, 1], [20, 10, 60, 50, 2], [-1, -1, -1, -1, -1]], [[0, 0, 0, 0, -1]] * 3], np.float32)


def test_a_box_is_decoded_from_the_means_of_its_distances() -> None:
    raw = np.zeros((1, 21, 4 * 16 + 2), np.float32)  # an image of 32×32 has 16 + 4 + 1 points
    raw[0, 5, [3, 16 + 1, 32 + 2, 48 + 4]] = 50.0  # left 3, top 1, right 2, bottom 4 strides
    boxes, scores = heads.get("yolov8").decode(OPTIONS, raw, (32, 32))  # type: ignore[attr-defined]
    # Point 5 is the second in the second row at stride 8: its centre is (12, 12).
    np.testing.assert_allclose(boxes[0, 5], [12 - 3 * 8, 12 - 8, 12 + 2 * 8, 12 + 4 * 8], atol=1e-4)
    np.testing.assert_allclose(boxes[0, 20], [16 - 7.5 * 32] * 2 + [16 + 7.5 * 32] * 2, atol=1e-3)  # the mean of 0–15
    assert scores.shape == (1, 21, 2)


def _layers(model: keras.Model) -> list[keras.layers.Layer]:
    found = [inner for layer in model.layers for inner in (_layers(layer) if hasattr(layer, "layers") else [layer])]
    return [layer for layer in found if layer.weights]


def _randomized(layer: keras.layers.Layer, random: np.random.Generator) -> list[np.ndarray]:
    def drawn(array: np.ndarray) -> np.ndarray:
        if array.ndim == 1:
            return random.uniform(0.4, 0.8, array.shape)
        return random.normal(size=array.shape) * np.sqrt(2 / np.prod(array.shape[:3]))

    return [drawn(array) for array in layer.get_weights()]


@pytest.mark.slow
@pytest.mark.parametrize("size", ["n", "m"])
def test_network_decoding_and_loss_equal_those_of_keras_cv(size: str) -> None:
    from keras_cv.src.models.object_detection.yolo_v8 import yolo_v8_backbone, yolo_v8_detector

    channels, depths, fpn_depth = CONFIGURATIONS[size]
    backbone = yolo_v8_backbone.YOLOV8Backbone(channels, depths, include_rescaling=True, input_shape=(64, 64, 3))
    theirs = yolo_v8_detector.YOLOV8Detector(backbone, 3, "xyxy", fpn_depth=fpn_depth)
    ours = network_of(model_config("yolov8", size=size), 64, 3, 3)
    np.testing.assert_allclose(ours.model.get_layer("yolo_v8_head_1_class_3_conv").bias, np.log(1 / 99), rtol=1e-6)
    random, by_name = np.random.default_rng(0), {layer.name: layer for layer in _layers(theirs)}
    for layer in _layers(ours.model):
        arrays = _randomized(layer, random)
        layer.set_weights(arrays)
        by_name.pop(layer.name).set_weights(arrays)
    assert by_name == {}
    pixels = random.integers(0, 256, (2, 64, 64, 3)).astype(np.float32)
    raw, expected = np.asarray(ours.model(pixels)), theirs(pixels)
    np.testing.assert_allclose(raw, np.concatenate([expected["boxes"], expected["classes"]], axis=-1), atol=1e-5)

    head: Any = ours.head
    centres, strides = yolo_v8_detector.get_anchors((64, 64))
    distances = yolo_v8_detector.decode_regression_to_boxes(expected["boxes"])
    boxes = yolo_v8_detector.dist2bbox(distances, centres) * strides[:, None]
    np.testing.assert_allclose(head.decode(OPTIONS, raw, (64, 64))[0], boxes, atol=1e-3)

    theirs.compile(box_loss="ciou", classification_loss="binary_crossentropy", classification_loss_weight=0.5 * 3)
    labels = {"boxes": TARGETS[..., :4], "classes": TARGETS[..., 4]}
    parts = head.loss_parts(OPTIONS, TARGETS, raw, (64, 64))
    # keras-cv has no loss of the distances.
    assert float(np.mean(parts["box_loss"] + parts["class_loss"])) == pytest.approx(
        float(theirs.compute_loss(pixels, labels, expected)), rel=1e-4
    )
    empty = head.loss_parts(OPTIONS, TARGETS[1:], raw[1:], (64, 64))  # no image has a box
    np.testing.assert_array_equal(empty["box_loss"], 0)
    # Every class probability should then be 0: 0.5 · Σ −log(1 − p).
    np.testing.assert_allclose(empty["class_loss"], 0.5 * -np.log1p(-raw[1, :, 64:]).sum(), rtol=1e-4)
