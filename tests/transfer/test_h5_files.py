"""A base that was trained on pixels of another Normalization layer is refused."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from cvlib.runtime.errors import UserError
from cvlib.transfer import weights
from tests.networks import assert_same_weights, network

pytestmark = [
    pytest.mark.usefixtures("eager"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
]

IMAGENET = [0.485, 0.456, 0.406]


@pytest.mark.parametrize("name", ["whole.keras", "whole.weights.h5", "whole.h5"])
@pytest.mark.parametrize("mean", [[0.0, 0.0, 0.0], IMAGENET])
def test_a_normalization_before_the_base_must_have_imagenets_mean(mean: list[float], name: str, tmp_path: Path) -> None:
    """`keras.applications.EfficientNetB0(weights=None)` has such a layer with the mean 0, before its first layer."""
    source, target = (network("cnn", 8, 3, 3, filters=[4], dense=[8]) for _ in range(2))
    image = keras.Input((8, 8, 3))
    pixels = keras.layers.Normalization()
    model = keras.Model(image, source.base(pixels(keras.layers.Rescaling(1 / 255)(image))))
    pixels.set_weights([np.array(mean), np.array([0.229, 0.224, 0.225]), np.array(0)])
    (model.save_weights if name.endswith(".weights.h5") else model.save)(tmp_path / name)
    before = [np.array(array) for array in target.base.get_weights()]
    if mean == IMAGENET:
        weights.load_into(target.base, target.config, str(tmp_path / name))
        assert_same_weights(target.base, source.base)
        return
    with pytest.raises(UserError, match=r"trained on other pixels.*mean 0, 0, 0 instead of ImageNet's"):
        weights.load_into(target.base, target.config, str(tmp_path / name))
    for array, untouched in zip(target.base.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, untouched)
