"""Callbacks for training steps: the progress line, the check for a non-finite loss, checkpoints within an epoch."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import keras

from cvlib.runtime import processes
from cvlib.runtime.clock import Announcement, duration
from cvlib.runtime.errors import Diverged
from cvlib.runtime.live import Bar
from cvlib.training.interrupt import Stop

_SAVE_AFTER = 300  # seconds between checkpoints within an epoch: a killed process loses at most this much training


def learning_rate(model: keras.Model) -> float:
    """Return the learning rate of the next step."""
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


def diverged(what: str, model: keras.Model) -> Diverged:
    """Return the error for divergence: `what` happened, the learning rate, and what to try."""
    return Diverged(f"{what}, at a learning rate of {learning_rate(model):g}: try a smaller optimizer.lr or "
                    "optimizer.clipnorm=1")  # fmt: skip


class NonFiniteGuard(keras.callbacks.Callback):
    """Raises `Diverged` if the loss is not finite; `first` steps of the epoch were done before the run resumed."""

    def __init__(self, epoch: int, first: int):
        super().__init__()
        self.epoch, self.first = epoch, first

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss, done = float((logs or {}).get("loss", 0.0)), self.first + batch + 1
        if not math.isfinite(loss):
            raise diverged(f"the loss became {loss} in epoch {self.epoch + 1}, step {done}", self.model)


class LiveLine(keras.callbacks.Callback):
    """On a terminal, shows the progress within an epoch: steps, loss, metrics, learning rate, images per second.

    Args:
        epoch: the number of epochs that are done.
        epochs: the number of epochs of the run; None if a budget of time ends it.
        first: the steps of the epoch that were done before the run resumed.
        steps: the steps of the epoch.
        batch_size: images per step.
    """

    def __init__(self, epoch: int, epochs: int | None, first: int, steps: int, batch_size: int):
        super().__init__()
        self.bar = Bar(f"epoch {epoch + 1}{_of(epochs)}", steps, sys.stdout, first)
        self.first, self.batch_size, self.started = first, batch_size, time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if batch == 0:
            self.started = time.monotonic()  # without the time in which the first step was compiled
        else:
            self.bar.show(self.first + batch + 1, lambda: self._text(batch, logs or {}))

    def _text(self, batch: int, logs: dict[str, Any]) -> str:
        speed = batch * self.batch_size / max(time.monotonic() - self.started, 1e-9)
        known = sorted(logs.items(), key=lambda item: item[0] != "loss")
        values = [f"{name} {float(value):.4f}" for name, value in known[:2]]
        return "  ".join([*values, f"lr {learning_rate(self.model):.2g}", f"{speed:.0f} images/s"])

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.bar.clear()


class Estimate(keras.callbacks.Callback):
    """Announces how long the epochs of a phase will take."""

    def __init__(self, announcement: Announcement):
        super().__init__()
        self.announcement = announcement

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.announcement.step()


class MidEpochCheckpoint(keras.callbacks.Callback):
    """Saves checkpoints within an epoch: every `every` steps or every five minutes, and when a stop is requested.

    Args:
        epoch: the number of epochs that are done.
        first: the number of the epoch's steps that were done before the run resumed.
        every: the number of steps between checkpoints; None means every five minutes.
        begin: called at the start of the epoch, after Keras has reset the metrics.
        save: called with the number of the epoch's steps that are done.
        stop: whether a stop has been requested.
    """

    def __init__(self, epoch: int, first: int, every: int | None, begin: Callable[[], None],
                 save: Callable[[int], None], stop: Stop):  # fmt: skip
        super().__init__()
        self.epoch, self.first, self.every = epoch, first, every
        self.begin, self.save, self.stop = begin, save, stop
        self.saved = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.begin()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        done = self.first + batch + 1
        stops = processes.stops(self.stop.requested, self.epoch, done)
        due = done % self.every == 0 if self.every else time.monotonic() - self.saved > _SAVE_AFTER
        if due or stops:
            self.save(done)
            self.saved = time.monotonic()
        if stops:
            raise KeyboardInterrupt


def epoch_line(
    row: dict[str, Any], metrics: Iterable[str], epochs: int | None, speed: float, seconds_left: float, better: bool
) -> str:
    """Return the line for a finished epoch, with the losses, these metrics, and `speed`, the images per second.

    `epochs` is None if not known.
    """

    def values(split: str) -> str:
        known = [
            (name, row[f"{split}/{name}"]) for name in dict.fromkeys(("loss", *metrics)) if f"{split}/{name}" in row
        ]
        return " ".join([split, *(f"{name} {value:.4f}" for name, value in known)])

    times = f"{duration(row['seconds'])}, {duration(seconds_left)} left"
    return (
        f"epoch {row['epoch']:>3}{_of(epochs)}  {values('train')}  {values('val')}  lr {row['lr']:.2g}"
        f"  {speed:.0f} images/s  {times}{'  *best' if better else ''}"
    )


def _of(epochs: int | None) -> str:
    return "" if epochs is None else f"/{epochs}"
