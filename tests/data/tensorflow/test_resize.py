"""Resizing matches Keras' own layer, and placements match drawn boxes."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from cvlib.data.dataset import IGNORE
from cvlib.data.resize import back, placement
from cvlib.data.tensorflow import resize

METHODS = ("stretch", "letterbox")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(31, 47), (47, 31), (20, 20), (5, 64), (33, 8)])
@pytest.mark.parametrize("size", [(16, 16), (64, 64), (24, 40)])
def test_images_are_resized_as_in_the_saved_model(method: str, shape: tuple[int, int], size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    layer = keras.layers.Resizing(*size, antialias=True, pad_to_aspect_ratio=method == "letterbox")
    np.testing.assert_array_equal(resize.image(pixels, size, method), np.rint(layer(pixels.astype(np.float32))))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(200, 300), (300, 200), (160, 1000)])
def test_a_drawn_box_lies_where_its_placement_says(method: str, shape: tuple[int, int]) -> None:
    box = np.array([40, 60, 110, 140], np.float32)  # x_min, y_min, x_max, y_max
    pixels = np.zeros((*shape, 1), np.uint8)
    pixels[60:140, 40:110] = 255
    seen = np.asarray(resize.image(pixels, (96, 96), method), np.float32)[..., 0] / 255
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
    found = np.asarray(resize.mask(mask, size, method))
    assert found.shape == size
    assert set(np.unique(found)) == {0, 3} | ({IGNORE} if method == "letterbox" else set())


def test_a_mask_is_aligned_with_its_image() -> None:
    shape = np.zeros((60, 100), bool)
    shape[10:50, 30:90] = True
    image = np.asarray(resize.image((shape * 255).astype(np.uint8)[..., None], (48, 48), "letterbox"))[..., 0]
    mask = np.asarray(resize.mask(shape.astype(np.uint8), (48, 48), "letterbox"))
    assert ((image > 127) == (mask == 1)).mean() > 0.99
