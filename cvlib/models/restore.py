"""A run opened again: its typed config and its network, from the folder that it left behind."""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cvlib.config.schema import Config
from cvlib.data.input_spec import InputSpec
from cvlib.models import backbones
from cvlib.models.options import read_config
from cvlib.runs.run import Run, read_run
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras

    from cvlib.models.network import Network

_MEMBERS = ("metadata.json", "config.json", "model.weights.h5")  # of a .keras file
_CODE = ("Lambda", "__lambda__", "__bytes__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
_LONGEST = 160  # characters of others' words in one line


@dataclass(frozen=True)
class SavedRun:
    """What a run's folder says of it, with its config typed."""

    record: Run
    config: Config

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.record.folder

    @property
    def summary(self) -> dict[str, Any]:
        """All that summary.json holds, in the present form."""
        return self.record.summary

    @property
    def notes(self) -> list[str]:
        """Remarks for people, such as that the run isn't finished, or that its backbone's file has changed."""
        before, backbone = self.summary.get("backbone_file"), self.config.model.backbone
        if before in (None, backbones.own_code(backbone)):
            return self.record.notes
        return [*self.record.notes, f"backbones/{backbone}.py has changed since this run: its network may be another"]

    @property
    def classes(self) -> list[str]:
        """The names of the classes, in the order of the outputs."""
        return self.record.classes

    @property
    def channels(self) -> int:
        """1, 3, or as many bands as the images have."""
        return self.record.channels

    @property
    def size(self) -> tuple[int, int]:
        """Height and width that the network resizes images to."""
        return self.record.size

    @property
    def splits(self) -> dict[str, list[str]] | None:
        """The names of the samples in each split; None for a run of an earlier version."""
        return self.record.splits

    @cached_property
    def spec(self) -> InputSpec:
        """The images that the network takes."""
        span = self.summary.get("range")
        span = (float(span[0]), float(span[1])) if span else None
        return InputSpec(*self.size, self.channels, str(self.summary.get("resize") or "stretch"), span=span)


class Serving(Protocol):
    """What restoring a network asks of a task."""

    def fits(self, model: keras.Model, channels: int, classes: int) -> bool:
        """Return whether a saved network has the inputs and outputs of the task."""

    def inference(self, network: Network) -> keras.Model:
        """Return the network as it is saved."""


def open_run(folder: Path) -> SavedRun:
    """Return the run in `folder`, finished or not; raise `UserError` where there is none, or none usable yet."""
    folder = Path(folder)
    missing = next((name for name in ("summary.json", "config.yaml") if not (folder / name).is_file()), None)
    if missing:
        what = f"is not a run: it has no {missing}" if folder.is_dir() else "is not a folder"
        raise UserError(
            f"{folder} {what}; give the folder that a `python run.py` wrote, such as outputs/runs/NAME/TIME"
        )
    record = read_run(folder)
    try:
        config = read_config(record.config or None)
    except UserError as error:
        raise UserError(f"{folder / 'config.yaml'} can't be read: {str(error).splitlines()[0]}") from None
    record.require_data()
    return SavedRun(record, config)


def network(run: SavedRun, task: Serving) -> keras.Model:
    """Return the run's best network: raw images (batch, any, any, channels) 0–255 → predictions; of an unfinished run
    the best so far.

    Raises `UserError` for a run without a finished epoch, and for a file that can't be loaded, or that no run writes.
    """
    if (run.folder / "model.keras").is_file():
        return _saved(run, task)
    return task.inference(as_trained(run, task))


def _saved(run: SavedRun, task: Serving) -> keras.Model:
    import keras

    path = run.folder / "model.keras"
    with _loading(path):
        _refuse_foreign(path)
        loaded: keras.Model = keras.saving.load_model(path, compile=False)
    if not task.fits(loaded, run.channels, len(run.classes)):
        raise UserError(f"{path} doesn't fit the run's summary.json, in its channels or classes: is it of another run?")
    return loaded


def as_trained(run: SavedRun, task: Serving) -> Network:
    """Return the run's best network as it was trained; outputs that exist in training only may have random weights.

    Raises `UserError` as `network`, and for a network of other code than this.
    """
    from cvlib.models import run_state
    from cvlib.models.network import build

    built = build(run.config.model, run.spec, len(run.classes))
    if not (run.folder / "model.keras").is_file():
        if run.summary.get("status") == "completed":
            raise UserError(f"{run.folder}: model.keras is missing: restore it, or train again in another folder")
        checkpoints = run.folder / "checkpoints"
        state = run_state.load(checkpoints)[0]
        if not state.best_epoch:
            raise UserError(f"{run.folder}: no epoch of this run is finished, so there is no network to look at yet")
        with _loading(checkpoints):
            run_state.load_best(checkpoints, built.model, state.best_epoch)
        return built
    variables, values = built.predictive().weights, _saved(run, task).weights
    if [value.shape for value in values] != [variable.shape for variable in variables]:
        raise UserError(f"{run.folder / 'model.keras'} doesn't fit the run's config: it was written by another version")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return built


@contextlib.contextmanager
def _loading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path} can't be loaded ({why[:_LONGEST]}): is it whole?") from None


def _refuse_foreign(path: Path) -> None:
    """Our networks are made of Keras' own parts; what could run code isn't even shown to Keras, which refuses most."""
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name not in _MEMBERS]
        parts = list(_parts(json.loads(archive.read("config.json"))))
    foreign = [f"{part.get('module')}.{part['class_name']}" for part in parts if _is_foreign(part)]
    if found := [*foreign, *members]:
        raise UserError(f"{path} has {found[0][:_LONGEST]} in it, which no run writes and which could do harm: it "
                        "isn't opened; take the file as its run left it")  # fmt: skip


def _is_foreign(part: dict[str, Any]) -> bool:
    module = str(part.get("module") or "keras").split(".")[0]
    return module != "keras" or part["class_name"] in _CODE


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    """Everything in a saved network's description that names a class."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        config = list(config.values())
    for inner in config if isinstance(config, list) else []:
        yield from _parts(inner)
