"""A budget of training time (`trainer.minutes`): when the run ends, and where in its schedule each step is.

The budget counts the time of the epochs, with their validation. It doesn't count the setup (reading data, computing
features) and the final evaluation. The time used is part of the checkpoints, so a killed run continues its budget.
"""

from __future__ import annotations

import time
from typing import Any

import keras

from cvlib.config.schema import TrainerConfig
from cvlib.models.run_state import RunState
from cvlib.runs.record import Record
from cvlib.runtime import backend
from cvlib.runtime.clock import duration

_SPARE_STEPS = 3  # an epoch of fewer steps isn't begun, because its validation would cost more than it gains
now = time.monotonic  # tests replace it


class Budget:
    """The time of training that a run has used, and how much is left.

    Attributes:
        position: the share of the time that is used, 0–1, a variable that the learning-rate schedule reads.
        steps: steps of the current epoch that this process has done.
    """

    def __init__(self, trainer: TrainerConfig, validation_cost: float):
        """Create the budget of a run; `validation_cost` is an estimate of the time of validation, in steps."""
        assert trainer.minutes is not None
        self.seconds = 60 * trainer.minutes
        self.position = keras.Variable(0.0, trainable=False, dtype="float32", name="position_in_budget")
        self._first, self._step_seconds, self._validation_seconds = 0.0, 0.0, 0.0
        self._validation_cost, self._before = validation_cost, 0.0
        self._started = self._trained = now()
        self.steps = 0

    def begin(self, state: RunState) -> None:
        """Begin an epoch, or continue it after a resume."""
        self._before, self._started, self.steps = state.budget_used, now(), 0
        self._set_position()

    @property
    def used(self) -> float:
        """The seconds used so far, over all processes."""
        return self._before + now() - self._started

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return max(0.0, self.seconds - self.used)

    @property
    def share(self) -> float:
        """The share of the time that is used, 0–1."""
        return min(1.0, self.used / self.seconds)

    def step(self) -> bool:
        """Count a step that has just ended; return whether the epoch must end now, so that validation still fits."""
        self.steps += 1
        seconds = now() - self._started
        if self.steps > 1:  # the first step also compiles the graph
            self._step_seconds = (seconds - self._first) / (self.steps - 1)
        else:
            self._first = seconds
        self._set_position()
        validation = self._validation_seconds or self._validation_cost * self._step_seconds
        return self.left < validation + self._step_seconds / 2

    def trained(self) -> None:
        """Note that the training of the epoch has just ended."""
        self._trained = now()

    def validated(self) -> None:
        """Note that the validation of the epoch has just ended."""
        self._validation_seconds = now() - max(self._trained, self._started)

    def spend(self, state: RunState, last_phase: bool, record: Record) -> None:
        """Record the time used at the end of an epoch; stop the run if too little is left for another epoch."""
        state.budget_used = self.used
        record.update(budget={"minutes": self.seconds / 60, "used_minutes": round(state.budget_used / 60, 3)})
        if state.stopped or self.left >= self._validation_seconds + _SPARE_STEPS * self._step_seconds:
            return
        state.stopped = True
        early = "" if last_phase else " in the phase that trains only the head: the base was never trained"
        record.say(f"trainer.minutes={self.seconds / 60:g} end the run after {duration(state.budget_used)}{early}")

    def _set_position(self) -> None:
        self.position.assign(self.share)


class BudgetClock(keras.callbacks.Callback):
    """Ends the epoch when the time for its steps is used up."""

    def __init__(self, budget: Budget):
        super().__init__()
        self.budget = budget

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        backend.sync(self.model)  # before a variable is assigned
        if self.budget.step():
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.budget.trained()
