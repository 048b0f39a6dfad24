"""What a person sees while a run trains, and the stop at a loss that is no number."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import keras

from cvlib.errors import Diverged


class Watch(keras.callbacks.Callback):
    """Draws a line of progress within the epoch on a terminal; stops at a loss that isn't finite."""

    def __init__(self, epoch: int, epochs: int, steps: int):
        super().__init__()
        self.epoch, self.epochs, self.steps = epoch, epochs, steps
        self.started = time.monotonic()
        self.drawn = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
            raise Diverged(f"the loss became {loss} in epoch {self.epoch + 1}, step {batch + 1}, at a learning rate "
                           f"of {rate:g}: try a smaller optimizer.lr or optimizer.clipnorm=1")  # fmt: skip
        now = time.monotonic()
        if sys.stdout.isatty() and now - self.drawn > 0.2:
            self.drawn = now
            left = (now - self.started) / (batch + 1) * (self.steps - batch - 1)
            text = f"epoch {self.epoch + 1}/{self.epochs}  step {batch + 1}/{self.steps}  loss {loss:.4f}"
            sys.stdout.write(f"\r{text}  {duration(left)} left in this epoch\x1b[K")
            sys.stdout.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if sys.stdout.isatty():
            sys.stdout.write("\r\x1b[K")


def epoch_line(row: dict[str, Any], headline: str, epochs: int, seconds_left: float, better: bool) -> str:
    """One line for a finished epoch: the losses and the task's headline metric."""

    def values(part: str) -> str:
        known = [(name, row[f"{part}/{name}"]) for name in ("loss", headline) if f"{part}/{name}" in row]
        return " ".join([part, *(f"{name} {value:.4f}" for name, value in known)])

    return (
        f"epoch {row['epoch']:>3}/{epochs}  {values('train')}  {values('val')}  lr {row['lr']:.2g}"
        f"  {duration(row['seconds'])}, {duration(seconds_left)} left{'  *best' if better else ''}"
    )


def duration(seconds: float) -> str:
    """`8.3 s`, `2 min 5 s` or `1 h 12 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
