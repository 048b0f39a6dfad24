"""The training loop: phases, epochs, validation, checkpoints; goes on from where an earlier process stopped."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cvlib import tasks
from cvlib.config import schema as configuration
from cvlib.config.schema import Config
from cvlib.data.feed import Feed
from cvlib.runs.record import Record
from cvlib.training import checkpoint, interrupt, optimizer
from cvlib.training.callbacks import Keep, Watch, diverged, epoch_line, learning_rate
from cvlib.training.checkpoint import State
from cvlib.training.interrupt import Stop
from cvlib.training.tensorboard import Board, Profile
from cvlib.transfer import freezing as modes
from cvlib.transfer.cached_features import FeatureFeed
from cvlib.viz.text_table import titled

OnEpoch = Callable[[int, dict[str, Any]], None]  # epochs done, the epoch's row of metrics.csv


@dataclass
class Fitted:
    """What an epoch trains and validates: the network on images, or its head on kept features."""

    model: keras.Model
    network: keras.Model  # `model` with what validation needs as its output
    train: Feed | FeatureFeed
    val: Feed | FeatureFeed


@dataclass
class Training:
    """All that the loop works with."""

    config: Config
    record: Record
    model: keras.Model  # raw 0–255 pixels (batch, height, width, channels) → what the task's loss takes
    network: keras.Model  # the same network with what validation needs as its output
    train: Feed
    val: Feed
    classes: list[str]
    class_weights: np.ndarray | None = None
    on_epoch: OnEpoch | None = None  # is told of every epoch; may raise `Pruned`
    on_features: Fitted | None = None  # where the head alone is trained

    @property
    def fitted(self) -> Fitted:
        return self.on_features or Fitted(self.model, self.network, self.train, self.val)

    @property
    def task(self) -> Any:
        """The module of the model's task."""
        return tasks.of(self.config.model.task)

    def open_board(self, done_epochs: int) -> None:
        """Begin, or go on with, the run's TensorBoard files."""
        self.board = Board(self.record.folder / "tensorboard", done_epochs)

    @property
    def checkpoints(self) -> Path:
        return self.record.folder / "checkpoints"


def fit(training: Training, state: State, arrays: dict[str, np.ndarray]) -> State:
    """Train to the last epoch or until patience runs out; return where the run stands.

    Raises `Diverged` at a loss that isn't finite, `RunFailed` if a frozen weight moved, `KeyboardInterrupt` when
    asked to stop, the last step saved.
    """
    model, mode = training.model, training.config.mode
    rates = modes.dropout_rates(model.get_layer("backbone"))
    for phase in modes.phases(mode, training.config.trainer.epochs):
        if state.stopped or state.epoch >= phase.end:
            continue
        modes.apply(model.get_layer("backbone"), mode, phase, rates)
        _compile(training, phase.start * training.train.steps)
        if arrays:
            begun = state.epoch > phase.start or state.within
            checkpoint.restore(arrays, model, training.fitted.model if begun else None)
        _announce(training, phase)
        before = modes.frozen_hashes(model)
        with interrupt.held() as stop:
            while state.epoch < phase.end and not state.stopped:
                _epoch(training, state, arrays, stop)
                arrays = {}
        proven = modes.prove_unmoved(before, modes.frozen_hashes(model))
        if proven:
            training.record.say(f"proved by hash: none of {proven} frozen weights moved")
    return state


def _compile(training: Training, first_step: int) -> None:
    config, model = training.config, training.fitted.model
    model.compile(
        optimizer=optimizer.build(config, training.model, training.train.steps, first_step, model.trainable_variables),
        jit_compile=config.trainer.jit,
        **training.task.compile_arguments(model, config, training.class_weights),
    )


def _epoch(training: Training, state: State, arrays: dict[str, np.ndarray], stop: Stop) -> None:
    model = training.fitted.model
    started = time.monotonic()
    logs = _train_epoch(training, state, arrays, stop)
    trained = time.monotonic() - started
    values = _validate(training, state, stop)
    if not math.isfinite(values.get("loss", 0.0)):  # of what the last step did no loss in training tells
        raise diverged(f"the loss in validation became {values['loss']} after epoch {state.epoch + 1}", model)
    images = max(0, training.train.images - state.within * training.train.batch_size)
    state.epoch, state.within, state.step = state.epoch + 1, 0, state.step + training.train.steps
    state.seconds += trained
    state.images += images
    row = {
        "epoch": state.epoch,
        **{f"train/{name}": value for name, value in training.task.training_metrics(logs).items()},
        **{f"val/{name}": value for name, value in values.items()},
        "lr": learning_rate(model),
        "seconds": round(time.monotonic() - started, 3),
    }
    state.rows.append(row)
    better = _keep_if_best(training, state, row)
    _report(training, state, row, better, images / trained)
    # Last: what is on record of an epoch that a kill takes back is written again, while a gap would stay.
    checkpoint.save(training.checkpoints, state, training.model, model)
    if training.on_epoch is not None:
        training.on_epoch(state.epoch, row)
    if stop.requested:
        raise KeyboardInterrupt


def _train_epoch(training: Training, state: State, arrays: dict[str, np.ndarray], stop: Stop) -> dict[str, float]:
    """One epoch, or what is left of it: `arrays` then hold what its metrics had summed up."""
    model, train, trainer = training.fitted.model, training.fitted.train, training.config.trainer
    first = state.within  # all of them where only the validation is missing
    train.epoch(state.epoch, first % train.steps)
    stream = training.task.targets(train.dataset, model, training.class_weights)

    def save(done: int) -> None:
        checkpoint.save(training.checkpoints, dataclasses.replace(state, within=done), training.model, model)

    def begin() -> None:
        if first:
            checkpoint.restore_metrics(arrays, model)

    if first:
        model.test_on_batch(*next(iter(stream)))  # Keras makes the metrics' variables when they are first used
    if first == train.steps:
        begin()
        return {name: float(value) for name, value in model.get_metrics_result().items()}

    watch = Watch(state.epoch, trainer.epochs, first, train.steps)
    keep = Keep(first, trainer.checkpoint_every, begin, save, stop)
    callbacks = [watch, keep]
    if trainer.profile_steps:
        callbacks.append(Profile(training.board.folder, trainer.profile_steps, state.step + first))
    history = model.fit(stream, epochs=state.epoch + 1, initial_epoch=state.epoch, verbose=0, shuffle=False,
                        callbacks=callbacks)  # fmt: skip
    return {name: values[-1] for name, values in history.history.items()}


def _validate(training: Training, state: State, stop: Stop) -> dict[str, float]:
    """The metrics of validation; a signal leaves it at once, with the epoch saved as trained."""
    fitted = training.fitted
    fitted.val.epoch(state.epoch)
    stop.at_once = True
    try:
        if stop.requested:
            raise KeyboardInterrupt
        values: dict[str, float] = training.task.evaluate(fitted.network, fitted.val, training.classes).metrics()
    except KeyboardInterrupt:
        trained = dataclasses.replace(state, within=fitted.train.steps)
        checkpoint.save(training.checkpoints, trained, training.model, fitted.model)
        raise
    finally:
        stop.at_once = False
    return values


def _keep_if_best(training: Training, state: State, row: dict[str, Any]) -> bool:
    """A tie in the monitor goes to the smaller loss: accuracies of small splits tie often."""
    trainer, monitor = training.config.trainer, configuration.monitor(training.config)
    sign = -1.0 if monitor.endswith("loss") else 1.0
    value = [sign * row[monitor], -row.get("val/loss", row["train/loss"])]
    better = not state.best or value > state.best
    if better:
        state.best, state.best_epoch = value, state.epoch
        checkpoint.save_best(training.checkpoints, training.model, state.epoch)
    elif trainer.patience is not None and state.epoch - state.best_epoch >= trainer.patience:
        state.stopped = True
    return better


def _report(training: Training, state: State, row: dict[str, Any], better: bool, speed: float) -> None:
    epochs = training.config.trainer.epochs
    record = training.record
    record.write_csv("metrics.csv", state.rows)
    record.update(epochs=state.epoch, steps=state.step, best_epoch=state.best_epoch, last_metrics=_of(row, "val/"),
                  timing={**record.summary["timing"], "train": round(state.seconds, 2)},
                  metrics=_of(state.rows[state.best_epoch - 1], "val/"))  # fmt: skip
    training.board.scalars(state.epoch, {
        **_of(row, "train/", keep=False), "learning_rate": row["lr"],
        "images_per_second": speed,
    }, _of(row, "val/", keep=False))  # fmt: skip
    per_epoch = sum(earlier["seconds"] for earlier in state.rows) / len(state.rows)
    record.say(epoch_line(row, training.task.METRICS[0], epochs, per_epoch * (epochs - state.epoch), better))
    if state.stopped:
        record.say(f"stopped early: no better {configuration.monitor(training.config)} for "
                   f"{training.config.trainer.patience} epochs")  # fmt: skip


def _of(row: dict[str, Any], prefix: str, keep: bool = True) -> dict[str, float]:
    return {key if keep else key[len(prefix):]: row[key] for key in row if key.startswith(prefix)}  # fmt: skip


def _announce(training: Training, phase: modes.Phase) -> None:
    config, record = training.config, training.record
    rows = modes.freeze_table(training.model, config.mode, config.optimizer.lr)
    counts = modes.parameter_counts(training.model)
    record.update(parameters=counts, freeze_table=rows)
    record.say(f"\nepochs {phase.start + 1} to {phase.end}: {counts['trainable']:,} of {counts['total']:,} "
               "parameters learn")  # fmt: skip
    lines = titled(rows, left=range(len(rows[0])))
    for line in lines:
        record.say(line)
    training.board.text("train", "freeze_table", "\n".join(["```", *lines, "```"]), phase.start)
