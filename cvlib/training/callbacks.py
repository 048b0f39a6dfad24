"""Callbacks for training steps: the progress line, the check for a non-finite loss, checkpoints within an epoch."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import keras

from cvlib.runtime.clock import Announcement, duration
from cvlib.runtime.errors import Diverged
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
    """Raises `Diverged` if the loss is not finite. On a terminal, also shows the progress within the epoch.

    `left` returns the seconds that are left of a budget of time; None: the number of epochs ends the run.
    """

    def __init__(self, epoch: int, epochs: int | None, first: int, steps: int,
                 left: Callable[[], float] | None = None):  # fmt: skip
        super().__init__()
        self.left = left
        self.epoch, self.epochs, self.first, self.steps = epoch, epochs, first, steps
        self.started = time.monotonic()
        self.drawn = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss, done = float((logs or {}).get("loss", 0.0)), self.first + batch + 1
        if not math.isfinite(loss):
            raise diverged(f"the loss became {loss} in epoch {self.epoch + 1}, step {done}", self.model)
        now = time.monotonic()
        if sys.stdout.isatty() and now - self.drawn > 0.2:
            self.drawn = now
            left = (now - self.started) / (batch + 1) * (self.steps - done)
            remaining = f"{duration(left)} left in this epoch"
            if self.left is not None:
                remaining = f"{duration(self.left())} of training left"
            text = f"epoch {self.epoch + 1}{_of(self.epochs)}  step {done}/{self.steps}  loss {loss:.4f}"
            sys.stdout.write(f"\r{text}  {remaining}\x1b[K")
            sys.stdout.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if sys.stdout.isatty():
            sys.stdout.write("\r\x1b[K")


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
        first: the number of the epoch's steps that were done before the run resumed.
        every: the number of steps between checkpoints; None means every five minutes.
        begin: called at the start of the epoch, after Keras has reset the metrics.
        save: called with the number of the epoch's steps that are done.
        stop: whether a stop has been requested.
    """

    def __init__(self, first: int, every: int | None, begin: Callable[[], None], save: Callable[[int], None],
                 stop: Stop):  # fmt: skip
        super().__init__()
        self.first, self.every, self.begin, self.save, self.stop = first, every, begin, save, stop
        self.saved = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.begin()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        done = self.first + batch + 1
        due = done % self.every == 0 if self.every else time.monotonic() - self.saved > _SAVE_AFTER
        if due or self.stop.requested:
            self.save(done)
            self.saved = time.monotonic()
        if self.stop.requested:
            raise KeyboardInterrupt


def epoch_line(
    row: dict[str, Any], metrics: Iterable[str], epochs: int | None, seconds_left: float, better: bool
) -> str:
    """Return the line for a finished epoch, with the losses and these metrics; `epochs` is None if not known."""

    def values(split: str) -> str:
        known = [
            (name, row[f"{split}/{name}"]) for name in dict.fromkeys(("loss", *metrics)) if f"{split}/{name}" in row
        ]
        return " ".join([split, *(f"{name} {value:.4f}" for name, value in known)])

    return (
        f"epoch {row['epoch']:>3}{_of(epochs)}  {values('train')}  {values('val')}  lr {row['lr']:.2g}"
        f"  {duration(row['seconds'])}, {duration(seconds_left)} left{'  *best' if better else ''}"
    )


def _of(epochs: int | None) -> str:
    return "" if epochs is None else f"/{epochs}"
