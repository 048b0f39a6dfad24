"""Loading a run's typed config and its network from the run's folder."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cvlib.config.schema import AUTO, Config
from cvlib.data.input_spec import InputSpec
from cvlib.models import backbones, keras_hub
from cvlib.models.options import read_config
from cvlib.runs.run import Run, read_run
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras

    from cvlib.models.network import Network

_MEMBERS = ("metadata.json", "config.json", "model.weights.h5")  # of a .keras file
UNSAFE_CLASSES = ("Lambda", "__lambda__", "__bytes__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
_LONGEST = 160  # maximum length of a quoted error or name, in characters


@dataclass(frozen=True)
class SavedRun:
    """The record of a run, with its typed config."""

    record: Run
    config: Config

    def __repr__(self) -> str:
        value = self.record.metric(self.record.headline)
        result = "" if value is None else f", {self.record.headline} {value:.4f}"
        return f"SavedRun({self.folder}: {self.summary.get('status')}{result})"

    def _repr_html_(self) -> str:
        """Return a view for notebooks: the metrics, and the curve of the main metric on validation."""
        from cvlib.compare import runs
        from cvlib.viz import axes, notebook, plots

        metrics = self.summary.get("metrics") or {}
        names = dict.fromkeys(name.split("/", 1)[1] for name in metrics if name.count("/") == 1)
        rows = [{"metric": name, "validation": metrics.get(f"val/{name}"), "test": metrics.get(f"test/{name}")}
                for name in names]  # fmt: skip
        name = self.record.headline.replace("test/", "val/", 1)
        points = [(row["epoch"], row[name]) for row in runs.epochs(self.record) if {"epoch", name} <= row.keys()]
        if not points:
            return notebook.view(repr(self), notebook.table(rows))
        x, y = axes.epochs([epoch for epoch, _ in points]), axes.metric(name, [value for _, value in points])
        curve = plots.chart([plots.Line(name, points, colour=0)], x, y)
        return notebook.view(repr(self), notebook.table(rows), curve)

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.record.folder

    @property
    def summary(self) -> dict[str, Any]:
        """The content of summary.json, in the current format."""
        return self.record.summary

    @property
    def notes(self) -> list[str]:
        """Remarks for the user, for example that the run isn't finished or that its backbone's file has changed."""
        before, backbone = self.summary.get("backbone_file"), self.config.model.backbone
        if before in (None, backbones.own_code(backbone)):
            return self.record.notes
        return [*self.record.notes, f"backbones/{backbone}.py has changed since this run: the network may be different"]

    @property
    def classes(self) -> list[str]:
        """The names of the classes, in the order of the outputs."""
        return self.record.classes

    @property
    def channels(self) -> int:
        """The number of channels: 1, 3, or the number of bands of the images."""
        return self.record.channels

    @property
    def size(self) -> tuple[int, int]:
        """The height and width that the network resizes images to."""
        return self.record.size

    @property
    def splits(self) -> dict[str, list[str]] | None:
        """The names of the samples in each split; None for a run of an earlier version."""
        return self.record.splits

    @cached_property
    def spec(self) -> InputSpec:
        """The format of the network's input images."""
        span = self.summary.get("range")
        span = (float(span[0]), float(span[1])) if span else None
        return InputSpec(*self.size, self.channels, str(self.summary.get("resize") or "stretch"), span=span)


class Serving(Protocol):
    """The methods of a task that are needed to restore a network."""

    def fits(self, model: keras.Model, channels: int, classes: int) -> bool:
        """Return whether a saved network has the inputs and outputs of the task."""

    def inference(self, network: Network, decision: Mapping[str, Any] | None = None) -> keras.Model:
        """Return the network in the form that is saved."""


def open_run(folder: Path) -> SavedRun:
    """Return the run in `folder`, finished or not; raise `UserError` if there is no usable run."""
    folder = Path(folder)
    missing = next((name for name in ("summary.json", "config.yaml") if not (folder / name).is_file()), None)
    if missing:
        what = f"is not a run: it has no {missing}" if folder.is_dir() else "is not a folder"
        raise UserError(
            f"{folder} {what}; expected a folder written by `python run.py`, such as outputs/runs/NAME/TIME"
        )
    record = read_run(folder)
    if record.summary.get("ensemble"):
        raise UserError(f"{folder} holds the predictions of several runs and no network: name those runs instead")
    if record.imported:
        raise UserError(f"{folder} holds imported predictions and no network: only `cvlib compare` can use it")
    try:
        config = read_config(record.config or None)
    except UserError as error:
        raise UserError(f"{folder / 'config.yaml'} can't be read: {str(error).splitlines()[0]}") from None
    record.require_data()
    found = record.summary.get("batch_size_search")
    if config.data.batch_size == AUTO:
        size = found["batch_size"] if found else config.model.suited.batch_size
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, batch_size=size))
    return SavedRun(record, config)


def network(run: SavedRun, task: Serving) -> keras.Model:
    """Return the run's best network: raw images (batch, any, any, channels) 0–255 → predictions.

    For an unfinished run, it is the best network so far. Raises `UserError` for a run without a finished epoch, and for
    a file that can't be loaded or has content that no run writes.
    """
    if (run.folder / "model.keras").is_file():
        return _saved(run, task)
    return task.inference(as_trained(run, task))


def _saved(run: SavedRun, task: Serving) -> keras.Model:
    import keras

    from cvlib.models.pixel_range import takes_pixels

    path = run.folder / "model.keras"
    with _loading(path):
        _refuse_foreign(path)
        loaded: keras.Model = keras.saving.load_model(path, compile=False)
    if not task.fits(loaded, run.channels, len(run.classes)):
        raise UserError(f"{path} doesn't fit the run's summary.json: its channels or classes differ; restore the "
                        "run's own file")  # fmt: skip
    return takes_pixels(loaded)


def as_trained(run: SavedRun, task: Serving) -> Network:
    """Return the run's best network as it was trained. Training-only outputs may have random weights.

    Raises `UserError` in the same cases as `network`, and for a network that another version of cvlib built.
    """
    from cvlib.models import run_state
    from cvlib.models.network import build

    built = build(run.config.model, run.spec, len(run.classes))
    if not (run.folder / "model.keras").is_file():
        if run.summary.get("status") == "completed":
            raise UserError(f"{run.folder}: model.keras is missing: restore it, or train again in another folder")
        checkpoints = run.folder / "checkpoints"
        state = run_state.load(checkpoints)[0]
        if not state.best_epoch and run.summary.get("epochs"):
            raise UserError(f"{run.folder}: model.keras and the checkpoints are missing or damaged, so this run has no "
                            "network: restore them")  # fmt: skip
        if not state.best_epoch:
            raise UserError(f"{run.folder}: this run has not finished an epoch, so it has no network yet")
        with _loading(checkpoints):
            run_state.load_best(checkpoints, built.model, state.best_epoch)
        return built
    variables, values = built.predictive().weights, _saved(run, task).weights
    if [value.shape for value in values] != [variable.shape for variable in variables]:
        raise UserError(
            f"{run.folder / 'model.keras'} doesn't fit the run's config: it was written by another version of cvlib"
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return built


@contextlib.contextmanager
def _loading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path} can't be loaded ({reason[:_LONGEST]}): check that it is complete") from None


def _refuse_foreign(path: Path) -> None:
    """Raise `UserError` for a saved network with parts that a run never writes and that could run code.

    A run writes only Keras' built-in parts, and layers of keras-hub that labels.json lists. Keras would reject most of
    the dangerous ones, but this check comes first.
    """
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name not in _MEMBERS]
    listed = _listed_layers(path.with_name("labels.json"))
    foreign = [name for name in foreign_parts(path)
               if name not in listed or keras_hub.layer_class(*name.rsplit(".", 1)) is None]  # fmt: skip
    if found := [*foreign, *members]:
        raise UserError(f"{path} was not loaded: it contains {found[0][:_LONGEST]}, which no run writes and which "
                        "could be harmful; use the file that the run wrote")  # fmt: skip


def foreign_parts(path: Path) -> list[str]:
    """Return the parts of a saved network that aren't Keras' own, such as keras_hub.….ViTEncoderBlock, in order."""
    with zipfile.ZipFile(path) as archive:
        parts = list(parts_of(json.loads(archive.read("config.json"))))
    return list(
        dict.fromkeys(f"{part.get('module') or 'keras'}.{part['class_name']}" for part in parts if _is_foreign(part))
    )


def _listed_layers(labels: Path) -> list[str]:
    """Return the layers of keras-hub that labels.json allows in the network beside it."""
    try:
        found = json.loads(labels.read_text(encoding="utf-8")).get("layers", [])
    except (OSError, ValueError, AttributeError):
        return []
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _is_foreign(part: dict[str, Any]) -> bool:
    module = str(part.get("module") or "keras").split(".")[0]
    return module != "keras" or part["class_name"] in UNSAFE_CLASSES


def parts_of(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every part of a saved network's config that names a class."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        config = list(config.values())
    for inner in config if isinstance(config, list) else []:
        yield from parts_of(inner)
