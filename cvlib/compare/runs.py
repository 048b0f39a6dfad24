"""Finding and reading the folders of runs; only reads, and trusts nothing that it finds."""

from __future__ import annotations

import csv
import json
import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeGuard

import yaml

from cvlib.runs.flatten import flatten
from cvlib.runs.record import overridden, process_is_gone
from cvlib.runtime.errors import UserError

SEED_KEYS = ("seed", "data.split_seed")  # repeats of one experiment differ in these
_NOT_THE_EXPERIMENT = ("name", "output_root")
_PRETRAINED = "pretrained"  # where runs keep the networks that they start from


@dataclass(frozen=True, eq=False)
class Run:
    """One run's folder: what it was asked (`config`, flat: "data.fraction" → 0.1) and what it says of itself."""

    folder: Path
    name: str
    summary: dict[str, Any]
    config: dict[str, Any]
    overridden: frozenset[str]  # the keys given on the command line, where the run recorded them
    status: str

    @property
    def repeat(self) -> tuple[Any, ...]:
        """Which repeat of its experiment this is: the values of the seeds."""
        return tuple(self.config.get(key) for key in SEED_KEYS)

    def metric(self, name: str, last: bool = False) -> float | None:
        """A metric of the best (or the last) epoch; None where the run has no finite one."""
        value = (self.summary.get("last_metrics" if last else "metrics") or {}).get(name)
        return float(value) if _is_number(value) else None

    def number(self, *path: str) -> float | None:
        """A number in the summary, such as `number("timing", "train")`; None where there is none."""
        value: Any = self.summary
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return float(value) if _is_number(value) else None


def find(folders: list[Path], say: Callable[[str], None]) -> list[Run]:
    """Every run below `folders`, in order of path; what is no whole run is skipped with a word to `say`.

    Raises `UserError` for a folder that doesn't exist, and where there is no run at all.
    """
    runs: dict[Path, Run] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder: give folders that hold runs, such as outputs/runs")
        before = len(runs)
        for path, name in _candidates(folder, say):
            run = _read(path, name, say)
            if run is not None:
                runs.setdefault(path.resolve(), run)
        if len(runs) == before and len(folders) > 1:
            say(f"{folder}: no further runs in it")
    if not runs:
        raise UserError(f"no runs below {', '.join(map(str, folders))}: a run is a folder with a summary.json")
    return list(runs.values())


def _candidates(root: Path, say: Callable[[str], None]) -> Iterator[tuple[Path, str]]:
    pending, pretrained, seen = [str(root)], 0, set()
    while pending:
        folder = pending.pop()
        if (real := os.path.realpath(folder)) in seen:  # a link that leads back
            continue
        seen.add(real)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            say(f"{folder}: skipped, {error.strerror}")
            continue
        if any(entry.name == "summary.json" for entry in entries):
            yield Path(folder), os.path.relpath(folder, root) if folder != str(root) else root.resolve().name
            continue
        below = [entry for entry in entries if entry.is_dir()]
        pretrained += sum(entry.name == _PRETRAINED for entry in below)
        pending += [entry.path for entry in reversed(below) if entry.name != _PRETRAINED]
    if pretrained:
        say(f"{root}: pretraining runs left out; name their folder to compare them")


def _read(folder: Path, name: str, say: Callable[[str], None]) -> Run | None:
    try:
        summary = json.loads(_regular(folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        say(f"{folder}: skipped, its summary.json can't be read (half-written?)")
        return None
    if not _is_summary(summary):
        say(f"{folder}: skipped, its summary.json is not a run's")
        return None
    try:
        config = flatten(_load_yaml(_regular(folder / "config.yaml").read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, AttributeError):
        say(f"{folder}: skipped, its config.yaml is missing or can't be read")
        return None
    status = summary["status"]
    if status == "running" and process_is_gone(summary):
        status = "interrupted"
    config = {key: value for key, value in config.items() if key not in _NOT_THE_EXPERIMENT}
    return Run(folder, name, summary, config, overridden(folder), status)


def _regular(path: Path) -> Path:
    """The path; raises `OSError` where it is no regular file, for a pipe or a device might never end."""
    if not path.is_file():
        raise OSError(f"{path} is no regular file")
    return path


def _is_summary(content: Any) -> bool:
    if not isinstance(content, dict) or not isinstance(content.get("status"), str):
        return False
    tables = (content.get("metrics"), content.get("last_metrics"), content.get("versions"))
    return isinstance(content.get("task"), str) and all(table is None or isinstance(table, dict) for table in tables)


def _load_yaml(text: str) -> Any:
    """The YAML document, block by block: the runs of a sweep share most blocks, so most are parsed once."""
    try:
        merged: dict[str, Any] = {}
        for block in re.split(r"^(?=[A-Za-z_])", text, flags=re.MULTILINE):
            merged.update(_load_block(block) or {})
        return merged
    except (yaml.YAMLError, ValueError, TypeError):
        return yaml.load(text, _yaml_loader())


@lru_cache(maxsize=4096)
def _load_block(text: str) -> Any:
    return yaml.load(text, _yaml_loader())


def _yaml_loader() -> Any:
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # written in C it takes a tenth of the time


# Measures of all test samples together → the column of test_results.csv that stands for them, of each sample:
SHARES = {"test/mIoU": "mIoU_share"}  # its share, whose mean is the measure
OWN_MEASURES = dict.fromkeys(("test/mAP", "test/mAP50"), "average_precision50")  # a measure of its own


def sample_values(run: Run, metric: str) -> tuple[tuple[tuple[str, str], ...], tuple[float, ...]] | None:
    """Who was tested, as sorted (name, truth), and what each got; None where the run can't tell.

    test/accuracy: 1 for a right prediction, else 0. Any other test metric: its column in `SHARES` or `OWN_MEASURES`,
    or the one of its own name.
    """
    if not metric.startswith("test/"):
        return None
    column = (SHARES | OWN_MEASURES).get(metric, metric.removeprefix("test/"))
    try:
        with _regular(run.folder / "test_results.csv").open(newline="", encoding="utf-8") as file:
            rows = csv.reader(file)
            header = next(rows)
            name, truth = header.index("name"), header.index("truth") if "truth" in header else None
            value = header.index("prediction" if column == "accuracy" else column)
            pairs = [((row[name], row[truth] if truth is not None and column == "accuracy" else ""), row[value])
                     for row in rows]  # fmt: skip
        right = column == "accuracy"
        scored = sorted((who, float(who[1] == got) if right else float(got)) for who, got in pairs)
    except (OSError, ValueError, IndexError, StopIteration, csv.Error):
        return None
    names = {who[0] for who, _ in scored}
    if not scored or len(names) < len(scored):
        return None
    return tuple(who for who, _ in scored), tuple(value for _, value in scored)


def epochs(run: Run) -> list[dict[str, float]]:
    """The rows of metrics.csv, as far as they hold numbers; none where the file can't be read."""
    try:
        with _regular(run.folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
            return [{key: number for key, text in row.items() if (number := _number(text)) is not None}
                    for row in csv.DictReader(file)]  # fmt: skip
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def _number(text: Any) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _is_number(value: Any) -> TypeGuard[float]:
    if isinstance(value, int):  # one of a few hundred digits is too large for a float
        return not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, float) and math.isfinite(value)
