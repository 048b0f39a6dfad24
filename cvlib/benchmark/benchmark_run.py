"""Measure a finished run's network in every format."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cvlib import tasks
from cvlib.benchmark.process import measure
from cvlib.benchmark.served import Served, as_values
from cvlib.data.depth import Range
from cvlib.evaluation import evaluate_run, samples
from cvlib.evaluation.samples import Samples
from cvlib.export import export_run, forms
from cvlib.export.runtimes import reader
from cvlib.export.writers import output_names
from cvlib.models.restore import SavedRun
from cvlib.runs.benchmark import Benchmark
from cvlib.runtime.errors import UserError
from cvlib.runtime.hardware import processor
from cvlib.runtime.quiet import silenced_stderr
from cvlib.tasks import saved
from cvlib.tasks.base import Predictor, Task
from cvlib.training import devices

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        formats: some of `forms.FORMS`.
        split: the split for the accuracy, train, val or test.
        batch: the number of images per batch for the throughput.
        threads: the number of threads of every runtime.
    """

    formats: Sequence[str]
    split: str
    batch: int
    threads: int


@dataclass(frozen=True)
class _Opened:
    """A run that is being measured, and a folder for temporary files."""

    run: SavedRun
    task: Task
    wanted: Samples | None  # None without the run's data
    missing: str  # why there is no data
    images: np.ndarray  # (batch, height, width, channels), 0–255, of the network's size
    folder: Path
    _network: list[keras.Model] = field(default_factory=list)

    @property
    def metric(self) -> str:
        """The name of the run's main metric, without the split."""
        return self.run.record.headline.split("/", 1)[1]

    def value(self, network: Predictor) -> float | None:
        """Return the main metric of a network with the outputs of `Task.validated`; None without data."""
        if self.wanted is None:
            return None
        return float(evaluate_run.predictions(self.run, network, self.wanted.split).metrics()[self.metric])

    def servable(self, say: Say) -> keras.Model:
        """Return the network that is exported, which is built only once."""
        if not self._network:
            self._network.append(export_run.servable(self.run, self.task, say))
        return self._network[0]


def benchmark(run: SavedRun, plan: Plan, say: Say) -> Benchmark:
    """Measure the network of a completed run in each format; formats that can't be written or run are left out.

    `say` receives notes and the progress. Raises `UserError` if the run's own network can't be loaded, or if no format
    can be measured.
    """
    devices.start(run.config)
    task, (wanted, missing) = tasks.of_config(run.config), _samples_or_reason(run, plan.split)
    for note in wanted.notes if wanted else [f"no accuracy, because the run's data is missing: {missing}"]:
        say(f"{run.folder}: {note}")
    formats: dict[str, dict[str, Any]] = {}
    left_out: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        opened = _Opened(run, task, wanted, missing, _images(run, wanted, plan.batch), Path(folder))
        for form in sorted(plan.formats, key=forms.FORMS.index):  # Keras first: exports may change Keras' precision
            say(f"{run.folder}: measuring {form}")
            row = _keras(opened, plan) if form == forms.KERAS else _exported(opened, form, plan, say)
            if isinstance(row, str):
                left_out[form] = row
            else:
                formats[form] = row
    if not formats:
        raise UserError(
            f"{run.folder}: nothing was measured: {'; '.join(f'{k}: {why}' for k, why in left_out.items())}"
        )
    return Benchmark(_conditions(opened, plan), formats, left_out)


def _samples_or_reason(run: SavedRun, split: str) -> tuple[Samples | None, str]:
    try:
        return samples.choose(run, split), ""
    except UserError as error:
        return None, str(error)


def _images(run: SavedRun, wanted: Samples | None, count: int) -> np.ndarray:
    """Return images of the network's size, 0–255: the split's first ones, repeated if they are few, or noise."""
    if wanted is None:
        return np.random.default_rng(0).integers(0, 256, (count, *run.spec.shape)).astype(np.uint8)
    shown, _ = evaluate_run.feed(run, wanted.split).preview(min(count, len(wanted.split)))
    return shown[np.arange(count) % len(shown)]


def _conditions(opened: _Opened, plan: Plan) -> dict[str, Any]:
    spec, wanted = opened.run.spec, opened.wanted
    return {
        "processor": processor(), "threads": plan.threads, "batch": plan.batch, "image_size": list(spec.size),
        "channels": spec.channels, "metric": f"{plan.split}/{opened.metric}",
        "data": wanted.words if wanted else None, "images": len(wanted.split) if wanted else None,
    }  # fmt: skip


def _keras(opened: _Opened, plan: Plan) -> dict[str, Any] | str:
    """Measure the run's own model.keras, in the run's own precision."""
    run = opened.run
    network = saved.as_trained(run)  # also without data, because this checks the file
    value = opened.value(opened.task.validated(network))
    return _measured(opened, forms.place(run.folder, forms.KERAS), forms.KERAS, plan, value, run.spec.span)


def _exported(opened: _Opened, form: str, plan: Plan, say: Say) -> dict[str, Any] | str:
    """Measure an export, which is written first if the run has none; return the reason if that isn't possible."""
    try:
        forms.require(form)
        path = _export_of(opened, form, say)
        span = None if form == forms.INT8 else opened.run.spec.span
        names = sorted(output_names(opened.servable(say)))
        with silenced_stderr():  # LiteRT prints technical messages
            value = opened.value(Served(reader(path, form), names, opened.task, saved.labels(opened.run), span))
        return _measured(opened, path, form, plan, value, span)
    except UserError as error:
        return str(error)
    except Exception as error:  # of a converter or a runtime, which don't support every network
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _export_of(opened: _Opened, form: str, say: Say) -> Path:
    """Return the run's own export, or write one to the temporary folder. An export from before the network is ignored.

    Raises `UserError` if the format isn't available for the run.
    """
    run = opened.run
    path, own = forms.place(run.folder, form), forms.place(run.folder, forms.KERAS)
    if path.exists() and path.stat().st_mtime >= own.stat().st_mtime:
        return path
    if form == forms.INT8 and opened.task.served.refuses_int8:
        raise UserError(opened.task.served.refuses_int8)
    if form == forms.INT8 and opened.wanted is None:
        raise UserError(f"needs the run's training images to choose the 8-bit ranges: {opened.missing}")
    path = opened.folder / path.name
    train = opened.wanted.dataset.train if opened.wanted else None
    network = opened.servable(say)
    with silenced_stderr():  # converters print technical messages
        export_run.write(run, network, form, path, train)
    return path


def _measured(
    opened: _Opened, path: Path, form: str, plan: Plan, value: float | None, span: Range | None = None
) -> dict[str, Any] | str:  # fmt: skip
    images = opened.folder / "images.npy"
    np.save(images, as_values(opened.images, span))
    found = measure(path, form, images, plan.threads)
    if isinstance(found, str):
        return found
    precision = {forms.KERAS: opened.run.summary.get("precision") or "float32", forms.INT8: "int8"}.get(form, "float32")
    own = forms.place(opened.run.folder, form)
    return {"precision": precision, "metric": value, **found, "size_mib": forms.size(path) / 2**20,
            "file": str(own.relative_to(opened.run.folder)) if path == own else None}  # fmt: skip
