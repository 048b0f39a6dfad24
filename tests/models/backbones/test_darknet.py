"""The small CSPDarknet: its parameters by hand, and the strides of its levels."""

from __future__ import annotations

from cvlib.models.backbones import darknet
from cvlib.models.backbones.darknet import DarknetOptions
from tests.networks import network


def _convolution(size: int, inputs: int, outputs: int) -> int:
    """Return the parameters of a convolution without bias and its BatchNorm."""
    return size * size * inputs * outputs + 4 * outputs


def test_the_parameters_of_two_stages_by_hand() -> None:
    half = 4
    block = 2 * _convolution(1, 8, half) + 2 * _convolution(3, half, half) + _convolution(1, 8, 8)
    by_hand = _convolution(3, 3, 6) + _convolution(3, 6, 8) + block
    assert network("darknet", 64, 3, 2, filters=[6, 8]).base.count_params() == by_hand


def test_each_level_halves_the_sides() -> None:
    base = network("darknet", 64, 3, 2).base
    levels = darknet.BACKBONE.feature_levels(DarknetOptions())
    assert [level.stride for level in levels] == [2, 4, 8, 16, 32]
    for level in levels:
        side = 64 // level.stride
        assert base.get_layer(level.layer).output.shape == (None, side, side, level.channels)
