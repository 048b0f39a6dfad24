"""The textbook network: parameter counts by hand, options, and unsupported sizes."""

from __future__ import annotations

from typing import Any

import pytest

from cvlib.models.network import Network
from cvlib.runtime.errors import UserError
from tests.configs import model_config
from tests.networks import network

pytestmark = pytest.mark.usefixtures("eager")


def build(side: int = 28, **changes: Any) -> Network:
    return network("cnn", side, 1, 10, **{"filters": [32, 64], "batch_norm": False, **changes})


def test_the_textbook_network_has_the_textbook_parameter_count() -> None:
    # 3·3·1·32+32, 3·3·32·64+64, 7·7·64·128+128, 128·10+10
    assert build().model.count_params() == 320 + 18_496 + 401_536 + 1_290


@pytest.mark.parametrize(
    ("changes", "shape"),
    [
        ({}, (None, 7, 7, 64)),
        ({"padding": "valid"}, (None, 5, 5, 64)),
        ({"stride": 2}, (None, 2, 2, 64)),
        ({"dilation": 2, "padding": "valid"}, (None, 4, 4, 64)),
        ({"kernel": 5, "padding": "valid"}, (None, 4, 4, 64)),
    ],
)
def test_the_shape_of_the_last_pooling_by_hand(changes: dict[str, Any], shape: tuple[int | None, ...]) -> None:
    assert build(**changes).base.get_layer("conv2_pool").output.shape == shape


def test_its_options_become_layers() -> None:
    chosen = {"batch_norm": True, "spatial_dropout": 0.1, "dropout": 0.5, "pooling": "average", "dense": [16, 8]}
    backbone = build(features="global_average", **chosen).base
    kinds = [type(layer).__name__ for layer in backbone.layers]
    stage = ["Conv2D", "BatchNormalization", "ReLU", "AveragePooling2D", "SpatialDropout2D"]
    assert kinds == ["InputLayer", *stage * 2, "GlobalAveragePooling2D", "Dense", "Dropout", "Dense", "Dropout"]
    assert backbone.output.shape == (None, 8)


@pytest.mark.parametrize("changes", [{"filters": [8] * 5}, {"padding": "valid", "kernel": 20}])
def test_an_image_too_small_for_its_layers_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="28×28"):
        build(**changes)


@pytest.mark.parametrize("key", ["filters", "dense"])
def test_layers_of_zero_width_are_refused(key: str) -> None:
    with pytest.raises(UserError, match=rf"invalid model\.{key}=\[8,0\]: expected whole numbers of 1 or more"):
        model_config("cnn", **{key: [8, 0]})


def test_stride_with_dilation_is_refused() -> None:
    with pytest.raises(UserError, match=r"model\.stride=2 with model\.dilation=2"):
        model_config("cnn", stride=2, dilation=2)


@pytest.mark.parametrize(("stride", "convolutions"), [(1, 1), (2, 1), (2, 2)])
def test_strides_of_its_levels_depend_on_convolutions_and_poolings(stride: int, convolutions: int) -> None:
    """Each stage divides the 96 pixels by `stride`, and its pooling by 2."""
    built = network("segmenter", 96, filters=[4, 6], stride=stride, convolutions=convolutions)
    first, second = stride, 2 * stride * stride
    assert [level.stride for level in built.backbone.feature_levels(built.config.backbone_options)] == [first, second]
    sides = [tensor.shape[1] for tensor in built.base.outputs]
    assert sides == [96 // first, 96 // second, 96 // (2 * second)]


def test_feature_maps_without_a_stage_are_refused() -> None:
    with pytest.raises(UserError, match=r"invalid model.filters=\[\]: feature maps need a width for each stage"):
        network("yolo", 64, backbone="cnn", filters=[])


@pytest.mark.parametrize(("side", "widths"), [
    (8, [32, 64]), (28, [32, 64]), (29, [32, 64, 128]), (96, [32, 64, 128, 256]), (224, [32, 64, 128, 256, 256])
])  # fmt: skip
def test_without_filters_the_stages_fit_the_image(side: int, widths: list[int]) -> None:
    base = build(side, filters=None, dense=[]).base
    found = [base.get_layer(f"conv{number}").filters for number in range(1, len(widths) + 1)]
    assert found == widths
    assert min(base.get_layer(f"conv{len(widths)}_pool").output.shape[1:3]) in (2, 3, 6, 7)


def test_feature_maps_need_filters() -> None:
    with pytest.raises(UserError, match=r"invalid model\.filters=null: feature maps need a width for each stage"):
        network("segmenter", 64, 3, 2, encoder="cnn", filters=None)
