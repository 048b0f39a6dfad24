"""Both heads on every base: shapes, positions, errors, and weights that fit a classifier's base."""

from __future__ import annotations

import numpy as np
import pytest

from cvlib.models.heads import anchor_free, grid
from cvlib.models.options import backbone_config
from cvlib.runtime.errors import UserError
from tests.configs import model_config
from tests.networks import network, network_of

pytestmark = pytest.mark.usefixtures("eager")

SMALL = {"neck_channels": 8, "filters": [4, 4, 8, 8, 8]}


def num_positions(head: str, side: int) -> int:
    """Return the number of positions for a side of 64 or 96 pixels, with strides 4, 8 and 16 or cells of 8 pixels."""
    return (side // 8) ** 2 if head == "grid" else sum((side // stride) ** 2 for stride in (4, 8, 16))


@pytest.mark.parametrize("head", ["anchor_free", "grid"])
@pytest.mark.parametrize(("backbone", "side"), [("darknet", 96), ("cnn", 64)])
def test_raw_outputs_are_finite(backbone, side, head):
    image = np.random.default_rng(0).uniform(0, 255, (2, side, side, 3)).astype(np.float32)
    model = network("yolo", side, 3, 6, backbone=backbone, head=head, **SMALL).model
    output = np.asarray(model(image))
    assert output.shape == (2, num_positions(head, side), 70 if head == "anchor_free" else 16)
    assert np.isfinite(output).all() and output.dtype == np.float32


@pytest.mark.parametrize(("backbone", "side", "head"), [("vgg", 64, "grid"), ("resnet", 64, "anchor_free"),
                                                        ("inception", 96, "anchor_free")])  # fmt: skip
def test_every_base_supports_a_head(backbone, side, head):
    built = network("yolo", side, 1, 6, backbone=backbone, head=head, **SMALL)
    model = built.model
    assert model.output_shape == (None, num_positions(head, side), 70 if head == "anchor_free" else 16)
    base = {id(weight) for weight in built.base.trainable_weights}
    assert 0 < len(base) < len(model.trainable_weights)


@pytest.mark.parametrize("head", ["anchor_free", "grid"])
def test_a_size_multiplies_the_channels_of_base_and_neck(head):
    sized = network_of(model_config("yolo", head=head, size="m", **SMALL), 64, 3, 2).model
    written = network("yolo", 64, 3, 2, head=head, neck_channels=24, filters=[12, 12, 24, 24, 24]).model
    assert [weight.shape for weight in sized.weights] == [weight.shape for weight in written.weights]


def test_strides_depend_on_the_image_size():
    options = model_config("yolo").head_options
    assert anchor_free.strides_of(options, (96, 96)) == [4, 8, 16]
    assert anchor_free.strides_of(options, (320, 320)) == [8, 16, 32]
    assert anchor_free.strides_of(model_config("yolo", strides=[8, 32]).head_options, (96, 96)) == [8, 32]


def test_cells_depend_on_the_image_size():
    options = model_config("yolo", head="grid").head_options
    # The published grid: 7×7 at 448 pixels.
    assert [grid.cells_of(options, (side, side)) for side in (448, 320, 96)] == [(7, 7), (10, 10), (12, 12)]
    assert grid.cells_of(model_config("yolo", head="grid", grid=14).head_options, (448, 448)) == (14, 14)


def test_levels_coarser_than_the_base_are_built_by_convolutions():
    built = network("yolo", 64, 3, 2, backbone="cnn", strides=[4, 16], neck_channels=8, filters=[4, 8])
    assert built.model.output_shape == (None, 16 * 16 + 4 * 4, 66)


@pytest.mark.parametrize(
    ("changes", "side", "message"),
    [
        (
            {},
            100,
            r"data\.image_size=100: a detector with model\.head=anchor_free needs a multiple of 32 pixels, such as 96",
        ),
        ({"strides": [8, 64]}, 96, "needs a multiple of 64 pixels"),
        ({"strides": [8, 12]}, 96, r"invalid model\.strides=\[8, 12\]: expected increasing powers of two"),
        ({"head": "grid"}, 100, "needs a multiple of 32 pixels"),
        ({"head": "grid", "grid": 7}, 96, r"model\.grid=7 doesn't divide 96 pixels .* choose one of 24, 12, 6, 3"),
        ({"head": "grid", "grid": 96}, 96, r"model\.grid=96: a cell of 1 pixels is finer than the features"),
        ({"strides": [1, 8]}, 96, r"model\.strides=\[1, 8\]: a stride of 1 pixels is finer than the features"),
    ],
)
def test_invalid_options_are_refused_in_one_line(changes, side, message):
    with pytest.raises(UserError, match=message) as error:
        network("yolo", side, 3, 3, **SMALL, **changes)
    assert "\n" not in str(error.value)


def test_a_classifiers_base_fits_a_detector():
    config = model_config("yolo", **SMALL)
    classifier, detector = network_of(backbone_config(config), 64, 3, 5), network_of(config, 96, 3, 3)
    given, own = classifier.base.weights, detector.base.weights
    assert [weight.shape for weight in given] == [weight.shape for weight in own]
    detector.base.set_weights(classifier.base.get_weights())


def test_darknet_works_as_a_classifier():
    built = network("darknet", 64, 3, 7)
    assert built.model.output_shape == (None, 7)
    assert built.base.output_shape == (None, 2, 2, 256)
