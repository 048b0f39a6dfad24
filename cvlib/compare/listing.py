"""`cvlib runs`: one row for each run, with its status, its main metric, its age and its size on disk."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cvlib.compare.runs import find
from cvlib.runs.run import Run
from cvlib.runtime.clock import ago
from cvlib.runtime.errors import UserError
from cvlib.runtime.files import size_text
from cvlib.viz.text_table import ruled

STATUSES = ("completed", "running", "interrupted", "failed", "diverged", "pruned")
_TEXT = ("name", "status", "model", "mode", "data")
_NUMBERS = ("seed", "epochs", "age", "size")
Entry = dict[str, Any]


def listing(
    folders: Sequence[Path], say: Callable[[str], None], statuses: Sequence[str] = (), sort: str | None = None,
    form: str = "table",
) -> str:  # fmt: skip
    """Return the runs below `folders` as a table or as JSON; the newest run is the first.

    Args:
        folders: the folders that hold the runs, at any depth.
        say: receives a note for each run that can't be read.
        statuses: only runs with one of these statuses; empty: all.
        sort: a column, or a metric such as test/accuracy, whose best value is then the first.
        form: "table" or "json".

    Raises `UserError` for a folder without runs, and for a column or a metric that no run has.
    """
    runs = [run for run in find(list(folders), say) if not statuses or run.status in statuses]
    entries = _sorted([(run, _entry(run)) for run in runs], sort)
    if form == "json":
        return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"
    if not entries:
        return f"no run has the status {' or '.join(statuses)}\n"
    metric = sort if sort not in (None, *_TEXT, *_NUMBERS) else None
    total = size_text(sum(entry["size"] for entry in entries))
    return "\n".join(ruled([_row(entry, metric) for entry in entries])) + f"\n\n{_counted(entries)}, {total}\n"


def _entry(run: Run) -> Entry:
    return {
        "name": run.name, "folder": str(run.folder), "status": run.status, "task": run.task, "model": run.model,
        "mode": run.mode, "data": str(run.summary.get("data")), "seed": run.seed,
        "metric": _main_metric(run), "metrics": {name: run.metric(name) for name in run.summary.get("metrics") or {}},
        "epochs": run.summary.get("epochs"), "started": run.summary.get("started"), "age": _age(run),
        "size": _bytes_below(run.folder), "error": run.summary.get("error"),
    }  # fmt: skip


def _main_metric(run: Run) -> str | None:
    """Return the task's main metric on test; an unfinished run has it only on validation."""
    names = (run.headline, run.headline.replace("test/", "val/", 1))
    return next((name for name in names if run.metric(name) is not None), None)


def _age(run: Run) -> float | None:
    """Return the seconds since the run was started, or None if that isn't known."""
    try:
        return max(time.time() - datetime.fromisoformat(str(run.summary.get("started"))).timestamp(), 0.0)
    except (ValueError, OverflowError):
        return None


def _bytes_below(folder: Path) -> int:
    """Return the size of all files in the folder; a file that disappears meanwhile counts as empty."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(root, name).lstat().st_size
            except OSError:
                continue
    return total


def _sorted(found: list[tuple[Run, Entry]], sort: str | None) -> list[Entry]:
    """Return the entries in the chosen order; those without a value are the last."""
    key = sort or "age"
    if key in _TEXT:
        return [entry for _, entry in sorted(found, key=lambda pair: str(pair[1][key]))]
    descending = key == "size"
    if key not in _NUMBERS:
        named = [run for run, entry in found if entry["metrics"].get(key) is not None]
        if found and not named:
            metrics = dict.fromkeys(name for _, entry in found for name in entry["metrics"])
            raise UserError(f"--sort {key}: expected one of {', '.join([*_TEXT, *_NUMBERS, *metrics])}")
        descending = bool(named) and named[0].metric_spec(key).higher_is_better

    def value(pair: tuple[Run, Entry]) -> tuple[bool, float]:
        number = pair[1][key] if key in _NUMBERS else pair[1]["metrics"].get(key)
        return number is None, 0.0 if number is None else -number if descending else number

    return [entry for _, entry in sorted(found, key=value)]


def _row(entry: Entry, metric: str | None) -> dict[str, str]:
    """Return the cells of a run; `metric` replaces the main metric."""
    name = metric or entry["metric"]
    value = entry["metrics"].get(name)
    return {
        "run": entry["name"], "status": entry["status"], "model": entry["model"], "mode": entry["mode"],
        "data": entry["data"], "seed": str(entry["seed"]),
        "metric": "–" if value is None else f"{name} {value:.4f}", "epochs": str(entry["epochs"]),
        "started": "–" if entry["age"] is None else ago(entry["age"]), "size": size_text(entry["size"]),
    }  # fmt: skip


def _counted(entries: list[Entry]) -> str:
    counts = {status: sum(entry["status"] == status for entry in entries) for status in STATUSES}
    named = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    return f"{len(entries)} run{'s' * (len(entries) != 1)}: {named}"
