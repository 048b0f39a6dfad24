"""The levels of a detector's neck: sizes by stride, and joins compared with NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from cvlib.models.head import Features
from cvlib.models.head_parts import neck
from cvlib.runtime.errors import UserError


def levels(sizes: dict[int, tuple[int, int]], channels: int = 2) -> neck.Levels:
    return {stride: keras.Input((*size, channels)) for stride, size in sizes.items()}


def test_maps_that_lost_their_borders_are_resized_to_the_image_size_over_the_stride() -> None:
    image = keras.Input((64, 96, 3))
    maps = [keras.Input((15, 22, 2)), keras.Input((8, 12, 2))]
    found = neck.by_stride(Features(image, maps, [4, 8]))
    assert {stride: tuple(one.shape[1:3]) for stride, one in found.items()} == {4: (16, 24), 8: (8, 12)}
    assert found[8] is maps[1]  # a map that fits is unchanged
    assert keras.Model(maps[0], found[4]).get_layer("level4_resized") is not None


def test_coarser_levels_are_created_by_halving_and_finer_ones_are_refused() -> None:
    found = levels({4: (16, 24), 8: (8, 12)})
    neck.require(found, 32, 5, "a stride of 32 pixels")
    assert {stride: tuple(one.shape[1:]) for stride, one in found.items()} == {
        4: (16, 24, 2), 8: (8, 12, 2), 16: (4, 6, 5), 32: (2, 3, 5),
    }  # fmt: skip
    with pytest.raises(UserError, match="a cell of 2 pixels is finer than the features, whose smallest stride is 4"):
        neck.require(found, 2, 5, "a cell of 2 pixels")


def test_top_down_adds_the_coarser_level_and_stops_at_the_requested_stride() -> None:
    given = levels({2: (8, 8), 4: (4, 4), 8: (2, 2)})
    found = neck.top_down(dict(given), {4: 3, 8: 3})
    assert {stride: tuple(one.shape[1:]) for stride, one in found.items()} == {8: (2, 2, 3), 4: (4, 4, 3)}
    model = keras.Model([given[4], given[8]], [model_layer.output for model_layer in _layers(found[4], given)])
    lateral, coarse, joined = model.predict([np.ones((1, 4, 4, 2)), np.ones((1, 2, 2, 2)) * 2], verbose=0)
    np.testing.assert_allclose(joined, lateral + coarse.repeat(2, axis=1).repeat(2, axis=2), atol=1e-6)


def _layers(output: keras.KerasTensor, given: neck.Levels) -> list[keras.layers.Layer]:
    """Return the layers of the finer level's lateral map, of the coarser level, and of their sum."""
    model = keras.Model([given[4], given[8]], output)
    return [model.get_layer(name) for name in ("lateral4_relu", "down8_relu", "joined4")]


def test_bottom_up_adds_the_finer_level_across_missing_strides() -> None:
    given = levels({4: (16, 16), 16: (4, 4)}, channels=3)
    found = neck.bottom_up(dict(given), [4, 16])
    model = keras.Model([given[4], given[16]], found[16])
    names = [layer.name for layer in model.layers]
    assert {"up16_1", "up16_2", "joined_up16"} <= set(names) and "up16_3" not in names  # halved twice
    parts = keras.Model(model.inputs, [model.get_layer("up16_2_relu").output, model.output])
    up, joined = parts.predict([np.ones((1, 16, 16, 3)), np.full((1, 4, 4, 3), 7.0)], verbose=0)
    np.testing.assert_allclose(joined, up + 7, atol=1e-6)
    assert found[4] is given[4]


def test_coarser_levels_are_wider_up_to_the_third() -> None:
    assert neck.widths([4, 8, 16, 32], 4, 5) == {4: 5, 8: 5, 16: 5, 32: 5}
    widths = neck.widths([32, 4, 16, 8, 2], 4, 5, growth=2)
    assert widths == {4: 5, 8: 10, 16: 20, 32: 20}
    found = neck.top_down(levels({4: (8, 8), 8: (4, 4), 16: (2, 2), 32: (1, 1)}), widths)
    found = neck.bottom_up(found, [8, 16, 32])
    assert {stride: one.shape[-1] for stride, one in found.items()} == widths
