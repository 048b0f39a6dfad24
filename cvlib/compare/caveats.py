"""Warnings about unfair comparisons: different data, budgets, weights or versions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from cvlib.compare import benchmarks, robustness
from cvlib.compare.groups import Section, differing_keys, listed, plain
from cvlib.runs.run import Run

_BUDGET_KEYS = ("trainer.epochs", "trainer.minutes", "trainer.steps_per_epoch")
# Keys to ignore: most don't change the data fingerprint, and the split seed is part of `run.repeat`.
_SAME_IMAGES = {f"data.{key}" for key in (
    "batch_size", "image_size", "resize", "tiles", "tile_overlap", "class_weights", "sampling", "cache", "cache_gb",
    "verify", "split_seed", "pretrain_on", "pretrain_samples", "pretrain_epochs",
)}  # fmt: skip


def warnings(sections: list[Section]) -> Iterator[str]:
    """Yield one line for each difference that makes the comparison unfair."""
    runs = [run for section in sections for run in section.runs]
    for section in sections:
        yield from _data(section.runs)
        yield from _budgets(section.runs)
        yield from _weights(section.runs)
    yield from _versions(runs)
    yield from benchmarks.warnings(runs)
    for section in sections:
        yield from robustness.warnings(section.runs)


def apart(sections: list[Section]) -> str:
    """Return why runs are compared in several sections; empty if there is only one section."""
    kinds = {"tasks": [section.title.split(" on ", 1)[0] for section in sections],
             "datasets": [section.title.split(" on ", 1)[1] for section in sections]}  # fmt: skip
    found = [f"{kind} ({listed(names, 5)})" for kind, all_names in kinds.items()
             if len(names := list(dict.fromkeys(all_names))) > 1]  # fmt: skip
    return f"{len(sections)} separate comparisons: the runs have different {' and '.join(found)}" if found else ""


def _data(runs: list[Run]) -> Iterator[str]:
    """Compare data fingerprints within each repeat, because splits may depend on the seed."""
    keys = [key for key in differing_keys(runs) if key.startswith("data.") and key not in _SAME_IMAGES]
    alike: dict[tuple[Any, ...], dict[str, Run]] = {}
    seen: dict[tuple[Any, ...], set[str]] = {}
    for run in runs:
        if fingerprint := run.summary.get("data_fingerprint"):
            configured = tuple(run.settings.get(key) for key in keys)
            alike.setdefault((run.repeat, configured), {}).setdefault(str(fingerprint), run)
            seen.setdefault(configured, set()).add(str(fingerprint))
    for found in alike.values():
        if len(found) > 1:
            first, second, *_ = found.values()
            changed = "the files" if first.settings.get("data.path") else "the dataset's files or code"
            yield (f"{first.name} and {second.name} used different data, although their configs request the same data: "
                   f"{changed} changed in between")  # fmt: skip
            break
    if any(fingerprints.isdisjoint(next(iter(seen.values()))) for fingerprints in seen.values()):
        yield f"runs used different data, as configured: {_values(runs, keys)}"


def _budgets(runs: list[Run]) -> Iterator[str]:
    keys = [key for key in _BUDGET_KEYS if key in differing_keys(runs)]
    if keys:
        yield f"runs had different budgets: {_values(runs, keys)}"


def _weights(runs: list[Run]) -> Iterator[str]:
    """Compare the sources of weights: without ImageNet weights, a run may have started from other weights."""
    sources: dict[Any, set[str]] = {}
    for run in runs:
        weights = run.summary.get("weights")
        if isinstance(weights, dict) and weights.get("source"):
            configured = (run.settings.get("model.name"), run.settings.get("mode.weights"))
            sources.setdefault(configured, set()).add(str(weights["source"]).split(" (")[0])
    for (model, setting), found in sources.items():
        if len(found) > 1:
            yield f"runs of {model} with mode.weights={setting} started from different weights: {listed(sorted(found))}"


def _versions(runs: list[Run]) -> Iterator[str]:
    names = dict.fromkeys(name for run in runs for name in run.summary.get("versions") or {})
    for name in names:
        found = {str(run.summary["versions"].get(name)) for run in runs if run.summary.get("versions")}
        if len(found) > 1:
            yield f"runs used different versions of {name}: {listed(sorted(found), 5)}"
    commits = {git["commit"][:8] for run in runs if (git := run.summary.get("git")) and isinstance(git, dict)
               and isinstance(git.get("commit"), str)}  # fmt: skip
    if len(commits) > 1:
        yield f"runs used different commits of the code: {listed(sorted(commits), 5)}"


def _order(value: Any) -> tuple[float, str]:
    return (value if isinstance(value, (int, float)) else math.inf, plain(value))


def _values(runs: list[Run], keys: list[str]) -> str:
    texts = []
    for key in keys:
        found = sorted({run.settings.get(key) for run in runs}, key=_order)
        texts.append(f"{key} {listed(map(plain, found), 6)}")
    return "; ".join(texts)
