"""Both heads on every base: shapes, places, what can't be, and that the base's weights fit a classifier's."""

from __future__ import annotations

import numpy as np
import pytest

from cvlib import models
from cvlib.errors import UserError
from cvlib.models import yolo
from tests.models.conftest import config_of

SMALL = {"neck": 8, "filters": [4, 4, 8, 8, 8]}


@pytest.mark.parametrize(("backbone", "side"), [("darknet", 96), ("cnn", 64), ("vgg", 64), ("resnet", 64),
                                                ("inception", 96)])  # fmt: skip
def test_every_base_carries_both_heads(backbone, side):
    image = np.random.default_rng(0).uniform(0, 255, (2, side, side, 3)).astype(np.float32)
    for head in ("anchor_free", "grid"):
        config = config_of("yolo", backbone=backbone, head=head, **SMALL)
        model = models.build(config, (side, side, 3), 6)
        assert model.get_layer("backbone").trainable_weights
        places = (side // 4) ** 2 + (side // 8) ** 2 + (side // 16) ** 2 if head == "anchor_free" else (side // 8) ** 2
        said = model.predict(image, verbose=0)
        assert said.shape == (2, places, 10 if head == "anchor_free" else 16)
        assert np.isfinite(said).all() and said.dtype == np.float32


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


def test_points_lie_where_the_features_look():
    """The point whose raw output moves most with a pixel is the point that lies there."""
    from cvlib.tasks import anchor_free

    model = models.build(config_of("yolo", strides=[8], **SMALL), (64, 64, 3), 1)
    image = np.full((1, 64, 64, 3), 128, np.float32)
    changed = image.copy()
    changed[0, 40:48, 8:16] = 255
    moved = np.abs(model.predict(changed, verbose=0) - model.predict(image, verbose=0))[0].sum(axis=-1)
    places = anchor_free.points((64, 64), [8])
    nearest = np.abs(places[:, :2] - [12, 44]).max(axis=1)
    assert nearest[moved.argmax()] <= 8


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
    from cvlib.config import classifier_of

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
