"""Parameter counts and preprocessing of the published architectures."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from cvlib import models
from cvlib.runtime.errors import UserError
from tests.models.conftest import config_of

FAMILIES: dict[str, Any] = {
    "resnet": keras.applications.resnet.preprocess_input,
    "vgg": keras.applications.vgg16.preprocess_input,
    "inception": keras.applications.inception_v3.preprocess_input,
}


@pytest.mark.parametrize(
    ("name", "depth", "features", "with_top"),
    [
        ("resnet", 50, 2048, 25_636_712),
        pytest.param("resnet", 101, 2048, 44_707_176, marks=pytest.mark.slow),
        pytest.param("resnet", 152, 2048, 60_419_944, marks=pytest.mark.slow),
        ("inception", 50, 2048, 23_851_784),
    ],
)
def test_a_network_of_1000_classes_has_the_published_count(name: str, depth: int, features: int, with_top: int) -> None:
    config = config_of(name, depth=depth, auxiliary_weight=0.0)
    model = models.build(config, (config.minimum_size, config.minimum_size, 3), 1000)
    assert model.count_params() == with_top
    assert model.get_layer("logits").count_params() == (features + 1) * 1000


@pytest.mark.parametrize(("depth", "with_top"), [(16, 138_357_544), (19, 143_667_240)])
def test_vggs_convolutions_are_the_published_count_without_its_dense_layers(depth: int, with_top: int) -> None:
    backbone = models.build(config_of("vgg", depth=depth), (32, 32, 3), 2).get_layer("backbone")
    dense = (7 * 7 * 512 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 1000
    assert backbone.count_params() == with_top - dense


@pytest.mark.parametrize("name", sorted(FAMILIES))
@pytest.mark.parametrize("channels", [1, 3])
def test_the_base_sees_what_its_familys_own_preprocessing_makes(name: str, channels: int) -> None:
    side = config_of(name).minimum_size
    model = models.build(config_of(name), (side, side, channels), 2)
    image = np.random.default_rng(0).integers(0, 256, (1, side, side, channels)).astype(np.float32)
    node = model.get_layer("backbone")._inbound_nodes[-1]
    seen = keras.Model(model.inputs, node.input_tensors[0]).predict(image, verbose=0)
    expected = FAMILIES[name](np.repeat(image, 3 // channels, axis=-1))
    np.testing.assert_allclose(seen, expected, atol=1e-4)


@pytest.mark.parametrize(("name", "depth"), [("resnet", 51), ("vgg", 50)])
def test_a_depth_that_does_not_exist_is_refused(name: str, depth: int) -> None:
    with pytest.raises(UserError, match=f"model.depth={depth}"):
        models.build(config_of(name, depth=depth), (32, 32, 3), 2)


def test_inceptions_renamed_copy_computes_what_keras_own_does() -> None:
    config = config_of("inception")
    from cvlib.models import inception

    keras.utils.set_random_seed(5)
    ours = inception.backbone(config, (75, 75, 3))
    keras.utils.set_random_seed(5)
    theirs = keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(75, 75, 3))
    image = np.random.default_rng(0).uniform(-1, 1, (1, 75, 75, 3)).astype(np.float32)
    np.testing.assert_allclose(ours.predict(image, verbose=0)[0], theirs.predict(image, verbose=0), atol=1e-5)


def test_inceptions_auxiliary_loss_counts_in_training_only() -> None:
    model = models.build(config_of("inception"), (75, 75, 3), 4)
    assert set(model.output_names) == {"logits", "auxiliary"}
    assert list(models.logits(model).output_names) == ["logits"]
    from cvlib.config.schema import Config
    from cvlib.tasks import classification

    model.compile("sgd", **classification.compile_arguments(model, Config()))
    image, label = np.zeros((2, 75, 75, 3)), np.array([1, 2])
    logs = model.evaluate(image, dict.fromkeys(model.output_names, label), verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(logs["logits_loss"] + 0.3 * logs["auxiliary_loss"], rel=1e-5)


@pytest.mark.slow
def test_inceptions_auxiliary_head_is_the_papers_at_299_pixels() -> None:
    model = models.build(config_of("inception"), (299, 299, 3), 1000)
    assert model.get_layer("auxiliary_conv1").output.shape == (None, 5, 5, 128)
    assert model.get_layer("auxiliary_conv2").output.shape == (None, 1, 1, 768)
    assert model.get_layer("auxiliary").count_params() == (768 + 1) * 1000
