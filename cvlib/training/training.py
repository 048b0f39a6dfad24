"""What the training loop works on: the run's network, feeds, task and record."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cvlib import tasks
from cvlib.config.schema import Config
from cvlib.data.feed import Feed
from cvlib.models.network import Network
from cvlib.runs.record import Record
from cvlib.runtime import backend, processes
from cvlib.tasks.base import Task
from cvlib.training.averages import Averages
from cvlib.training.budget import Budget
from cvlib.training.callbacks import Estimate
from cvlib.training.tensorboard import TensorBoardLogger, Unwritten

OnEpoch = Callable[[int, dict[str, Any]], None]  # (number of epochs done, the epoch's row of metrics.csv)


@dataclass
class Fitted:
    """The model and the feeds of an epoch: the network with images, or its head with cached features."""

    model: keras.Model
    validated: keras.Model  # `model` with the outputs that validation needs
    train: Feed
    val: Feed


@dataclass
class Training:
    """Everything that the training loop needs."""

    config: Config
    record: Record
    task: Task
    network: Network
    fitted: Fitted
    train: Feed  # the feed of images, even if the head trains on cached features
    val: Feed
    classes: list[str]
    class_weights: np.ndarray | None = None
    on_epoch: OnEpoch | None = None  # called after every epoch; may raise `Pruned`
    board: TensorBoardLogger = field(init=False)
    averages: Averages | None = None  # of the present phase, with `trainer.ema`
    estimate: Estimate | None = None  # of the phase's duration; None after its first epoch has started
    budget: Budget | None = None  # of time, instead of a number of epochs

    @property
    def monitor(self) -> str:
        """The metric that selects the best epoch."""
        return tasks.monitor(self.config)

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints for exact resume."""
        return self.record.folder / "checkpoints"

    @property
    def compiled(self) -> bool:
        """Whether XLA compiles the training step. JAX would otherwise call one operation after the other."""
        return self.config.trainer.jit or backend.name() == "jax"

    def targets(self, labels: Any) -> Any:
        """Convert the labels of a batch to targets."""
        return self.task.targets(labels, self.network)

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which the network has its averaged weights, if there are any."""
        return self.averages.in_use() if self.averages is not None else contextlib.nullcontext()

    def open_board(self, done_epochs: int) -> None:
        """Open the run's TensorBoard files, new or existing."""
        kind = Unwritten if processes.number() else TensorBoardLogger
        self.board = kind(self.record.folder / "tensorboard", done_epochs, self.record.home)
