"""One run, read from its folder: its config and its results. Needs neither Hydra nor Keras."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeGuard

import yaml

from cvlib.runs import corruptions, metric_specs
from cvlib.runs.benchmark import Benchmark, read
from cvlib.runs.config_file import read_config, regular
from cvlib.runs.corruptions import Corruptions
from cvlib.runs.flatten import flatten
from cvlib.runs.identity import NOT_THE_EXPERIMENT, is_later_default
from cvlib.runs.metric_specs import MetricSpec
from cvlib.runs.summary import overridden, settled
from cvlib.runs.upgrade import upgrade
from cvlib.runtime.errors import UserError

SEED_KEYS = ("seed", "data.split_seed", "data.fold")  # repeats of one experiment differ in these
SPLITS = "splits.json"
_LONGEST = 160  # maximum length of a damaged value in a message, in characters
# Keys that summary.json has after the data is read, each with a check of its value.
_DATA_CHECKS: dict[str, Callable[[Any], bool]] = {
    "classes": lambda names: isinstance(names, list) and all(isinstance(name, str) for name in names),
    "channels": lambda count: isinstance(count, int) and not isinstance(count, bool) and 0 < count <= 512,
    "image_size": lambda size: _is_side(size) or (
        isinstance(size, list) and len(size) == 2 and all(map(_is_side, size))),
}  # fmt: skip


class UnreadableRun(UserError):
    """Raised for a folder without a readable run; `reason` says why, without the folder's name."""

    def __init__(self, folder: Path, reason: str):
        super().__init__(f"{folder}: {reason}")
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Run:
    """A run as recorded in its folder, upgraded to the current format.

    Attributes:
        folder: the run's folder.
        name: its name in tables and messages: the path below the folder that was searched.
        summary: the content of summary.json.
        config: the content of config.yaml, nested.
        overridden: the keys that were given on the command line, if the run recorded them.
    """

    folder: Path
    name: str
    summary: dict[str, Any]
    config: dict[str, Any]
    overridden: frozenset[str]

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The config by dotted key ("data.fraction" → 0.1).

        The run's name and output folder are left out, and so are keys that were added later with their default, so
        that earlier and later runs don't differ in them.
        """
        return {key: value for key, value in flatten(self.config).items()
                if key not in NOT_THE_EXPERIMENT and not is_later_default(key, value)}  # fmt: skip

    @property
    def status(self) -> str:
        """`running`, `completed`, `interrupted`, `diverged`, `failed` or `pruned`."""
        return str(self.summary["status"])

    @property
    def task(self) -> str:
        """The name of its task."""
        return str(self.summary["task"])

    @property
    def imported(self) -> bool:
        """Whether it holds predictions of another tool or of several runs, and no network."""
        return bool(self.summary.get("imported") or self.summary.get("ensemble"))

    @property
    def model(self) -> str:
        """The value of `model=`."""
        return str(self.summary.get("model"))

    @property
    def mode(self) -> str:
        """The value of `mode=`."""
        return str(self.summary.get("mode"))

    @property
    def data(self) -> str:
        """The name of its dataset; for the user's own images, that of their folder or file."""
        path = self.settings.get("data.path")
        return Path(path).name if path else str(self.summary.get("data"))

    @property
    def seed(self) -> int:
        """The seed of the run's random numbers."""
        return int(self.settings.get("seed", 0))

    @property
    def repeat(self) -> tuple[Any, ...]:
        """The values of the seeds, which identify this repeat of its experiment."""
        return tuple(self.settings.get(key) for key in SEED_KEYS)

    @property
    def classes(self) -> list[str]:
        """The names of the classes, in the order of the outputs."""
        return list(self.summary["classes"])

    @property
    def channels(self) -> int:
        """The number of channels of the images, such as 1 or 3."""
        return int(self.summary["channels"])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels that the network resizes images to."""
        size = self.summary["image_size"]
        height, width = size if isinstance(size, list) else (size, size)
        return int(height), int(width)

    @property
    def notes(self) -> list[str]:
        """Notes for the user: how an earlier format was read, and that the run isn't completed."""
        notes = [f"{self.folder}: {note}" for note in self.summary.get("upgrade_notes", [])]
        if self.status != "completed":
            epochs, planned = self.summary.get("epochs", 0), self.settings.get("trainer.epochs", "?")
            of = "" if self.settings.get("trainer.minutes") else f" of {planned}"
            notes.append(
                f"{self.folder}: status {self.status} after {epochs}{of} epochs; the best epoch so far is used"
            )
        return notes

    @cached_property
    def splits(self) -> dict[str, list[str]] | None:
        """The names of the samples in each split ("train", "val" and "test"), or None if the run didn't record them.

        Raises `UserError` if the file can't be read.
        """
        path = self.folder / SPLITS
        if not path.exists():
            return None
        try:
            content = json.loads(regular(path).read_text(encoding="utf-8"))
            return {str(split): [str(name) for name in names] for split, names in content.items()}
        except (OSError, ValueError, AttributeError, TypeError, RecursionError):
            raise UserError(f"{path} can't be read as JSON: restore or remove it") from None

    @cached_property
    def benchmark(self) -> Benchmark | None:
        """What `cvlib benchmark` measured; None before."""
        return read(self.folder)

    @cached_property
    def corruptions(self) -> Corruptions | None:
        """What `cvlib evaluate --corrupt` measured on the test split; None before."""
        return corruptions.read(self.folder)

    @cached_property
    def metric_specs(self) -> tuple[MetricSpec, ...]:
        """The specs of its task's metrics, the headline metric first."""
        return metric_specs.from_json(self.summary.get("metric_specs"))

    def metric_spec(self, name: str) -> MetricSpec:
        """Return the spec of a metric such as test/accuracy."""
        return metric_specs.spec_of(name, self.metric_specs)

    @property
    def headline(self) -> str:
        """The main metric of its task, such as test/accuracy."""
        return metric_specs.headline(self.summary)

    def metric(self, name: str, last: bool = False) -> float | None:
        """Return a metric of the best (or the last) epoch; None if it is missing or not finite."""
        value = (self.summary.get("last_metrics" if last else "metrics") or {}).get(name)
        return float(value) if _is_number(value) else None

    def number(self, *path: str) -> float | None:
        """Return a number in the summary, such as `number("timing", "train")`; None if it is missing or not finite."""
        value: Any = self.summary
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return float(value) if _is_number(value) else None

    def require_data(self) -> None:
        """Raise `UserError` unless classes, channels and size are known; a run records them after reading its data."""
        if not all(self.summary.get(key) for key in _DATA_CHECKS):
            raise UserError(f"{self.folder}: this run ({self.status}) stopped before its data was read; run it again")
        for key, is_valid in _DATA_CHECKS.items():
            if not is_valid(value := self.summary[key]):
                raise UserError(
                    f"{self.folder / 'summary.json'}: invalid {key}={str(value)[:_LONGEST]}: restore the file"
                )


def read_run(folder: Path, name: str | None = None) -> Run:
    """Return the run in `folder`, completed or not, in any format; raise `UnreadableRun` if it can't be read."""
    folder = Path(folder)
    if not (folder / "summary.json").exists():
        raise UnreadableRun(folder, "no run is here (no summary.json); `cvlib runs` lists the runs below a folder")
    try:
        summary = json.loads(regular(folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise UnreadableRun(folder, "its summary.json can't be read (half-written?)") from None
    if not _is_summary(summary):
        raise UnreadableRun(folder, "its summary.json is not a run's summary")
    try:
        config = read_config(folder / "config.yaml")
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError):
        raise UnreadableRun(folder, "its config.yaml is missing or can't be read") from None
    try:
        summary, config = upgrade(summary, config)
    except UserError as error:
        raise UnreadableRun(folder, str(error)) from None
    return Run(folder, name or folder.resolve().name, settled(folder, summary), config, overridden(folder))


def _is_summary(content: Any) -> bool:
    if not isinstance(content, dict) or not isinstance(content.get("status"), str):
        return False
    tables = (content.get("metrics"), content.get("last_metrics"), content.get("versions"))
    return isinstance(content.get("task"), str) and all(table is None or isinstance(table, dict) for table in tables)


def _is_side(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_number(value: Any) -> TypeGuard[float]:
    if isinstance(value, int):  # an integer with hundreds of digits is too large for a float
        return not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, float) and math.isfinite(value)
