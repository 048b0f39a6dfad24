"""ResNet's published parameter counts and preprocessing."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from cvlib.runtime.errors import UserError
from tests.configs import model_config
from tests.networks import network, seen_by_base

pytestmark = pytest.mark.usefixtures("eager")


@pytest.mark.parametrize(("depth", "with_top"), [
    (50, 25_636_712),
    pytest.param(101, 44_707_176, marks=pytest.mark.slow),
    pytest.param(152, 60_419_944, marks=pytest.mark.slow),
])  # fmt: skip
def test_a_network_of_1000_classes_has_the_published_parameter_count(depth: int, with_top: int) -> None:
    model = network("resnet", 32, 3, 1000, depth=depth).model
    assert model.count_params() == with_top
    assert model.get_layer("logits").count_params() == (2048 + 1) * 1000


@pytest.mark.parametrize("channels", [1, 3])
def test_the_input_of_the_base_equals_keras_preprocessing(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, channels)).astype(np.float32)
    expected = keras.applications.resnet.preprocess_input(np.repeat(image, 3 // channels, axis=-1))
    np.testing.assert_allclose(seen_by_base(network("resnet", 32, channels, 2), image), expected, atol=1e-4)


def test_a_depth_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UserError, match=r"invalid model.depth=51: expected one of 50, 101, 152"):
        model_config("resnet", depth=51)


def test_without_a_depth_the_smallest_network_is_chosen() -> None:
    assert model_config("segmenter", encoder="resnet", depth=None).backbone_options.depth == 50
