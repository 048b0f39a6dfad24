"""Padding and placement of resized images match hand calculations."""

from __future__ import annotations

import numpy as np
import pytest

from cvlib.data.resize import back, padding, placed, placement


@pytest.mark.parametrize(("height", "width", "expected"), [
    (64, 96, (0, 0)), (30, 90, (15, 0)), (30, 30, (0, 7)), (31, 90, (14, 0)), (200, 300, (0, 0)), (300, 200, (0, 125)),
])  # fmt: skip
def test_padding_gives_an_image_the_aspect_ratio_of_64_by_96(
    height: int, width: int, expected: tuple[int, int]
) -> None:
    assert padding(height, width, (64, 96), "letterbox") == expected
    assert padding(height, width, (64, 96), "stretch") == (0, 0)


def test_placements_at_64_by_96_match_the_hand_calculation() -> None:
    np.testing.assert_allclose(placement(32, 48, (64, 96), "letterbox"), [2, 2, 0, 0])
    np.testing.assert_allclose(placement(32, 32, (64, 96), "stretch"), [3, 2, 0, 0])
    # 32 × 32 is padded by 8 columns on either side to 32 × 48, then doubled.
    np.testing.assert_allclose(placement(32, 32, (64, 96), "letterbox"), [2, 2, 16, 0])


def test_boxes_of_images_of_different_sizes_are_placed_and_mapped_back() -> None:
    corners = np.array([[[4, 8, 20, 30]], [[0, 0, 48, 32]]], np.float32)
    sizes = np.array([[32, 32], [32, 48]])
    found = placed(corners, sizes, (64, 96), "letterbox")
    np.testing.assert_allclose(found, [[[24, 16, 56, 60]], [[0, 0, 96, 64]]])
    for original, resized, (height, width) in zip(corners, found, sizes.tolist(), strict=True):
        np.testing.assert_allclose(back(resized, height, width, (64, 96), "letterbox"), original)
