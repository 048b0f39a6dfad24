"""Windows that cover an image, and how their outputs are joined."""

from __future__ import annotations

import numpy as np
import pytest

from cvlib.data import tiles
from cvlib.data.input_spec import InputSpec
from cvlib.data.tiles import Canvas


def spec(height: int, width: int, overlap: float = 0.25) -> InputSpec:
    return InputSpec(height, width, 1, overlap=overlap)


def test_windows_are_few_and_evenly_spaced() -> None:
    # Steps of at most 8 · 0.75 = 6 pixels: 20 − 8 = 12 pixels need two steps, 21 − 8 = 13 need three.
    assert tiles.starts(20, 8, 0.25).tolist() == [0, 6, 12]
    assert tiles.starts(21, 8, 0.25).tolist() == [0, 4, 9, 13]
    assert tiles.starts(16, 8, 0).tolist() == [0, 8]
    assert tiles.starts(8, 8, 0.25).tolist() == tiles.starts(5, 8, 0.25).tolist() == [0]
    found = tiles.windows(np.array([[8, 14], [5, 8]]), spec(8, 8))
    assert found.images.tolist() == [0, 0, 1]
    assert found.corners.tolist() == [[0, 0], [0, 6], [0, 0]]


@pytest.mark.parametrize(("side", "tile", "overlap"), [(20, 8, 0.25), (97, 32, 0.5), (16, 8, 0), (8, 8, 0.25)])
def test_the_weights_sum_to_one_at_every_pixel(side: int, tile: int, overlap: float) -> None:
    total = np.zeros(side)
    for start, weights in zip(tiles.starts(side, tile, overlap), tiles.blending(side, tile, overlap), strict=True):
        total[start : start + tile] += weights
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_weights_of_two_windows_by_hand() -> None:
    # Windows at 0 and 4 overlap in the pixels 4 and 5; the ramp over 2 pixels is 0.25, 0.75.
    found = tiles.blending(10, 6, 1 / 3)
    np.testing.assert_allclose(found, [[1, 1, 1, 1, 0.75, 0.25], [0.25, 0.75, 1, 1, 1, 1]], atol=1e-6)


def test_a_canvas_restores_what_the_windows_were_cut_from() -> None:
    image = np.random.default_rng(0).random((23, 17, 3)).astype(np.float32)
    own = spec(8, 8)
    canvas, joined = Canvas((23, 17), own), None
    for top, left in tiles.windows(np.array([[23, 17]]), own).corners.tolist():
        assert joined is None
        joined = canvas.add(tiles.cut(image, (top, left), own.size))
    np.testing.assert_allclose(joined, image, atol=1e-6)


def test_one_window_is_returned_bit_by_bit_and_without_its_padding() -> None:
    output = np.random.default_rng(0).random((8, 8, 2)).astype(np.float32)
    for size in ((8, 8), (5, 7)):
        joined = Canvas(size, spec(8, 8)).add(output)
        assert joined is not None
        np.testing.assert_array_equal(joined, output[: size[0], : size[1]])


def test_a_tile_beyond_the_image_is_padded() -> None:
    pixels = np.arange(1, 7).reshape(2, 3)
    assert tiles.cut(pixels, (1, 1), (2, 3), 9).tolist() == [[5, 6, 9], [9, 9, 9]]
    assert tiles.centre(np.arange(25).reshape(5, 5, 1), (3, 3))[..., 0].tolist() == [
        [6, 7, 8],
        [11, 12, 13],
        [16, 17, 18],
    ]
