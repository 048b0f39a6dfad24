"""What each regime freezes, and that the frozen part keeps still and works as in inference."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from cvlib.config.schema import ModeConfig
from cvlib.runtime.errors import RunFailed, UserError
from cvlib.transfer import freezing as modes
from cvlib.transfer.freezing import Phase

FEATURE_EXTRACTOR = ModeConfig("feature_extractor", "imagenet", freeze="all", batch_norm="frozen")


@pytest.fixture
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    pixels = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(4, 3, name="conv1")(pixels)
    x = keras.layers.BatchNormalization(name="conv1_bn")(x)
    x = keras.layers.Dropout(0.5, name="conv1_drop")(x)
    x = keras.layers.Conv2D(5, 3, name="conv2")(x)
    x = keras.layers.BatchNormalization(name="conv2_bn")(x)
    backbone = keras.Model(pixels, keras.layers.Flatten(name="flatten")(x), name="backbone")
    image = keras.Input((6, 6, 1), name="image")
    return keras.Model(image, keras.layers.Dense(3, name="logits")(backbone(image)))


def train(model: keras.Model, mode: ModeConfig, phase: Phase) -> None:
    backbone = model.get_layer("backbone")
    modes.apply(backbone, mode, phase, {"conv1_drop": 0.5})
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    random = np.random.default_rng(1)
    model.fit(random.normal(5, 3, (32, 6, 6, 1)), random.integers(0, 3, 32), epochs=2, verbose=0)


def weights(layer: keras.layers.Layer) -> list[np.ndarray]:
    return [np.array(value) for value in layer.get_weights()]


def moved(before: list[np.ndarray], after: list[np.ndarray]) -> list[bool]:
    return [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]


def test_phases_of_the_three_regimes() -> None:
    assert modes.phases(ModeConfig(), 5) == [Phase(0, 5, None)]
    assert modes.phases(FEATURE_EXTRACTOR, 5) == [Phase(0, 5, "all")]
    finetune = ModeConfig("finetune", "imagenet", freeze=0.5, head_epochs=2)
    assert modes.phases(finetune, 5) == [Phase(0, 2, "all"), Phase(2, 5, 0.5)]
    assert modes.phases(finetune, 2) == [Phase(0, 1, "all"), Phase(1, 2, 0.5)]
    assert modes.phases(finetune, 1) == [Phase(0, 1, 0.5)]


def test_feature_extractor_moves_the_head_alone(model: keras.Model) -> None:
    backbone = model.get_layer("backbone")
    before, head = weights(backbone), weights(model.get_layer("logits"))
    train(model, FEATURE_EXTRACTOR, Phase(0, 1, "all"))
    assert not any(moved(before, weights(backbone)))
    assert all(moved(head, weights(model.get_layer("logits"))))


def test_a_frozen_base_works_as_in_inference_also_while_training(model: keras.Model) -> None:
    images = np.random.default_rng(2).normal(size=(4, 6, 6, 1)).astype("float32")
    trained = np.array(model(images, training=True))  # moves the averages, too
    inference = np.array(model(images, training=False))
    assert not np.allclose(trained, inference)
    modes.apply(model.get_layer("backbone"), FEATURE_EXTRACTOR, Phase(0, 1, "all"), {"conv1_drop": 0.5})
    np.testing.assert_array_equal(model(images, training=True), inference)


def test_an_unfrozen_dropout_is_active_again(model: keras.Model) -> None:
    backbone = model.get_layer("backbone")
    rates = modes.dropout_rates(backbone)
    assert rates == {"conv1_drop": 0.5}
    modes.apply(backbone, FEATURE_EXTRACTOR, Phase(0, 1, "all"), rates)
    modes.apply(backbone, FEATURE_EXTRACTOR, Phase(1, 2, None), rates)
    layer = backbone.get_layer("conv1_drop")
    assert (np.array(layer(np.ones((1, 1000)), training=True)) == 0).mean() == pytest.approx(0.5, abs=0.1)


def test_finetune_freezes_up_to_the_named_layer(model: keras.Model) -> None:
    backbone = model.get_layer("backbone")
    mode = ModeConfig("finetune", "imagenet", freeze="conv1_drop")
    first, second = weights(backbone.get_layer("conv1_bn")), weights(backbone.get_layer("conv2_bn"))
    train(model, mode, Phase(0, 1, mode.freeze))
    assert not any(moved(first, weights(backbone.get_layer("conv1_bn"))))
    assert all(moved(second, weights(backbone.get_layer("conv2_bn"))))


def test_batch_norm_may_stay_as_loaded_while_the_rest_learns(model: keras.Model) -> None:
    backbone = model.get_layer("backbone")
    mode = ModeConfig("finetune", "imagenet", batch_norm="frozen")
    norm, kernel = weights(backbone.get_layer("conv2_bn")), weights(backbone.get_layer("conv2"))
    train(model, mode, Phase(0, 1, None))
    assert not any(moved(norm, weights(backbone.get_layer("conv2_bn"))))
    assert all(moved(kernel, weights(backbone.get_layer("conv2"))))


@pytest.mark.parametrize(
    ("freeze", "expected"),
    [(None, 0), ("all", 7), (0, 0), (3, 3), (0.0, 0), (0.5, 4), (1.0, 7), ("conv1", 2), ("flatten", 7)],
)
def test_freeze_by_name_count_and_fraction(model: keras.Model, freeze: object, expected: int) -> None:
    assert modes.frozen_layers(model.get_layer("backbone"), freeze) == expected


@pytest.mark.parametrize("freeze", ["conv3", 8, -1, 1.5])
def test_a_freeze_that_means_nothing_is_refused(model: keras.Model, freeze: object) -> None:
    with pytest.raises(UserError, match=f"mode.freeze={freeze}"):
        modes.frozen_layers(model.get_layer("backbone"), freeze)


def test_the_freeze_table_says_what_learns_and_how(model: keras.Model) -> None:
    mode = ModeConfig("finetune", "imagenet", freeze="conv1_drop", backbone_lr=0.1)
    modes.apply(model.get_layer("backbone"), mode, Phase(0, 1, mode.freeze), {})
    assert modes.freeze_table(model, mode, 0.01) == [
        {"block": "conv1", "parameters": "56", "state": "frozen", "batch_norm": "inference", "rate": "0"},
        {"block": "conv2", "parameters": "205", "state": "trainable", "batch_norm": "training", "rate": "0.001"},
        {"block": "head", "parameters": "63", "state": "trainable", "batch_norm": "-", "rate": "0.01"},
    ]
    # conv1 3·3·1·4 + 4 = 40, its BatchNorm 16; conv2 3·3·4·5 + 5 = 185 and 20; head 2·2·5·3 + 3 = 63
    assert modes.parameter_counts(model) == {"total": 324, "trainable": 185 + 10 + 63, "frozen": 56 + 10}


def test_the_proof_names_a_frozen_weight_that_moved(model: keras.Model) -> None:
    modes.apply(model.get_layer("backbone"), FEATURE_EXTRACTOR, Phase(0, 1, "all"), {})
    before = modes.frozen_hashes(model)
    assert modes.prove_unmoved(before, modes.frozen_hashes(model)) == 12
    average = model.get_layer("backbone").get_layer("conv2_bn").moving_mean
    average.assign(average + 1e-6)
    with pytest.raises(RunFailed, match="moving_mean"):
        modes.prove_unmoved(before, modes.frozen_hashes(model))


def test_what_learns_is_not_in_the_proof(model: keras.Model) -> None:
    modes.apply(model.get_layer("backbone"), ModeConfig(), Phase(0, 1, None), {})
    assert modes.frozen_hashes(model) == {}
