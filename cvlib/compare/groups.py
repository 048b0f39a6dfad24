"""Sort runs into comparable sections and into groups over seeds, and find the settings that differ."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from cvlib.compare import names
from cvlib.runs.metric_specs import MetricSpec
from cvlib.runs.run import SEED_KEYS, Run
from cvlib.runtime.errors import UserError

FRACTION = "data.fraction"
_DATASET_KEYS = ("data.name", "data.path", "data.tfds", "data.classes")


@dataclass(frozen=True, eq=False)
class Group:
    """Runs of one experiment that differ only in their seeds, or a single run."""

    label: str  # for sentences: the settings, or a number such as #1 if the settings are long
    settings: dict[str, Any]  # values of the keys that differ in the section
    words: dict[str, str]  # the same values as text
    runs: list[Run]
    place: int = 1  # 1 for the best group of the section

    @property
    def numbered(self) -> bool:
        """Whether the label is a number that only the table explains."""
        return self.label.startswith("#")

    @property
    def described(self) -> str:
        """The label, followed by the settings if the label is a number."""
        if not self.numbered:
            return self.label
        return f"{self.label} {self.settings_text(list(self.words)) or self.runs[0].name}"

    def settings_text(self, keys: list[str]) -> str:
        """Return the settings of `keys` as text: a choice as its name, other settings as overrides."""
        return " ".join(word if key.endswith(".name") else f"{key}={word}"
                        for key in keys if (word := self.words[key]))  # fmt: skip

    def values(self, metric: str) -> list[float]:
        """Return the metric of each run that has it."""
        return [value for run in self.runs if (value := run.metric(metric)) is not None]


@dataclass(frozen=True, eq=False)
class Section:
    """Runs whose results can be compared: one task, one dataset, one metric."""

    title: str
    metric: str
    spec: MetricSpec  # of the metric
    keys: list[str]  # the settings that get a column
    # Groups to compare, best first: all groups, or one list for each fraction of the training data. They hold only
    # completed runs that have the metric.
    contests: list[list[Group]]
    others: list[Run]  # not completed
    remarks: list[str]
    by_run: bool

    @property
    def groups(self) -> list[Group]:
        """The groups of all contests."""
        return [group for contest in self.contests for group in contest]

    def fraction(self, group: Group) -> str:
        """Return the training-data fraction of the group's contest as text; empty if there is only one contest."""
        return plain(group.settings[FRACTION]) if len(self.contests) > 1 else ""

    def label_of(self, group: Group) -> str:
        """Return the group's label within its contest."""
        if len(self.contests) < 2 or group.numbered:
            return group.label
        return self._settings_text(group)

    def described(self, group: Group) -> str:
        """Return the group's label within its contest, followed by the settings if the label is a number."""
        return f"{group.label} {self._settings_text(group)}" if group.numbered else self.label_of(group)

    def legend(self, groups: list[Group]) -> list[str]:
        """Return a text for each of `groups` that leaves out the fraction and the settings that are all the same."""
        apart = [FRACTION] if len(self.contests) > 1 else []
        keys = [key for key in self.keys if key not in apart and len({group.words[key] for group in groups}) > 1]
        texts = [group.settings_text(keys) for group in groups]
        if len(set(texts)) < len(texts) or not all(texts):
            return [self.described(group) for group in groups]
        return [f"{group.label} {text}" if group.numbered else text for group, text in zip(groups, texts, strict=True)]

    def _settings_text(self, group: Group) -> str:
        """Return the group's settings, or its first run's name; with several contests, omit the fraction."""
        keys = [key for key in self.keys if key != FRACTION or len(self.contests) < 2]
        return group.settings_text(keys) or group.runs[0].name

    @property
    def runs(self) -> list[Run]:
        """The runs of all groups."""
        return [run for group in self.groups for run in group.runs]


def sections(runs: list[Run], by: str | None, metric: str | None) -> list[Section]:
    """Return one section for each task and dataset, with its metric and its groups, best first.

    `by` is "run", "group", or None: "group" if an experiment has several seeds, else "run". Raises `UserError` if no
    run has the metric.
    """
    apart: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        key = (run.task, *(run.settings.get(key) for key in _DATASET_KEYS))
        apart.setdefault(key, []).append(run)
    _refuse_unknown(metric, runs)
    return [_section(title, members, by, metric) for title, members in zip(_titles(apart), apart.values(), strict=True)]


def _titles(datasets: Iterable[tuple[Any, ...]]) -> list[str]:
    """Return titles such as `classification on folder …/birds with classes [cat,dog]`."""
    parts = [(f"{task} on {name or 'unnamed data'}", str(path or tfds or ""), "" if classes is None else plain(classes))
             for task, name, path, tfds, classes in datasets]  # fmt: skip
    places, chosen = (names.shortened(part[column] for part in parts) for column in (1, 2))
    return [start + (f" {places[place]}" if place else "") + (f" with classes {chosen[classes]}" if classes else "")
            for start, place, classes in parts]  # fmt: skip


def _refuse_unknown(metric: str | None, runs: list[Run]) -> None:
    known: list[str] = sorted({name for run in runs for name in run.summary.get("metrics") or {}})
    if metric is None or metric in known or not known:
        return
    nearest = [name for name in known if name.endswith("/" + metric)] + difflib.get_close_matches(metric, known)
    hint = f"did you mean {' or '.join(dict.fromkeys(nearest[:3]))}? " if nearest else ""
    raise UserError(f"--metric {metric}: no run has this metric; {hint}--metric list shows all {len(known)}")


def metrics(runs: list[Run]) -> list[dict[str, str]]:
    """Return one row for each task and metric, with the number of the task's runs that have the metric."""
    counts = Counter((run.task, name) for run in runs for name in run.summary.get("metrics") or {})
    return [{"task": task, "metric": name, "runs": str(count)} for (task, name), count in sorted(counts.items())]


def _section(title: str, runs: list[Run], by: str | None, asked: str | None) -> Section:
    remarks: list[str] = []
    completed = [run for run in runs if run.status == "completed"]
    metric = _choose_metric(runs[0], completed, asked, remarks.append)
    spec = runs[0].metric_spec(metric)
    counted = [run for run in completed if run.metric(metric) is not None]
    if len(counted) < len(completed):
        lacking = [run.name for run in completed if run.metric(metric) is None]
        remarks.append(f"left out because {metric} is missing or not finite: {listed(lacking)}")
    counted = _newest_of_each(counted, remarks.append) if by != "run" else counted
    keys = shown_keys(counted, by == "run")
    by_run = by == "run" or (by is None and len(_by_experiment(counted)) == len(counted))
    alike = [[run] for run in counted] if by_run else list(_by_experiment(counted).values())
    apart = not by_run and FRACTION in keys and len(keys) > 1
    sign = -1 if spec.higher_is_better else 1

    def loss(members: list[Run]) -> float:
        return sign * _mean([run.metric(metric) or 0.0 for run in members])

    def by_fraction(members: list[Run]) -> tuple[bool, float]:
        fraction = members[0].settings.get(FRACTION) if apart else None
        return fraction is None, fraction or 0.0

    ranked = sorted(alike, key=loss)
    in_order = sorted(enumerate(ranked, 1), key=lambda placed: by_fraction(placed[1]))
    groups = _named(in_order, keys)
    contests = [list(same) for _, same in groupby(groups, lambda group: group.settings[FRACTION] if apart else None)]
    others = [run for run in runs if run.status != "completed"]
    return Section(title, metric, spec, keys, contests, others, remarks, by_run)


def _choose_metric(first: Run, runs: list[Run], asked: str | None, remark: Callable[[str], None]) -> str:
    known = sorted({name for run in runs for name in run.summary.get("metrics") or {} if run.metric(name) is not None})
    usual = first.headline
    wanted = asked or usual
    if wanted in known or not known:
        return wanted
    higher = (name for name in known if first.metric_spec(name).higher_is_better)
    near = [usual, usual.replace("test/", "val/"), *higher, *known]
    chosen: str = next(name for name in near if name in known)
    remark(f"no run in this comparison has {wanted}, so the runs are compared by {chosen}")
    return chosen


def _newest_of_each(runs: list[Run], remark: Callable[[str], None]) -> list[Run]:
    """Return the newest run of each config and seed, because a repeated run adds no evidence."""
    keys = differing_keys(runs)
    newest: dict[Any, Run] = {}
    for run in sorted(runs, key=lambda run: str(run.summary.get("started", ""))):
        newest[tuple(run.settings.get(key) for key in keys)] = run
    kept = set(map(id, newest.values()))
    repeats = [run.name for run in runs if id(run) not in kept]
    if repeats:
        remark(f"left out because a later run has the same config and seed: {listed(repeats)}")
    return [run for run in runs if id(run) in kept]


def _by_experiment(runs: list[Run]) -> dict[Any, list[Run]]:
    keys = [key for key in differing_keys(runs) if key not in SEED_KEYS]
    alike: dict[Any, list[Run]] = {}
    for run in runs:
        alike.setdefault(tuple(run.settings.get(key) for key in keys), []).append(run)
    return alike


def _named(alike: list[tuple[int, list[Run]]], keys: list[str]) -> list[Group]:
    """Return the groups, given as (place, runs), each with a label.

    Labels are the settings, the runs' names if settings are ambiguous, or the places if labels are too long.
    """
    firsts = [members[0] for _, members in alike]
    short = {key: names.shortened(_word(run, key) for run in firsts) for key in keys}
    groups = [
        Group(_plain_label(run), {key: run.settings.get(key) for key in keys},
              {key: short[key][_word(run, key)] for key in keys}, members, place)
        for run, (place, members) in zip(firsts, alike, strict=True)
    ]  # fmt: skip
    labels = [group.settings_text(keys) or group.label for group in groups]
    if len(set(labels)) < len(labels):
        labels = [run.name for run in firsts]
    if max(map(len, labels), default=0) > names.LONGEST and len(labels) > 1:
        labels = [f"#{group.place}" for group in groups]
    return [replace(group, label=label) for group, label in zip(groups, labels, strict=True)]


def _word(run: Run, key: str) -> str:
    """Return a setting as text; empty for a training setting of imported predictions."""
    return "" if run.imported and key not in run.settings else plain(run.settings.get(key))


def _plain_label(run: Run) -> str:
    named = [run.summary.get(key) for key in ("model", "mode")]
    return " ".join(str(name) for name in named if name) or run.name


def differing_keys(runs: list[Run]) -> list[str]:
    """Return the keys whose values differ between the configs, in config order; a missing key counts as None.

    Imported predictions have no training settings, so a key that they lack doesn't count as different.
    """
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    return [key for key in keys
            if len({run.settings.get(key) for run in runs if key in run.settings or not run.imported}) > 1]  # fmt: skip


def shown_keys(runs: list[Run], seeds: bool = False) -> list[str]:
    """Return the differing keys that get a column, without keys that follow from choices such as model=resnet.

    A key follows from the choices (`….name`) if it was not given on the command line and has one value for each
    combination of them. A choice itself may follow from those on the command line. If the command line was not
    recorded, only the choice of the key's own group counts.
    """
    keys = [key for key in differing_keys(runs) if seeds or key not in SEED_KEYS]
    choices = [key for key in keys if key.endswith(".name")]
    others = [key for key in keys if key not in choices]
    given = {key for run in runs for key in run.overridden}
    if not given:
        return choices + [key for key in others if not _decide(runs, [f"{key.split('.')[0]}.name"], key)]
    if chosen := [key for key in choices if key.removesuffix(".name") in given]:
        choices = [key for key in choices if key in chosen or not _decide(runs, chosen, key)]
    return choices + [key for key in others if key in given or not _decide(runs, choices, key)]


def _decide(runs: list[Run], choices: list[str], key: str) -> bool:
    """Return whether the key has one value for each combination of the choices."""
    values: dict[Any, set[Any]] = {}
    for run in runs:
        values.setdefault(tuple(run.settings.get(choice) for choice in choices), set()).add(run.settings.get(key))
    return all(len(found) == 1 for found in values.values())


def plain(value: Any) -> str:
    """Return a config value as it is written in YAML."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple):
        return "[" + ",".join(map(plain, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def listed(names: Iterable[Any], most: int = 3) -> str:
    """Return `a, b, c and 4 more`."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
