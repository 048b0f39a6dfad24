"""The layers that each regime freezes; frozen layers keep their weights and run in inference mode."""

from __future__ import annotations

import re
from dataclasses import replace

import keras
import numpy as np
import pytest

from cvlib.config.schema import Finetune
from cvlib.models.network import Network
from cvlib.runtime.errors import RunFailed, UserError
from cvlib.transfer import freezing
from cvlib.transfer.regimes import ALL, Phase
from tests.networks import network, network_around

FROZEN = Phase(0, 1, ALL, batch_norm="frozen")


@pytest.fixture
def small() -> Network:
    keras.utils.set_random_seed(0)
    pixels = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(4, 3, name="conv1")(pixels)
    x = keras.layers.BatchNormalization(name="conv1_bn")(x)
    x = keras.layers.Dropout(0.5, name="conv1_drop")(x)
    x = keras.layers.Conv2D(5, 3, name="conv2")(x)
    x = keras.layers.BatchNormalization(name="conv2_bn")(x)
    backbone = keras.Model(pixels, keras.layers.Flatten(name="flatten")(x), name="backbone")
    image = keras.Input((6, 6, 1), name="image")
    return network_around(keras.Model(image, keras.layers.Dense(3, name="logits")(backbone(image))))


def train(small: Network, phase: Phase) -> None:
    freezing.apply(small, phase)
    small.model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    random = np.random.default_rng(1)
    small.model.fit(random.normal(5, 3, (32, 6, 6, 1)), random.integers(0, 3, 32), epochs=2, verbose=0)


def weights(layer: keras.layers.Layer) -> list[np.ndarray]:
    return [np.array(value) for value in layer.get_weights()]


def changed(before: list[np.ndarray], after: list[np.ndarray]) -> list[bool]:
    return [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]


def test_only_the_head_changes_if_the_base_is_frozen(small: Network) -> None:
    before, head = weights(small.base), weights(small.model.get_layer("logits"))
    train(small, FROZEN)
    assert not any(changed(before, weights(small.base)))
    assert all(changed(head, weights(small.model.get_layer("logits"))))


def test_a_frozen_base_runs_in_inference_mode_during_training(small: Network) -> None:
    images = np.random.default_rng(2).normal(size=(4, 6, 6, 1)).astype("float32")
    trained = np.array(small.model(images, training=True))  # also changes the averages
    inference = np.array(small.model(images, training=False))
    assert not np.allclose(trained, inference)
    freezing.apply(small, FROZEN)
    np.testing.assert_array_equal(small.model(images, training=True), inference)


def test_an_unfrozen_dropout_is_active_again(small: Network) -> None:
    layer = small.base.get_layer("conv1_drop")
    freezing.apply(small, FROZEN)
    assert (np.array(layer(np.ones((1, 1000)), training=True)) == 0).mean() == 0
    freezing.apply(small, Phase(1, 2))
    assert (np.array(layer(np.ones((1, 1000)), training=True)) == 0).mean() == pytest.approx(0.5, abs=0.1)


def test_only_the_layers_up_to_the_named_one_are_frozen(small: Network) -> None:
    first, second = weights(small.base.get_layer("conv1_bn")), weights(small.base.get_layer("conv2_bn"))
    train(small, Phase(0, 1, "conv1_drop"))
    assert not any(changed(first, weights(small.base.get_layer("conv1_bn"))))
    assert all(changed(second, weights(small.base.get_layer("conv2_bn"))))


def test_batch_norm_can_be_frozen_while_other_layers_learn(small: Network) -> None:
    norm, kernel = weights(small.base.get_layer("conv2_bn")), weights(small.base.get_layer("conv2"))
    train(small, Phase(0, 1, batch_norm="frozen"))
    assert not any(changed(norm, weights(small.base.get_layer("conv2_bn"))))
    assert all(changed(kernel, weights(small.base.get_layer("conv2"))))


@pytest.mark.parametrize(
    ("freeze", "expected"),
    [(None, 0), ("all", 7), (0, 0), (3, 3), (0.0, 0), (0.5, 4), (1.0, 7), ("conv1", 2), ("flatten", 7)],
)
def test_freeze_accepts_a_name_a_count_or_a_fraction(small: Network, freeze: object, expected: int) -> None:
    assert freezing.frozen_layers(small, freeze) == expected


def test_freezing_by_block_name_ends_at_the_blocks_last_layer_with_weights() -> None:
    resnet = network("resnet", 32)
    names = [layer.name for layer in resnet.base.layers]
    assert freezing.frozen_layers(resnet, "conv2") == names.index("conv2_block3_3_bn") + 1
    assert freezing.frozen_layers(resnet, "conv1") == names.index("conv1_bn") + 1


@pytest.mark.parametrize("freeze", ["conv3", 8, -1, 1.5, [1]])
def test_an_invalid_freeze_is_refused(small: Network, freeze: object) -> None:
    with pytest.raises(UserError, match=re.escape(f"mode.freeze={freeze}")):
        freezing.frozen_layers(small, freeze)


def test_the_freeze_table_lists_states_and_rates(small: Network) -> None:
    phase = Phase(0, 1, "conv1_drop", backbone_lr=0.1)
    freezing.apply(small, phase)
    assert freezing.freeze_table(small, phase, 0.01) == [
        {"block": "conv1", "parameters": "56", "state": "frozen", "batch_norm": "inference", "rate": "0"},
        {"block": "conv2", "parameters": "205", "state": "trainable", "batch_norm": "training", "rate": "0.001"},
        {"block": "head", "parameters": "63", "state": "trainable", "batch_norm": "-", "rate": "0.01"},
    ]
    # conv1 3·3·1·4 + 4 = 40, its BatchNorm 16; conv2 3·3·4·5 + 5 = 185 and 20; head 2·2·5·3 + 3 = 63
    assert freezing.parameter_counts(small.model) == {"total": 324, "trainable": 185 + 10 + 63, "frozen": 56 + 10}


def test_gradual_unfreezing_adds_blocks_from_the_top_in_equal_steps(small: Network) -> None:
    mode = Finetune(head_epochs=2, backbone_lr=0.2, unfreeze="gradual")
    head = Phase(0, 2, ALL, head_lr=10)
    # Layers: input, conv1, conv1_bn, conv1_drop, conv2, conv2_bn, flatten; below the block conv2 are the first three.
    assert freezing.phases(small, mode, 8) == [head, Phase(2, 5, 3, 0.2), Phase(5, 8, None, 0.2)]
    assert freezing.phases(small, mode, 5) == [head, Phase(2, 3, 3, 0.2), Phase(3, 5, None, 0.2)]
    assert freezing.phases(small, mode, 3) == [head, Phase(2, 3, None, 0.2)]  # both blocks join in the only epoch
    assert freezing.phases(small, replace(mode, freeze="conv1_bn"), 8) == [head, Phase(2, 8, "conv1_bn", 0.2)]
    partly = replace(mode, freeze=2, head_epochs=0)
    assert freezing.phases(small, partly, 4) == [Phase(0, 2, 3, 0.2), Phase(2, 4, 2, 0.2)]
    first = [freezing.first_trained_block(small, phase) for phase in freezing.phases(small, mode, 8)]
    assert first == [None, "conv2", "conv1"]
    freezing.apply(small, freezing.phases(small, mode, 8)[1])
    assert {layer.name for layer in small.base.layers if layer.trainable_variables} == {"conv2", "conv2_bn"}


def test_several_blocks_join_in_a_step_if_there_are_few_epochs() -> None:
    resnet = network("resnet", 32)
    blocks = [block.name for block in resnet.backbone.blocks(resnet.base)]
    assert blocks == ["conv1", "conv2", "conv3", "conv4", "conv5"]
    found = freezing.phases(resnet, Finetune(head_epochs=0, unfreeze="gradual"), 2)
    assert [(phase.start, phase.end) for phase in found] == [(0, 1), (1, 2)]
    assert [freezing.first_trained_block(resnet, phase) for phase in found] == ["conv3", "conv1"]


def test_each_block_learns_at_a_share_of_the_rate_of_the_block_above(small: Network) -> None:
    phase = Phase(0, 1, backbone_lr=0.1, layer_decay=0.5)
    freezing.apply(small, phase)
    rates = {block.name: rate for block, rate in freezing.block_rates(small, phase)}
    assert rates == pytest.approx({"conv1": 0.05, "conv2": 0.1})
    assert freezing.lowest_rate(small, phase) == pytest.approx(0.05)
    assert [row["rate"] for row in freezing.freeze_table(small, phase, 0.01)] == ["0.0005", "0.001", "0.01"]
    assert freezing.layer_rates(small, phase, 0.01) == pytest.approx(
        {"conv1": 0.0005, "conv1_bn": 0.0005, "conv2": 0.001, "conv2_bn": 0.001, "logits": 0.01}
    )


def test_the_lowest_rate_is_that_of_a_trained_block(small: Network) -> None:
    upper = Phase(0, 1, "conv1_drop", backbone_lr=0.1, layer_decay=0.5)
    freezing.apply(small, upper)
    assert freezing.lowest_rate(small, upper) == pytest.approx(0.1)
    assert freezing.layer_rates(small, upper, 1.0)["conv1"] == 0
    freezing.apply(small, FROZEN)
    assert freezing.lowest_rate(small, FROZEN) == 0


def test_the_freeze_table_lists_the_rate_of_a_head_phase(small: Network) -> None:
    phase = Phase(0, 1, ALL, head_lr=10)
    freezing.apply(small, phase)
    assert [row["rate"] for row in freezing.freeze_table(small, phase, 0.01)] == ["0", "0", "0.1"]


def test_the_check_names_a_frozen_weight_that_changed(small: Network) -> None:
    freezing.apply(small, FROZEN)
    before = freezing.frozen_hashes(small)
    assert freezing.verify_frozen(before, freezing.frozen_hashes(small)) == 12
    average = small.base.get_layer("conv2_bn").moving_mean
    average.assign(average + 1e-6)
    with pytest.raises(RunFailed, match="moving_mean"):
        freezing.verify_frozen(before, freezing.frozen_hashes(small))


def test_trainable_weights_are_not_hashed(small: Network) -> None:
    freezing.apply(small, Phase(0, 1))
    assert freezing.frozen_hashes(small) == {}
