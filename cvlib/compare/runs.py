"""Find run folders and read their tables. Nothing is written, and damaged files are skipped."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from cvlib.runs.config_file import regular
from cvlib.runs.run import Run, UnreadableRun, read_run
from cvlib.runtime.errors import UserError

Samples = tuple[tuple[tuple[str, str], ...], tuple[float, ...]]  # (name, truth) of each sample, and its value
_KNOWN: WeakKeyDictionary[Run, dict[str, Samples | None]] = WeakKeyDictionary()  # each file is read only once
_PRETRAINED = "pretrained"  # the folder where runs keep the pretrained networks that they start from


def find(folders: list[Path], say: Callable[[str], None]) -> list[Run]:
    """Return every run below `folders`, in order of path; unreadable runs are skipped and reported to `say`.

    Raises `UserError` if a folder doesn't exist or if there are no runs.
    """
    runs: dict[Path, Run] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder: give folders that hold runs, such as outputs/runs")
        before = len(runs)
        for path, name in _candidates(folder, say):
            run = _read(path, name, say)
            if run is not None:
                runs.setdefault(path.resolve(), run)
        if len(runs) == before and len(folders) > 1:
            say(f"{folder}: no further runs in this folder")
    if not runs:
        raise UserError(f"no runs below {', '.join(map(str, folders))}: a run is a folder with a summary.json")
    return list(runs.values())


def _candidates(root: Path, say: Callable[[str], None]) -> Iterator[tuple[Path, str]]:
    pending, pretrained, seen = [str(root)], 0, set()
    while pending:
        folder = pending.pop()
        if (real := os.path.realpath(folder)) in seen:  # a link to a folder that was already visited
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
        say(f"{root}: pretraining runs are left out; to compare them, give their folder")


def _read(folder: Path, name: str, say: Callable[[str], None]) -> Run | None:
    try:
        return read_run(folder, name)
    except UnreadableRun as unreadable:
        say(f"{folder}: skipped, {unreadable.reason}")
        return None


def sample_values(run: Run, metric: str) -> Samples | None:
    """Return the samples of the metric's split as sorted (name, truth) pairs, and the value of each; None without them.

    The metric's `MetricSpec` defines the value in test_results.csv or, if the run left the test split unread,
    val_results.csv: 1 for a correct and 0 for a wrong prediction, or
    the number in a column. The truth is empty unless predictions are compared with it.
    """
    known = _KNOWN.setdefault(run, {})
    if metric not in known:
        known[metric] = _read_values(run, metric)
    return known[metric]


def provide(run: Run, metric: str, samples: Samples) -> None:
    """Let `sample_values` return these samples instead of reading the run's files, for simulated runs."""
    _KNOWN.setdefault(run, {})[metric] = samples


def _read_values(run: Run, metric: str) -> Samples | None:
    split, spec = metric.split("/")[0], run.metric_spec(metric)
    right = spec.sample == "right"
    try:
        with regular(run.folder / f"{split}_results.csv").open(newline="", encoding="utf-8") as file:
            rows = csv.reader(file)
            header = next(rows)
            name, value = header.index("name"), header.index(spec.sample_column)
            truth = header.index("truth") if right else None
            pairs = [((row[name], row[truth] if truth is not None else ""), row[value]) for row in rows]
        scored = sorted((sample, float(sample[1] == text) if right else float(text)) for sample, text in pairs)
    except (OSError, ValueError, IndexError, StopIteration, csv.Error):
        return None
    names = {sample[0] for sample, _ in scored}
    if not scored or len(names) < len(scored):
        return None
    return tuple(sample for sample, _ in scored), tuple(value for _, value in scored)


def epochs(run: Run) -> list[dict[str, float]]:
    """Return the numbers in the rows of metrics.csv; no rows if the file can't be read."""
    try:
        with regular(run.folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
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
