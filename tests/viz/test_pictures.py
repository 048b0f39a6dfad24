"""Sizes, positions and colours of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.viz import pictures


def test_a_small_image_is_enlarged_pixel_by_pixel() -> None:
    checkers = np.array([[0, 255], [255, 0]], np.float32)[None, ..., None]
    sheet = pictures.contact_sheet(checkers, [""])
    tile = sheet[8 : 8 + 112, 8 : 8 + 112]
    assert (tile[:56, :56] == 0).all()
    assert (tile[:56, 56:] == 255).all()
    assert (tile[56:, 56:] == 0).all()


def test_a_wide_image_keeps_its_aspect_ratio() -> None:
    sheet = pictures.contact_sheet(np.zeros((1, 100, 200, 3)), [""])
    tile = sheet[8 : 8 + 112, 8 : 8 + 112]
    assert (tile[28:84] == 0).all()
    assert (tile[:27] == 235).all()


def test_correct_predictions_are_green_and_wrong_ones_are_red() -> None:
    images = np.full((2, 9, 9, 3), 255.0)
    sheet = pictures.predictions(images, np.array([0, 1]), np.array([0, 0]), np.array([0.9, 0.6]), ["cat", "dog"])
    left, right = sheet[122:, :125].astype(int), sheet[122:, 130:].astype(int)
    assert (left[..., 1] > left[..., 0] + 50).any()
    assert not (left[..., 0] > left[..., 1] + 50).any()
    assert (right[..., 0] > right[..., 1] + 50).any()


@pytest.mark.parametrize("count", [2, 10, 100])
def test_a_confusion_matrix_is_a_picture_for_few_and_many_classes(count: int) -> None:
    picture = pictures.confusion_matrix(np.eye(count, dtype=int) * 5, [f"class {i} ✓" for i in range(count)])
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert min(picture.shape[:2]) >= 400
    dark = (picture.sum(axis=2) < 300).mean()
    assert 0 < dark < 0.6


def test_long_names_are_shortened_and_pictures_are_saved_unchanged(tmp_path: Path) -> None:
    assert pictures.shortened("Bernhardiner", 8) == "Bernhar…"
    assert pictures.shortened("Dackel", 8) == "Dackel"
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    pictures.save_png(picture, tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), picture)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_caption_starts_with_the_end_of_a_long_file_name():
    names = ["a/b/cat.png", "dogs/a_very_long_name_0123.jpg"]
    assert pictures.with_names(["x", "y"], names) == ["cat.png\nx", "…g_name_0123.jpg\ny"]
    assert pictures.with_names(["x"], []) == ["x"]


def test_a_wide_caption_ends_with_its_image() -> None:
    sheet = pictures.contact_sheet(np.full((2, 8, 8, 3), 255, np.uint8), ["W" * 30, "x"])
    gap = sheet[:, 8 + 112 + 5 : 8 + 120]  # between the first image with its caption and the second one
    assert (gap == 255).all()
    assert (sheet[120:, 100:120] < 255).any()  # it uses the whole width
