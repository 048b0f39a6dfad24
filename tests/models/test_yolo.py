"""Both heads on every base: shapes, places, what can't be, and that the base's weights fit a classifier's."""

from __future__ import annotations

import numpy as np
import pytest

from cvlib import models
from cvlib.models import yolo
from cvlib.runtime.errors import UserError
from tests.models.conftest import config_of

SMALL = {"neck": 8, "filters": [4, 4, 8, 8, 8]}


def places(head: str, side: int) -> int:
    """At 64 and 96 pixels: strides 4, 8 and 16, or cells of 8 pixels."""
    return (side // 8) ** 2 if head == "grid" else sum((side // stride) ** 2 for stride in (4, 8, 16))


@pytest.mark.parametrize("head", ["anchor_free", "grid"])
@pytest.mark.parametrize(("backbone", "side"), [("darknet", 96), ("cnn", 64)])
def test_what_the_heads_say_is_finite(backbone, side, head):
    image = np.random.default_rng(0).uniform(0, 255, (2, side, side, 3)).astype(np.float32)
    model = models.build(config_of("yolo", backbone=backbone, head=head, **SMALL), (side, side, 3), 6)
    said = np.asarray(model(image))
    assert said.shape == (2, places(head, side), 10 if head == "anchor_free" else 16)
    assert np.isfinite(said).all() and said.dtype == np.float32


@pytest.mark.parametrize(("backbone", "side", "head"), [("vgg", 64, "grid"), ("resnet", 64, "anchor_free"),
                                                        ("inception", 96, "anchor_free")])  # fmt: skip
def test_every_base_carries_a_head(backbone, side, head):
    model = models.build(config_of("yolo", backbone=backbone, head=head, **SMALL), (side, side, 1), 6)
    assert model.output_shape == (None, places(head, side), 10 if head == "anchor_free" else 16)
    base = {id(weight) for weight in model.get_layer("backbone").trainable_weights}
    assert 0 < len(base) < len(model.trainable_weights)


def test_strides_follow_the_size():
    config = config_of("yolo")
    assert yolo.strides(config, (96, 96)) == [4, 8, 16] and yolo.strides(config, (320, 320)) == [8, 16, 32]
    assert yolo.strides(config_of("yolo", strides=[8, 32]), (96, 96)) == [8, 32]
    # The published grid: 7×7 at 448 pixels.
    assert [yolo.cells(config, (side, side)) for side in (448, 320, 96)] == [(7, 7), (10, 10), (12, 12)]
    assert yolo.cells(config_of("yolo", grid=14), (448, 448)) == (14, 14)


def test_levels_beyond_the_base_are_made_of_convolutions():
    config = config_of("yolo", backbone="cnn", strides=[4, 16], neck=8, filters=[4, 8])
    assert models.build(config, (64, 64, 3), 2).output_shape == (None, 16 * 16 + 4 * 4, 6)


@pytest.mark.parametrize(
    ("changes", "side", "message"),
    [
        ({}, 100, r"data\.image_size=100: model=yolo needs a multiple of 32 pixels, such as 96"),
        ({"strides": [8, 64]}, 96, "needs a multiple of 64 pixels"),
        ({"strides": [8, 12]}, 96, r"model\.strides=\[8, 12\] can't be"),
        ({"head": "grid"}, 100, "needs a multiple of 32 pixels"),
        ({"head": "grid", "grid": 7}, 96, r"model\.grid=7 doesn't divide 96 pixels .* choose one of 24, 12, 6, 3"),
        ({"head": "grid", "grid": 96}, 96, r"model\.grid=96: a cell of 1 pixels is finer than the features"),
        ({"strides": [1, 8]}, 96, r"model\.strides=\[1, 8\]: a stride of 1 pixels is finer than the features"),
    ],
)
def test_what_cant_be_is_said_in_one_line(changes, side, message):
    with pytest.raises(UserError, match=message) as error:
        models.build(config_of("yolo", **SMALL, **changes), (side, side, 3), 3)
    assert "\n" not in str(error.value)


def test_a_classifiers_base_fits_the_detectors():
    from cvlib.config.schema import classifier_of

    config = config_of("yolo", **SMALL)
    classifier = models.build(classifier_of(config), (64, 64, 3), 5)
    detector = models.build(config, (96, 96, 3), 3)
    given, own = (model.get_layer("backbone").weights for model in (classifier, detector))
    assert [weight.shape for weight in given] == [weight.shape for weight in own]
    detector.get_layer("backbone").set_weights(classifier.get_layer("backbone").get_weights())


def test_darknet_classifies():
    model = models.build(config_of("darknet"), (64, 64, 3), 7)
    assert model.output_shape == (None, 7)
    assert model.get_layer("backbone").output_shape == (None, 2, 2, 256)
