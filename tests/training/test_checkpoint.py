"""A checkpoint brings everything back, and a damaged one is passed over."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from cvlib.training import checkpoint
from cvlib.training.checkpoint import State


def build() -> keras.Model:
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.BatchNormalization(),
                              keras.layers.Dropout(0.5), keras.layers.Dense(2)])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model


def train(model: keras.Model, epochs: int) -> None:
    random = np.random.default_rng(0)
    model.fit(random.normal(size=(16, 4)), random.normal(size=(16, 2)), epochs=epochs, shuffle=False, verbose=0)


def values(model: keras.Model) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(variable) for variable in model.variables]


def test_going_on_equals_never_stopping_also_with_dropout_and_adam(tmp_path: Path) -> None:
    whole = build()
    train(whole, 3)
    checkpoint.save(tmp_path, State(epoch=3, best=[0.5, -1.0], rows=[{"epoch": 3}]), whole, whole)
    train(whole, 2)

    state, arrays, remarks = checkpoint.load(tmp_path)
    assert (state.epoch, state.best, state.rows, remarks) == (3, [0.5, -1.0], [{"epoch": 3}], [])
    resumed = build()
    checkpoint.restore(arrays, resumed, resumed)
    train(resumed, 2)
    for expected, found in zip(values(whole), values(resumed), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_without_a_checkpoint_a_run_starts_from_nothing(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path / "none") == (State(), {}, [])


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut short"])
def test_a_damaged_newest_falls_back_to_the_one_before_and_says_so(tmp_path: Path, damage: bytes) -> None:
    model = build()
    for epoch in (1, 2, 3):
        checkpoint.save(tmp_path, State(epoch=epoch), model, model)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"epoch-0000{epoch}-step-0000000.npz" for epoch in (2, 3)
    ]
    (tmp_path / "epoch-00003-step-0000000.npz").write_bytes(damage)
    state, _, remarks = checkpoint.load(tmp_path)
    assert state.epoch == 2
    assert "epoch-00003-step-0000000.npz is damaged" in remarks[0]


def test_the_best_weights_come_back_and_a_completed_run_frees_the_space(tmp_path: Path) -> None:
    model = build()
    train(model, 1)
    best = model.get_weights()
    checkpoint.save_best(tmp_path, model, 4)
    train(model, 1)
    checkpoint.load_best(tmp_path, model, 4)
    for found, expected in zip(model.get_weights(), best, strict=True):
        np.testing.assert_array_equal(found, expected)
    checkpoint.clear(tmp_path, State(epoch=2))
    assert [path.name for path in tmp_path.iterdir()] == ["completed.json"]


def test_the_best_of_a_state_stays_until_no_checkpoint_names_it(tmp_path: Path) -> None:
    model = build()
    for epoch, best in ((1, 1), (2, 2), (3, 2), (4, 4)):
        if best == epoch:
            checkpoint.save_best(tmp_path, model, best)
        checkpoint.save(tmp_path, State(epoch=epoch, best_epoch=best), model, model)
    # Were the checkpoint of epoch 4 damaged, the one of epoch 3 would name epoch 2.
    assert sorted(path.name for path in tmp_path.glob("best-*")) == ["best-00002.npz", "best-00004.npz"]
