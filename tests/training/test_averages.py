"""Averaged weights compared with NumPy, and the weights that evaluation, checkpoints and the kept network have."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from cvlib import experiment
from cvlib.config.schema import Config, Constant, DataConfig, Sgd, TrainerConfig
from cvlib.models import run_state
from cvlib.training import optimizer
from cvlib.training.averages import Averages, changing
from tests.configs import model_config


@pytest.fixture
def small() -> keras.Model:
    keras.utils.set_random_seed(1)
    return keras.Sequential([
        keras.Input((3,)), keras.layers.Dense(4, name="low"), keras.layers.BatchNormalization(name="norm"),
        keras.layers.Dense(2, name="top"),
    ])  # fmt: skip


def fit(model: keras.Model, averages: Averages, steps: int) -> list[dict[str, np.ndarray]]:
    """Train `steps` steps, each with one call of `fit`; return the raw weights after each step."""
    sgd = optimizer.GroupedSgd(0.1)
    variables = model.trainable_variables
    sgd.set_groups([1.0] * len(variables), [0.0] * len(variables), [0] * len(variables))
    sgd.averages = averages
    model.compile(sgd, "mse")
    random, found = np.random.default_rng(0), []
    for _ in range(steps):
        model.fit(random.normal(2, 3, (8, 3)), random.normal(size=(8, 2)), batch_size=8, verbose=0)
        found.append(run_state.values(changing(model)))
    return found


def test_averages_equal_those_of_numpy_and_include_batch_norm(small: keras.Model) -> None:
    expected = {name: value.astype(np.float64) for name, value in run_state.values(small.weights).items()}
    averages = Averages(small, 0.25, {})
    steps = fit(small, averages, 3)
    for number, weights in enumerate(steps, start=1):
        decay = min(0.25, (1 + number) / (10 + number))  # 2/11, 0.25, 0.25
        expected = {name: decay * average + (1 - decay) * weights[name] for name, average in expected.items()}
    found = averages.values()
    assert any(name.endswith("moving_variance") for name in found) and found.keys() == expected.keys()
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)
        assert name.endswith("low/bias") or not np.allclose(value, steps[-1][name])  # BatchNorm cancels this bias


def test_the_averages_replace_the_weights_only_within_the_block(small: keras.Model) -> None:
    averages = Averages(small, 0.9, {})
    raw = fit(small, averages, 2)[-1]
    with pytest.raises(KeyboardInterrupt), averages.in_use():
        for name, value in run_state.values(small.weights).items():
            np.testing.assert_array_equal(value, averages.values()[name])
        raise KeyboardInterrupt
    for name, value in run_state.values(small.weights).items():
        np.testing.assert_array_equal(value, raw[name])


def test_averages_continue_by_name_and_new_ones_start_at_the_weights(small: keras.Model) -> None:
    small.get_layer("low").trainable = small.get_layer("norm").trainable = False
    first = Averages(small, 0.9, {})
    fit(small, first, 2)
    assert {name.split("/")[-2] for name in first.values()} == {"top"}  # frozen weights have no averages
    small.get_layer("low").trainable = True
    second = Averages(small, 0.9, first.values())
    for name, value in second.values().items():
        earlier = first.values().get(name, run_state.values(small.weights)[name])
        np.testing.assert_array_equal(value, earlier)
    assert {name.split("/")[-2] for name in second.values()} == {"low", "top"}


def test_the_kept_network_has_the_averages_and_checkpoints_have_both(tmp_path: Path) -> None:
    """The decay is 2/11 in the first step and 3/12 in the second, so that averages and raw weights differ clearly."""
    config = Config(
        model_config("cnn", filters=[4], dense=[], batch_norm=True), data=DataConfig("digits", samples=80),
        optimizer=Sgd(lr=0.1), schedule=Constant(),
        trainer=TrainerConfig(epochs=2, ema=0.99, kept_epoch="last"),
    )  # fmt: skip

    def stop(epoch: int, _: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiment.run(config, tmp_path, on_epoch=stop)
    checkpoints = tmp_path / "checkpoints"
    state, parts, _ = run_state.load(checkpoints)
    with np.load(checkpoints / "best-00001.npz") as file:
        best = {name.removeprefix("weights/"): file[name] for name in file.files}
    assert state.epoch == 1 and parts.averages.keys() == best.keys() <= parts.weights.keys()
    for name, value in best.items():
        np.testing.assert_array_equal(value, parts.averages[name])
        assert not np.allclose(value, parts.weights[name]), name
