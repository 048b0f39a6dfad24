"""A run opened again: its config, its classes and its network, from the folder that it left behind."""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cvlib.config import checks
from cvlib.config import schema as configuration
from cvlib.config.schema import Config
from cvlib.runs.record import read_summary
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras

    from cvlib.data.dataset import Dataset

_MEMBERS = ("metadata.json", "config.json", "model.weights.h5")  # of a .keras file
_CODE = ("Lambda", "__lambda__", "__bytes__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
_LONGEST = 160  # characters of others' words in one line
_OF_DATA: dict[str, Callable[[Any], bool]] = {  # what summary.json has once the data is read
    "classes": lambda names: isinstance(names, list) and all(isinstance(name, str) for name in names),
    "channels": lambda count: count in (1, 3),
    "image_size": lambda side: isinstance(side, int) and side > 0,
}


@dataclass(frozen=True)
class Run:
    """What a run's folder says of it."""

    folder: Path
    config: Config
    summary: dict[str, Any]
    notes: list[str]  # remarks for the person: that the run isn't finished

    @property
    def classes(self) -> list[str]:
        """The names of the classes, in the order of the outputs."""
        return list(self.summary["classes"])

    @property
    def channels(self) -> int:
        """1 or 3."""
        return int(self.summary["channels"])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width that the network resizes images to."""
        side = int(self.summary["image_size"])
        return side, side


def is_run(folder: Path) -> bool:
    """Whether a folder has the record of a run in it."""
    return (folder / "summary.json").is_file()


def open_run(folder: Path) -> Run:
    """The run in `folder`, finished or not; raises `UserError` where there is none, or none that can be used yet."""
    folder = Path(folder)
    summary = read_summary(folder) if folder.is_dir() else None
    if summary is None or not (folder / "config.yaml").is_file():
        what = f"is no run: it has no {'summary.json' if summary is None else 'config.yaml'}"
        what = what if folder.is_dir() else "is no folder"
        raise UserError(
            f"{folder} {what}; give the folder that a `python run.py` wrote, such as outputs/runs/NAME/TIME"
        )
    try:
        content = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise UserError("it holds no keys")
        config = checks.from_composed(content)
    except (yaml.YAMLError, UnicodeDecodeError, UserError) as error:
        raise UserError(f"{folder / 'config.yaml'} can't be read: {str(error).splitlines()[0]}") from None
    if not all(summary.get(key) for key in _OF_DATA):
        raise UserError(f"{folder}: this run ({summary.get('status')}) stopped before its data was read; run it again")
    for key, can_be in _OF_DATA.items():
        if not can_be(summary[key]):
            raise UserError(
                f"{folder / 'summary.json'}: {key} can't be {str(summary[key])[:_LONGEST]}: restore the file"
            )
    notes = []
    if summary.get("status") != "completed":
        notes.append(f"{folder} is {summary.get('status')}, after {summary.get('epochs', 0)} of "
                     f"{config.trainer.epochs} epochs: its best so far is used")  # fmt: skip
    return Run(folder, config, summary, notes)


def network(run: Run) -> keras.Model:
    """The run's best network: raw images (batch, any, any, channels) 0–255 → predictions; of an unfinished run the
    best so far.

    Raises `UserError` for a run without a finished epoch, and for a file that can't be loaded, or that no run writes.
    """
    import keras

    from cvlib import tasks

    path = run.folder / "model.keras"
    if path.is_file():
        with _loading(path):
            _refuse_foreign(path)
            loaded: keras.Model = keras.saving.load_model(path, compile=False)
        if not _fits(loaded, run):
            raise UserError(f"{path} doesn't fit the run's summary.json, in its channels or classes: is it of another "
                            "run?")  # fmt: skip
        return loaded
    how = configuration.resize(run.config)
    built: keras.Model = tasks.of(run.config.model.task).inference(as_trained(run), run.size, how)
    return built


def _fits(loaded: keras.Model, run: Run) -> bool:
    of_boxes = isinstance(loaded.output, dict)
    return (loaded.input_shape[-1] == run.channels and of_boxes == (run.config.model.task == "detection")
            and (of_boxes or loaded.output_shape[-1] == len(run.classes)))  # fmt: skip


def as_trained(run: Run) -> keras.Model:
    """The run's best network as it was trained: images of `run.size` → what the task's loss and metrics take.

    An auxiliary classifier is left out. Raises `UserError` as `network`, and for a network of other code than this.
    """
    from cvlib import models
    from cvlib.training import checkpoint

    model = models.build(run.config.model, (*run.size, run.channels), len(run.classes))
    if not (run.folder / "model.keras").is_file():
        state = checkpoint.load(run.folder / "checkpoints")[0]
        if not state.best_epoch:
            raise UserError(f"{run.folder}: no epoch of this run is finished, so there is no network to look at yet")
        with _loading(run.folder / "checkpoints"):
            checkpoint.load_best(run.folder / "checkpoints", model, state.best_epoch)
        return models.logits(model)
    model, kept = models.logits(model), network(run).weights
    if [weight.shape for weight in kept] != [weight.shape for weight in model.weights]:
        raise UserError(f"{run.folder / 'model.keras'} doesn't fit the run's config: it was written by another version")
    for weight, value in zip(model.weights, kept, strict=True):
        weight.assign(value)
    return model


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


def dataset(run: Run) -> Dataset:
    """The data that the run was trained on, split as then; raises `UserError` where it can't be had any more."""
    from cvlib import data

    return data.load(run.config.data, run.config.seed, data.labels.named(run.config.model.task))


def labels(run: Run) -> dict[str, Any]:
    """labels.json: the task, the classes, channels and image size."""
    path = run.folder / "labels.json"
    if path.is_file():
        try:
            found: dict[str, Any] = dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            raise UserError(f"{path} can't be read as JSON: take it away, or restore it") from None
        return found
    return {"task": run.config.model.task, "classes": run.classes, "channels": run.channels,
            "image_size": list(run.size), "resize": configuration.resize(run.config)}  # fmt: skip
