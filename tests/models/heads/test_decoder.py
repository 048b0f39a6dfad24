"""Encoder–decoder networks: sizes, errors, and the three decoders."""

from __future__ import annotations

from typing import Any

import pytest

from cvlib.models.network import Network
from cvlib.runtime.errors import UserError
from tests.networks import network

pytestmark = pytest.mark.usefixtures("eager")

DECODERS = ["interpolate", "unpool", "transpose"]


def build(side: int = 20, channels: int = 3, **changes: Any) -> Network:
    return network("segmenter", side, channels, 5, **{"filters": [4, 6], "auxiliary_weight": 0.0, **changes})


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("skip", [True, False])
def test_the_network_gives_logits_for_every_pixel(decoder: str, skip: bool) -> None:
    model = build(22, decoder=decoder, skip=skip).model
    assert model.output.shape == (None, 22, 22, 5)
    joined = [layer.name for layer in model.layers if layer.name.endswith("_skip")]
    assert joined == (["up2_skip", "up1_skip"] if skip else [])


@pytest.mark.parametrize(
    ("encoder", "side"), [("vgg", 32), ("resnet", 32), pytest.param("inception", 75, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("decoder", ["interpolate", "transpose"])
def test_the_output_has_the_image_size_with_every_encoder(encoder: str, side: int, decoder: str) -> None:
    built = build(side, 1, encoder=encoder, decoder=decoder, decoder_filters=8)
    assert built.model.output.shape == (None, side, side, 5)


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"encoder": "resnet"}, "conv1_relu of resnet"),
        ({"encoder": "inception"}, "activation3 of inception"),
        ({"encoder": "darknet"}, "stage1_down_relu of darknet"),
        ({"pooling": "average"}, "conv1_relu of cnn"),
        ({"stride": 2}, "conv1_relu of cnn"),
        ({"padding": "valid"}, "conv1_relu of cnn"),
    ],
)
def test_unpooling_without_max_pooling_is_refused(changes: dict[str, Any], level: str) -> None:
    with pytest.raises(UserError, match=f"model.decoder=unpool needs.*{level}.*model.decoder=interpolate or transpose"):
        build(96, decoder="unpool", **changes)


def test_the_parameters_of_the_segnet_by_hand() -> None:
    model = build(filters=[4, 6], convolutions=1, batch_norm=False, decoder="unpool", skip=False).model
    encoder = (3 * 9 + 1) * 4 + (4 * 9 + 1) * 6
    first = 2 * (9 * 6 * 6 + 4 * 6)  # a decoder level: two convolutions, each with BatchNorm
    second = (6 * 4 + 4 * 4) + 2 * (9 * 4 * 4 + 4 * 4)  # 6 channels are reduced to 4 before unpooling
    assert model.count_params() == encoder + first + second + (4 + 1) * 5


@pytest.mark.parametrize(("further", "weights"), [(False, 0), (True, 9 * 6 * 6 + 9 * 4 * 4 + 4 * 6 + 4 * 4)])
def test_the_parameters_of_unpooling_with_skip_connections_by_hand(further: bool, weights: int) -> None:
    options = {"filters": [4, 6], "convolutions": 1, "batch_norm": False, "decoder": "unpool"}
    model = build(**options, unpool_convolution=further).model
    encoder = (3 * 9 + 1) * 4 + (4 * 9 + 1) * 6
    first = 9 * (6 + 6) * 6 + 4 * 6
    second = (6 * 4 + 4 * 4) + 9 * (4 + 4) * 4 + 4 * 4
    assert model.count_params() == encoder + first + second + (4 + 1) * 5 + weights


@pytest.mark.parametrize(("side", "filters", "cells"), [(64, [4] * 5, 8), (57, [4] * 5, 7), (20, [4, 6], 10)])
def test_the_auxiliary_classifier_uses_the_first_decoder_level_of_at_least_an_eighth(
    side: int, filters: list[int], cells: int
) -> None:
    built = build(side, filters=filters, auxiliary_weight=0.4)
    assert built.model.output["auxiliary"].shape == (None, cells, cells, 5)
    assert built.predictive().output.shape == (None, side, side, 5)
    assert [(one.name, one.loss_weight, one.training_only) for one in built.outputs] == [
        ("logits", 1.0, False), ("auxiliary", 0.4, True),
    ]  # fmt: skip
