"""Checkpoints restore everything by name, and damaged ones are skipped."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from cvlib.models import run_state
from cvlib.models.run_state import Parts, RunState
from cvlib.runtime.errors import RunFailed


def build(width: int = 8) -> keras.Model:
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(3)
    model = keras.Sequential([
        keras.Input((4,)), keras.layers.Dense(width, "relu", name="dense"), keras.layers.BatchNormalization(name="bn"),
        keras.layers.Dropout(0.5, name="dropout"), keras.layers.Dense(2, name="logits"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model


def train(model: keras.Model, epochs: int) -> None:
    random = np.random.default_rng(0)
    model.fit(random.normal(size=(16, 4)), random.normal(size=(16, 2)), epochs=epochs, shuffle=False, verbose=0)


def values(model: keras.Model) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(variable) for variable in model.variables]


def restore(model: keras.Model, parts: Parts) -> None:
    model.optimizer.build(model.trainable_variables)
    run_state.restore(model.variables, parts.weights, "weight")
    run_state.restore(model.optimizer.variables, parts.optimizer, "optimizer variable")


def test_resuming_equals_uninterrupted_training_with_dropout_and_adam(tmp_path: Path) -> None:
    whole = build()
    train(whole, 3)
    state = RunState(epoch=3, best=[0.5, -1.0], rows=[{"epoch": 3}], phase=1, first_steps={"dense/kernel": 2},
                     resolved={"precision": "bfloat16"})  # fmt: skip
    run_state.save(tmp_path, state, whole, whole)
    train(whole, 2)

    found, parts, remarks = run_state.load(tmp_path)
    assert (found, remarks) == (state, [])
    resumed = build()
    restore(resumed, parts)
    train(resumed, 2)
    for expected, value in zip(values(whole), values(resumed), strict=True):
        np.testing.assert_array_equal(value, expected)
    for expected, value in zip(whole.optimizer.variables, resumed.optimizer.variables, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_without_a_checkpoint_the_state_is_empty(tmp_path: Path) -> None:
    assert run_state.load(tmp_path / "none") == (RunState(), Parts(), [])


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut short"])
def test_a_damaged_checkpoint_is_replaced_by_the_previous_one_with_a_remark(tmp_path: Path, damage: bytes) -> None:
    model = build()
    for epoch in (1, 2, 3):
        run_state.save(tmp_path, RunState(epoch=epoch), model, model)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"epoch-0000{epoch}-step-0000000.npz" for epoch in (2, 3)
    ]
    (tmp_path / "epoch-00003-step-0000000.npz").write_bytes(damage)
    state, _, remarks = run_state.load(tmp_path)
    assert state.epoch == 2
    assert "epoch-00003-step-0000000.npz is damaged" in remarks[0]


def test_the_best_weights_are_restored_and_a_completed_run_deletes_its_checkpoints(tmp_path: Path) -> None:
    model = build()
    train(model, 1)
    best = model.get_weights()
    run_state.save_best(tmp_path, model, 4)
    train(model, 1)
    run_state.load_best(tmp_path, model, 4)
    for found, expected in zip(model.get_weights(), best, strict=True):
        np.testing.assert_array_equal(found, expected)
    run_state.clear(tmp_path, RunState(epoch=2), keep=False)
    assert [path.name for path in tmp_path.iterdir()] == ["completed.json"]


def test_best_weights_are_kept_while_a_checkpoint_refers_to_them(tmp_path: Path) -> None:
    model = build()
    for epoch, best in ((1, 1), (2, 2), (3, 2), (4, 4)):
        if best == epoch:
            run_state.save_best(tmp_path, model, best)
        run_state.save(tmp_path, RunState(epoch=epoch, best_epoch=best), model, model)
    # If the checkpoint of epoch 4 were damaged, that of epoch 3 would need the weights of epoch 2.
    assert sorted(path.name for path in tmp_path.glob("best-*")) == ["best-00002.npz", "best-00004.npz"]


def test_variables_are_restored_by_name_in_any_order(tmp_path: Path) -> None:
    model = build()
    run_state.save(tmp_path, RunState(epoch=1), model, model)
    expected = run_state.values(model.variables)
    _, parts, _ = run_state.load(tmp_path)
    assert parts.weights.keys() == expected.keys()
    for variable in model.variables:
        variable.assign(keras.ops.zeros_like(variable))
    run_state.restore(model.variables[::-1], dict(sorted(parts.weights.items())), "weight")
    for name, value in run_state.values(model.variables).items():
        np.testing.assert_array_equal(value, expected[name])


def test_variables_with_the_same_name_are_matched_by_their_order() -> None:
    variables = [keras.Variable([float(number)], name="twin") for number in range(3)]
    assert list(run_state.named(variables)) == ["twin", "twin#2", "twin#3"]
    run_state.restore(variables, {"twin": np.ones(1), "twin#2": np.full(1, 2.0), "twin#3": np.full(1, 3.0)}, "weight")
    assert [float(variable.value[0]) for variable in variables] == [1, 2, 3]


def test_running_metrics_are_saved_only_within_an_epoch(tmp_path: Path) -> None:
    model = build()
    train(model, 1)
    run_state.save(tmp_path, RunState(epoch=1), model, model)
    assert run_state.load(tmp_path)[1].metrics == {}
    run_state.save(tmp_path, RunState(epoch=1, within=5), model, model)
    state, parts, _ = run_state.load(tmp_path)
    assert state.within == 5
    assert parts.metrics.keys() == run_state.values(model.metrics_variables).keys() != set()


def test_the_error_for_a_checkpoint_of_another_network_names_the_variable(tmp_path: Path) -> None:
    model = build()
    run_state.save(tmp_path, RunState(epoch=1), model, model)
    _, parts, _ = run_state.load(tmp_path)
    for name in list(parts.weights):
        if name.endswith("bn/beta"):
            del parts.weights[name]
    for other, words in ((build(9), "no weight sequential/dense/kernel of shape (4, 9)"), (build(), "bn/beta")):
        with pytest.raises(RunFailed) as caught:
            run_state.restore(other.variables, parts.weights, "weight")
        message = str(caught.value)
        assert words in message and "another network or version" in message
        assert "\n" not in message


def test_best_weights_of_the_earlier_format_are_read_by_position(tmp_path: Path) -> None:
    model = build()
    train(model, 1)
    best = model.get_weights()
    assert len(best) > 2
    np.savez(tmp_path / "best-00002.npz", **{f"weights/{place}": value for place, value in enumerate(best)})
    train(model, 1)
    run_state.load_best(tmp_path, model, 2)
    for found, expected in zip(model.get_weights(), best, strict=True):
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(RunFailed, match="dense/kernel"):
        run_state.load_best(tmp_path, build(9), 2)


def test_a_checkpoint_of_the_earlier_format_is_recognized(tmp_path: Path) -> None:
    """In the earlier format, arrays are named model/0, …, and the state has no `form`."""
    state = np.frombuffer(b'{"epoch": 2, "step": 8, "best_epoch": 1, "unknown": 1}', np.uint8)
    np.savez(tmp_path / "epoch-00002-step-0000000.npz", state=state, **{"model/0": np.ones(3)})
    found, parts, remarks = run_state.load(tmp_path)
    assert (found.epoch, found.step, found.best_epoch, found.form, remarks) == (2, 8, 1, 1, [])
    assert parts == Parts()
