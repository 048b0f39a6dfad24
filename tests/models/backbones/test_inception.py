"""InceptionV3's published parameter count, preprocessing and auxiliary classifier."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from cvlib import tasks
from cvlib.models.backbones import inception
from tests.configs import config
from tests.networks import network, network_of, seen_by_base

pytestmark = pytest.mark.usefixtures("eager")


def test_a_network_of_1000_classes_has_the_published_parameter_count() -> None:
    model = network("inception", 75, 3, 1000, auxiliary_weight=0.0).model
    assert model.count_params() == 23_851_784
    assert model.get_layer("logits").count_params() == (2048 + 1) * 1000


@pytest.mark.parametrize("channels", [1, 3])
def test_the_input_of_the_base_equals_keras_preprocessing(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 75, 75, channels)).astype(np.float32)
    expected = keras.applications.inception_v3.preprocess_input(np.repeat(image, 3 // channels, axis=-1))
    np.testing.assert_allclose(seen_by_base(network("inception", 75, channels, 2), image), expected, atol=1e-4)


def test_the_renamed_copy_computes_the_same_as_keras() -> None:
    keras.utils.set_random_seed(5)
    ours = inception.application((75, 75, 3), None)
    keras.utils.set_random_seed(5)
    theirs = keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(75, 75, 3))
    image = np.random.default_rng(0).uniform(-1, 1, (1, 75, 75, 3)).astype(np.float32)
    np.testing.assert_allclose(ours.predict(image, verbose=0), theirs.predict(image, verbose=0), atol=1e-5)


def test_the_auxiliary_loss_counts_only_in_training() -> None:
    whole = config("inception")
    built = network_of(whole.model, 75)
    assert set(built.model.output_names) == {"logits", "auxiliary"}
    assert list(built.predictive().output_names) == ["logits"]
    assert [(one.name, one.loss_weight, one.training_only) for one in built.outputs] == [
        ("logits", 1.0, False), ("auxiliary", 0.3, True),
    ]  # fmt: skip
    built.model.compile("sgd", **tasks.of("classification").compile_arguments(built, whole))
    image, label = np.zeros((2, 75, 75, 3)), np.array([1, 2])
    logs = built.model.evaluate(image, dict.fromkeys(built.model.output_names, label), verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(logs["logits_loss"] + 0.3 * logs["auxiliary_loss"], rel=1e-5)


def test_its_blocks_are_the_stem_and_the_modules() -> None:
    base = inception.application((75, 75, 3), None)
    blocks = inception.BACKBONE.blocks(base)
    assert [block.name for block in blocks] == ["activation5", *(f"mixed{number}" for number in range(11))]
    # Table 1 of the paper: the stem has 5 convolutions, and modules 3–10 have 4, 10, 10, 10, 10, 6, 9 and 9.
    convolutions = [sum(isinstance(layer, keras.layers.Conv2D) for layer in block.layers) for block in blocks]
    assert convolutions == [5, 7, 7, 7, 4, 10, 10, 10, 10, 6, 9, 9]


@pytest.mark.slow
def test_the_auxiliary_head_matches_the_paper_at_299_pixels() -> None:
    model = network("inception", 299, 3, 1000).model
    assert model.get_layer("auxiliary_conv1").output.shape == (None, 5, 5, 128)
    assert model.get_layer("auxiliary_conv2").output.shape == (None, 1, 1, 768)
    assert model.get_layer("auxiliary").count_params() == (768 + 1) * 1000
