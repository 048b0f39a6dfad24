"""A run's TensorBoard files. Training and validation use the same tags, so that both appear in one chart."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Collection, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np

from cvlib.runs.flatten import flatten
from cvlib.runtime import backend
from cvlib.runtime.files import PARTIAL, replacing
from cvlib.training import event_file
from cvlib.training.event_file import PREFIX, EventFile

_USUAL = ("data.fraction", "data.image_size", "data.batch_size", "optimizer.lr", "trainer.epochs", "seed")
_RESULTS = ".results"  # suffix of the event file with the results after training


class TensorBoardLogger:
    """Writes the event files `train`, `validation` and, for a finished run, `result` in a run's `tensorboard` folder.

    Steps are epochs, counted from 1; step 0 is for records from before training. If a run resumes after epoch k, events
    of later epochs and of results are removed, so that no curve has duplicate points. The others are merged into one
    file, which TensorBoard reads before the new one, even if the clock was changed. `run` is the run's folder, if
    `folder` is to be moved there; the HParams tab names it.
    """

    def __init__(self, folder: Path, done_epochs: int, run: Path | None = None):
        self.folder, self.run = folder, run or folder.parent
        self._writers = {}
        for split in ("train", "validation"):
            earlier = sorted(folder.glob(f"{split}/{PREFIX}[0-9]*.*"))
            kept = [path for path in earlier if done_epochs and not path.name.endswith(_RESULTS)]
            for path in earlier:
                if path not in kept:
                    path.unlink()
            if kept:
                _merge(kept, done_epochs)
            self._writers[split] = EventFile(folder / split)

    def scalars(self, step: int, train: dict[str, float], validation: dict[str, float]) -> None:
        """Write the points of the curves, and flush them to disk, so that a killed process loses none."""
        for split, values in (("train", train), ("validation", validation)):
            for name, value in values.items():
                self._writers[split].scalar(f"per_class/{name}" if "/" in name else name, value, step)
            self._writers[split].flush()

    def image(self, split: str, tag: str, picture: np.ndarray, step: int) -> None:
        """Write one picture, uint8 `(height, width, 3)`."""
        self._writers[split].image(tag, picture, step)

    def text(self, split: str, tag: str, markdown: str, step: int) -> None:
        """Write a Markdown text."""
        self._writers[split].text(tag, markdown, step)

    def graph(self, model: keras.Model) -> bool:
        """Write the network's graph, for the Graphs tab; return False on another backend, where a network has none."""
        if backend.name() != "tensorflow":
            return False
        import tensorflow as tf

        function = tf.function(lambda pixels: model(pixels, training=False))
        concrete = function.get_concrete_function(tf.TensorSpec(model.input_shape, tf.float32))
        self._writers["train"].graph(concrete.graph.as_graph_def().SerializeToString())
        return True

    def hparams(self, values: dict[str, Any], metrics: dict[str, float], step: int) -> None:
        """Write the run's row of the HParams tab.

        The row has its own writer, because every scalar of a writer becomes a column.
        """
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb  # takes 0.1 s: must not delay the first step

        own, folder = self.run, self.folder / "result"
        shutil.rmtree(folder, ignore_errors=True)  # left by a process that was killed before the run was finished
        self._writers["result"] = EventFile(folder)
        # TensorBoard averages the metrics of rows with equal ids, so folders with equal names need different ids.
        row = hparams_pb(values, trial_id=f"{own.parent.name}/{own.name} {uuid.uuid4().hex[:8]}")
        self._writers["result"].summary(row, 0)
        for name, value in metrics.items():
            self._writers["result"].scalar(name, value, step)

    def begin_results(self) -> None:
        """Write further validation events to a separate file, which a resumed run deletes if this process is killed."""
        self._writers["validation"].close()
        self._writers["validation"] = EventFile(self.folder / "validation", _RESULTS)

    def close(self) -> None:
        """Flush and close all writers."""
        for writer in self._writers.values():
            writer.close()


class Unwritten(TensorBoardLogger):
    """Writes nothing, in processes that don't record the run."""

    def __init__(self, *_: Any):
        self._writers = {}

    def scalars(self, step: int, train: dict[str, float], validation: dict[str, float]) -> None:
        """Do nothing."""

    def text(self, split: str, tag: str, markdown: str, step: int) -> None:
        """Do nothing."""


class Profile(keras.callbacks.Callback):
    """Profiles some training steps for TensorBoard's Profile tab (package `xprof`).

    Args:
        folder: the run's `tensorboard` folder.
        steps: the first and the last step, counted from 1 over all epochs.
        done: the number of steps that the run has done before this callback.
    """

    def __init__(self, folder: Path, steps: list[int], done: int):
        super().__init__()
        (self.first, self.last), self.folder, self.done, self.active = steps, folder, done, False

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self.active and self.first <= self.done + batch + 1 <= self.last:
            _profiler().start(str(self.folder / "train"))
            self.active = True

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.done + batch + 1 >= self.last:
            self._stop()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._stop()  # the profile doesn't include validation between epochs

    def _stop(self) -> None:
        if self.active:
            _profiler().stop()
            self.active = False


def _profiler() -> Any:
    """Return the profiler of the backend, with the functions `start(folder)` and `stop()`."""
    if backend.name() == "jax":
        import jax

        return SimpleNamespace(start=jax.profiler.start_trace, stop=jax.profiler.stop_trace)
    import tensorflow as tf

    return tf.profiler.experimental


def hyperparameters(config: dict[str, Any], given: Collection[str]) -> dict[str, Any]:
    """Return the columns of the HParams tab: the run's choices, the most common keys, and the `given` overrides.

    All other keys follow from a choice or have their default values. A table of a hundred columns would hide the few
    that vary.
    """
    kept = [*_USUAL, *(key for key in given if "." in key)]  # the others are choices or output folders
    return {key.removesuffix(".name"): _shown(value) for key, value in flatten(config).items()
            if key.endswith(".name") or any(f"{key}.".startswith(f"{known}.") for known in kept)}  # fmt: skip


def _shown(value: Any) -> bool | int | float | str:
    """Return a value in a type that the HParams tab supports: a number, a Boolean or a string."""
    if isinstance(value, tuple):
        value = _listed(value)
    if isinstance(value, bool | int | float):
        return value
    # The name of a folder may contain bytes that are not UTF-8.
    return "null" if value is None else str(value).encode("utf-8", "backslashreplace").decode()


def _listed(values: tuple[Any, ...]) -> list[Any]:
    return [_listed(value) if isinstance(value, tuple) else value for value in values]


def _merge(paths: Sequence[Path], last_step: int) -> None:
    """Replace the event files of earlier processes by one file without the events after `last_step`.

    TensorBoard reads a run's files by name, that is by the time of their creation, and drops the points before a step
    back. If the clock was changed between two processes, this would drop most of the curve. So the events are sorted by
    step, and the name and the times of the new file lie before the current time.
    """
    events = sorted((event for path in paths for event in event_file.read(path) if event.step <= last_step), key=_place)
    now = time.time()
    shift, following = 0.0, now
    for event in reversed(events):
        shift = min(shift, following - event.wall_time)
        event.wall_time = following = event.wall_time + shift
    created, rest = paths[0].name.removeprefix(PREFIX).split(".", 1)
    path = paths[0].with_name(f"{PREFIX}{min(int(created), int(now) - 1):010d}.{rest}")
    # TensorBoard reads every file with "tfevents" in its name.
    with replacing(path, f"{rest}{PARTIAL}") as temporary:
        event_file.write(temporary, events)
    for earlier in paths:
        if earlier != path:
            earlier.unlink()


def _place(event: Any) -> tuple[bool, int]:
    return not event.HasField("file_version"), event.step
