"""Images are resized as by TensorFlow and by Keras' own layer, and placements match drawn boxes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from cvlib.data import resampling
from cvlib.data.labels.mask import IGNORE
from cvlib.data.resize import back, placement

RNG = np.random.default_rng(0)
# Height and width before and after; the last ones enlarge, keep one side, or start from a single pixel.
SIZES = [((375, 500), (160, 160)), ((81, 64), (32, 48)), ((97, 33), (64, 64)), ((31, 45), (96, 80)),
         ((64, 20), (64, 64)), ((1, 7), (5, 3))]  # fmt: skip


def padded(pixels: Any, size: tuple[int, int], method: str, value: int) -> Any:
    height, width = pixels.shape[:2]
    rows = (max(height, width * size[0] // size[1]) - height) // 2 if method == "letterbox" else 0
    columns = (max(width, height * size[1] // size[0]) - width) // 2 if method == "letterbox" else 0
    return tf.pad(pixels, [[rows, rows], [columns, columns], [0, 0]], constant_values=value)


@pytest.mark.parametrize("method", ["stretch", "letterbox"])
@pytest.mark.parametrize(("before", "after"), SIZES)
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_images_are_resized_to_the_same_bits_as_by_tensorflow(before, after, channels, method):
    pixels = RNG.integers(0, 256, (*before, channels), np.uint8)
    found = resampling.image(pixels, after, method)
    assert found.dtype == np.uint8 and found.flags.c_contiguous
    expected = tf.image.resize(padded(pixels, after, method, 0), after, antialias=True)
    np.testing.assert_array_equal(found, tf.round(expected))


@pytest.mark.parametrize("method", ["stretch", "letterbox"])
@pytest.mark.parametrize(("before", "after"), SIZES)
def test_masks_are_resized_to_the_same_ids_as_by_tensorflow(before, after, method):
    ids = RNG.integers(0, 256, before, np.uint8)
    expected = tf.image.resize(padded(ids[..., None], after, method, IGNORE), after, "nearest")[..., 0]
    np.testing.assert_array_equal(resampling.mask(ids, after, method), expected)


def test_halving_averages_with_a_triangle():
    weights = resampling.weights(8, 4).toarray()
    np.testing.assert_allclose(weights[1], [0, 1 / 8, 3 / 8, 3 / 8, 1 / 8, 0, 0, 0])
    np.testing.assert_allclose(weights[0], [3 / 7, 3 / 7, 1 / 7, 0, 0, 0, 0, 0])


def test_channels_stay_apart():
    weights = resampling.weights(6, 3, 2).toarray()
    np.testing.assert_array_equal(weights[::2, ::2], resampling.weights(6, 3).toarray())
    np.testing.assert_array_equal(weights[::2, 1::2], 0)


METHODS = ("stretch", "letterbox")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(31, 47), (47, 31), (20, 20), (5, 64), (33, 8)])
@pytest.mark.parametrize("size", [(16, 16), (64, 64), (24, 40)])
def test_images_are_resized_as_in_the_saved_model(method: str, shape: tuple[int, int], size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    layer = keras.layers.Resizing(*size, antialias=True, pad_to_aspect_ratio=method == "letterbox")
    np.testing.assert_array_equal(resampling.image(pixels, size, method), np.rint(layer(pixels.astype(np.float32))))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(200, 300), (300, 200), (160, 1000)])
def test_a_drawn_box_lies_where_its_placement_says(method: str, shape: tuple[int, int]) -> None:
    box = np.array([40, 60, 110, 140], np.float32)  # x_min, y_min, x_max, y_max
    pixels = np.zeros((*shape, 1), np.uint8)
    pixels[60:140, 40:110] = 255
    seen = np.asarray(resampling.image(pixels, (96, 96), method), np.float32)[..., 0] / 255
    scale_x, scale_y, offset_x, offset_y = placement(*shape, (96, 96), method)
    expected = box * [scale_x, scale_y, scale_x, scale_y] + [offset_x, offset_y, offset_x, offset_y]
    pixel_centres = np.arange(96) + 0.5
    centre = (seen * pixel_centres).sum() / seen.sum(), (seen * pixel_centres[:, None]).sum() / seen.sum()
    assert centre == pytest.approx(((expected[0] + expected[2]) / 2, (expected[1] + expected[3]) / 2), abs=0.1)
    area = (expected[2] - expected[0]) * (expected[3] - expected[1])
    assert seen.sum() == pytest.approx(area, rel=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_boxes_are_mapped_back_to_the_original_image(method: str) -> None:
    boxes = np.array([[0, 0, 300, 200], [10.5, 20, 30, 199]], np.float64)
    scale_x, scale_y, offset_x, offset_y = placement(200, 300, (64, 64), method)
    resized = boxes * np.array([scale_x, scale_y] * 2) + np.array([offset_x, offset_y] * 2)
    np.testing.assert_allclose(back(resized, 200, 300, (64, 64), method), boxes, atol=1e-3)
    beyond = resized + np.array([-50, -50, 50, 50])
    clipped = back(beyond, 200, 300, (64, 64), method)
    assert clipped.min() == 0
    assert clipped[:, 2].max() == 300
    assert clipped[:, 3].max() == 200


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(16, 16), (64, 40)])
def test_resizing_a_mask_adds_no_ids_and_marks_padding_as_ignored(method: str, size: tuple[int, int]) -> None:
    mask = np.zeros((20, 50), np.uint8)
    mask[:, 25:] = 3
    found = np.asarray(resampling.mask(mask, size, method))
    assert found.shape == size
    assert set(np.unique(found)) == {0, 3} | ({IGNORE} if method == "letterbox" else set())


def test_a_mask_is_aligned_with_its_image() -> None:
    shape = np.zeros((60, 100), bool)
    shape[10:50, 30:90] = True
    image = np.asarray(resampling.image((shape * 255).astype(np.uint8)[..., None], (48, 48), "letterbox"))[..., 0]
    mask = np.asarray(resampling.mask(shape.astype(np.uint8), (48, 48), "letterbox"))
    assert ((image > 127) == (mask == 1)).mean() > 0.99
