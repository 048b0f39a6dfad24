"""VGG's published parameter counts and preprocessing."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from cvlib.runtime.errors import UserError
from tests.configs import model_config
from tests.networks import network, seen_by_base

pytestmark = pytest.mark.usefixtures("eager")


@pytest.mark.parametrize(("depth", "with_top"), [(16, 138_357_544), (19, 143_667_240)])
def test_its_convolutions_have_the_published_count_without_the_dense_layers(depth: int, with_top: int) -> None:
    dense = (7 * 7 * 512 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 1000
    assert network("vgg", 32, 3, 2, depth=depth).base.count_params() == with_top - dense


@pytest.mark.parametrize("channels", [1, 3])
def test_the_input_of_the_base_equals_keras_preprocessing(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, channels)).astype(np.float32)
    expected = keras.applications.vgg16.preprocess_input(np.repeat(image, 3 // channels, axis=-1))
    np.testing.assert_allclose(seen_by_base(network("vgg", 32, channels, 2), image), expected, atol=1e-4)


def test_a_depth_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UserError, match=r"invalid model.depth=50: expected one of 16, 19"):
        model_config("vgg", depth=50)
