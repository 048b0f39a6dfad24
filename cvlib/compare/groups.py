"""What runs have in common: sections that can be compared, groups over seeds, and the settings that differ."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from cvlib.compare.runs import SEED_KEYS, Run
from cvlib.errors import UserError

DEFAULT_METRIC = {"classification": "test/accuracy", "detection": "test/mAP", "segmentation": "test/mIoU"}
_DATASET_KEYS = ("data.name", "data.path", "data.classes")


@dataclass(frozen=True, eq=False)
class Group:
    """Runs of one experiment that differ in their seeds alone, or a single run."""

    label: str
    settings: dict[str, Any]  # of the keys that differ in the section
    runs: list[Run]

    def values(self, metric: str) -> list[float]:
        """The metric of each run."""
        return [value for run in self.runs if (value := run.metric(metric)) is not None]


@dataclass(frozen=True, eq=False)
class Section:
    """Runs whose results can be held against each other: one task, one dataset, one metric."""

    title: str
    metric: str
    keys: list[str]  # the settings worth a column
    groups: list[Group]  # best first; completed runs with the metric alone
    others: list[Run]  # not completed
    remarks: list[str]
    by_run: bool

    @property
    def runs(self) -> list[Run]:
        """Every run that counts."""
        return [run for group in self.groups for run in group.runs]


def lower_is_better(metric: str) -> bool:
    """Whether a metric is a loss."""
    return metric.endswith("loss")


def sections(runs: list[Run], by: str | None, metric: str | None) -> list[Section]:
    """The runs by task and dataset, each section with its metric and its groups, best first.

    `by` is run, group, or None: group where an experiment has several seeds. Raises `UserError` for a metric
    that no run has.
    """
    apart: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        key = (run.summary["task"], *(run.config.get(key) for key in _DATASET_KEYS))
        apart.setdefault(key, []).append(run)
    _refuse_unknown(metric, runs)
    return [_section(key[0], members, by, metric) for key, members in apart.items()]


def _refuse_unknown(metric: str | None, runs: list[Run]) -> None:
    known = sorted({name for run in runs for name in run.summary.get("metrics") or {}})
    if metric is None or metric in known or not known:
        return
    close = difflib.get_close_matches(metric, known, n=1) or [name for name in known if name.endswith("/" + metric)]
    hint = f"did you mean {close[0]}? " if close else ""
    raise UserError(f"--metric {metric}: no run has it; {hint}there are {', '.join(known)}")


def _section(task: str, runs: list[Run], by: str | None, asked: str | None) -> Section:
    remarks: list[str] = []
    completed = [run for run in runs if run.status == "completed"]
    metric = _choose_metric(task, completed, asked, remarks.append)
    counted = [run for run in completed if run.metric(metric) is not None]
    if len(counted) < len(completed):
        lacking = [run.name for run in completed if run.metric(metric) is None]
        remarks.append(f"left out, without a finite {metric}: {listed(lacking)}")
    counted = _newest_of_each(counted, remarks.append) if by != "run" else counted
    keys = shown_keys(counted, by == "run")
    by_run = by == "run" or (by is None and len(_by_experiment(counted)) == len(counted))
    groups = _each(counted, keys) if by_run else _grouped(counted, keys)
    sign = 1 if lower_is_better(metric) else -1
    groups.sort(key=lambda group: sign * _mean(group.values(metric)))
    others = [run for run in runs if run.status != "completed"]
    title = f"{task} on {runs[0].config.get('data.name', 'unnamed data')}"
    return Section(title, metric, keys, groups, others, remarks, by_run)


def _choose_metric(task: str, runs: list[Run], asked: str | None, remark: Callable[[str], None]) -> str:
    known = sorted({name for run in runs for name in run.summary.get("metrics") or {} if run.metric(name) is not None})
    usual = DEFAULT_METRIC.get(task, "test/accuracy")
    wanted = asked or usual
    if wanted in known or not known:
        return wanted
    near = [usual, usual.replace("test/", "val/"), *(name for name in known if not lower_is_better(name)), *known]
    chosen = next(name for name in near if name in known)
    remark(f"no run here has {wanted}: compared by {chosen}")
    return chosen


def _newest_of_each(runs: list[Run], remark: Callable[[str], None]) -> list[Run]:
    """A run repeated with the same config and seed is no further evidence, so only its newest one counts."""
    keys = differing_keys(runs)
    newest: dict[Any, Run] = {}
    for run in sorted(runs, key=lambda run: str(run.summary.get("started", ""))):
        newest[tuple(run.config.get(key) for key in keys)] = run
    kept = set(map(id, newest.values()))
    repeats = [run.name for run in runs if id(run) not in kept]
    if repeats:
        remark(f"left out, repeated later with the same config and seed: {listed(repeats)}")
    return [run for run in runs if id(run) in kept]


def _by_experiment(runs: list[Run]) -> dict[Any, list[Run]]:
    keys = [key for key in differing_keys(runs) if key not in SEED_KEYS]
    alike: dict[Any, list[Run]] = {}
    for run in runs:
        alike.setdefault(tuple(run.config.get(key) for key in keys), []).append(run)
    return alike


def _each(runs: list[Run], keys: list[str]) -> list[Group]:
    """A group for every run, named by its settings where these tell the runs apart."""
    labels = [label(run, keys) for run in runs]
    if len(set(labels)) < len(labels):
        labels = [run.name for run in runs]
    return [Group(name, settings(run, keys), [run]) for name, run in zip(labels, runs, strict=True)]


def _grouped(runs: list[Run], keys: list[str]) -> list[Group]:
    groups = list(_by_experiment(runs).values())
    return [Group(label(members[0], keys), settings(members[0], keys), members) for members in groups]


def differing_keys(runs: list[Run]) -> list[str]:
    """The keys whose values differ between the configs, in the order of the config; a missing key is None."""
    keys = dict.fromkeys(key for run in runs for key in run.config)
    return [key for key in keys if len({run.config.get(key) for run in runs}) > 1]


def shown_keys(runs: list[Run], seeds: bool = False) -> list[str]:
    """Of the differing keys those worth a column: not what merely follows from a choice such as model=resnet.

    A key follows when nobody gave it on the command line and it has one value for each choice of a `.name`.
    """
    keys = [key for key in differing_keys(runs) if seeds or key not in SEED_KEYS]
    choices = [key for key in keys if key.endswith(".name")]
    given = {key for run in runs for key in run.overridden}
    recorded = any(run.overridden for run in runs)

    def follows(key: str) -> bool:
        near = choices if recorded else [choice for choice in choices if choice.split(".")[0] == key.split(".")[0]]
        return key not in given and any(_decides(runs, choice, key) for choice in near)

    return choices + [key for key in keys if key not in choices and not follows(key)]


def _decides(runs: list[Run], choice: str, key: str) -> bool:
    values: dict[Any, set[Any]] = {}
    for run in runs:
        values.setdefault(run.config.get(choice), set()).add(run.config.get(key))
    return all(len(found) == 1 for found in values.values())


def settings(run: Run, keys: list[str]) -> dict[str, Any]:
    """The run's values of `keys`."""
    return {key: run.config.get(key) for key in keys}


def label(run: Run, keys: list[str]) -> str:
    """What sets the run's group apart: `resnet finetune data.fraction=0.1`."""
    if not keys:
        named = [run.summary.get(key) for key in ("model", "mode")]
        return " ".join(str(name) for name in named if name) or run.name
    return " ".join(spoken(key, run.config.get(key)) for key in keys)


def spoken(key: str, value: Any) -> str:
    """A setting in words: a choice by its name, all else as an override."""
    return str(value) if key.endswith(".name") else f"{key}={plain(value)}"


def plain(value: Any) -> str:
    """A config's value as YAML users write it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple):
        return "[" + ",".join(map(plain, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def listed(names: Iterable[Any], most: int = 3) -> str:
    """`a, b, c and 4 more`."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
