"""Runs that exist only in memory, compared by `cvlib.compare` as if they had been trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from cvlib.compare import runs as run_files
from cvlib.compare import statistics, tables, verdict
from cvlib.compare.groups import Section, sections
from cvlib.compare.verdict import Comparison
from cvlib.runs import metric_specs
from cvlib.runs.metric_specs import MetricSpec
from cvlib.runs.run import Run
from cvlib.viz import text_table

SHARED, SPLITS, FOLDS = "shared split", "split per seed", "folds"
ACCURACY = MetricSpec("accuracy")
_LEVEL = 0.05
_FURTHER = ("plain claims %", "plain power %", "difference covered %", "group covered %")
_PAIRS = [(str(number), "") for number in range(20_000)]


@dataclass(frozen=True)
class Repeat:
    """What one seed, split or fold is trained and tested on."""

    tested: np.ndarray  # int (samples,): numbers of the test images, ascending
    trained: int  # number of training images


@dataclass(frozen=True)
class Contest:
    """Groups that were trained and tested in the same repeats.

    Attributes:
        design: SHARED, SPLITS or FOLDS.
        repeats: one for each seed, split or fold.
        values: by group and repeat, the contributions of the test images to the metric, `(samples,)`.
        spec: the metric.
    """

    design: str
    repeats: list[Repeat]
    values: list[list[np.ndarray]]
    spec: MetricSpec = ACCURACY

    @cached_property
    def means(self) -> np.ndarray:
        """The metric of each group and repeat, `(groups, repeats)`."""
        return np.array([[values.mean() for values in members] for members in self.values])

    @cached_property
    def section(self) -> Section:
        """The section that `cvlib compare` would show."""
        tested = {id(one): tuple(_PAIRS[number] for number in one.tested.tolist()) for one in self.repeats}
        made = []
        for group, members in enumerate(self.values):
            for number, (repeat, values) in enumerate(zip(self.repeats, members, strict=True)):
                run = self._run(group, number, repeat)
                run_files.provide(run, f"test/{self.spec.name}", (tested[id(repeat)], tuple(values.tolist())))
                made.append(run)
        return sections(made, "group", None)[0]

    def _run(self, group: int, number: int, repeat: Repeat) -> Run:
        metric = float(self.means[group, number])
        split = number if self.design == SPLITS else 0
        config = {"model": {"name": f"recipe{group}"}, "seed": 0 if self.design == FOLDS else number,
                  "data": {"split_seed": split, "fold": number if self.design == FOLDS else 0}}  # fmt: skip
        summary = {"status": "completed", "task": "simulated", "model": f"recipe{group}",
                   "metric_specs": _described(self.spec), "metrics": {f"test/{self.spec.name}": metric},
                   "samples": {"train": repeat.trained, "test": len(repeat.tested)}}  # fmt: skip
        return Run(Path("-"), f"recipe{group}-{number}", summary, config, frozenset())

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """The comparisons of the leader with the other groups.

        With several seeds, the p-value of these networks and the number of seeds needed don't decide anything and
        take long, so they are left out.
        """
        with ExitStack() as stack:
            if len(self.repeats) > 1:
                stack.enter_context(patch.object(statistics, "sign_flip", lambda differences: float("nan")))
                stack.enter_context(patch.object(statistics, "seeds_needed", lambda first, second: None))
            return verdict.comparisons(self.section)

    @property
    def leader(self) -> int:
        """The number of the best group."""
        return _number(self.section.groups[0].runs[0])

    @property
    def claims(self) -> bool:
        """Whether the verdict says that the leader beats another group; with one seed, that the networks differ."""
        one_seed = len(self.repeats) == 1
        return any(one.is_significant if one_seed else one.has_winner for one in self.comparisons)

    @property
    def mean(self) -> float:
        """The mean metric over all groups and repeats."""
        return float(self.means.mean())

    @property
    def lead(self) -> float:
        """The observed difference between group 0 and group 1."""
        return float(self.means[0].mean() - self.means[1].mean())

    def difference(self) -> tuple[float, float]:
        """Return the interval of the difference between group 0 and group 1, of two groups."""
        estimate = self.comparisons[0].estimate
        return (estimate.low, estimate.high) if self.leader == 0 else (-estimate.high, -estimate.low)

    def intervals(self) -> list[tuple[float, float]]:
        """Return the interval of each group's metric, best group first, as in the table of `cvlib compare`."""
        rows = [tables.record(self.section, group, None) for group in self.section.groups]
        return [(row["ci95_low"], row["ci95_high"]) for row in rows]

    def plain_winner(self) -> bool:
        """Return whether a t-test over seeds claims a winner: Welch's, or the paired one if every repeat has a split.

        It takes the test images as fixed, or the splits as independent, as is often done.
        """
        lead, *others = self.means[np.argsort(-self.means.mean(axis=1), kind="stable")]
        p = [_plain_p(self.design, lead, other) for other in others]
        return min(statistics.holm(p, len(self.means) * len(others) // 2)) < _LEVEL


def _plain_p(design: str, first: np.ndarray, second: np.ndarray) -> float:
    if design == SHARED:
        return statistics.welch(list(first), list(second)).p
    from scipy.special import stdtr

    gains = first - second
    error = float(gains.std(ddof=1)) / len(gains) ** 0.5
    return 2 * float(stdtr(len(gains) - 1, -abs(float(gains.mean())) / error)) if error else 1.0


@cache
def _described(spec: MetricSpec) -> list[dict[str, Any]]:
    return metric_specs.to_json([spec])


def _number(run: Run) -> int:
    return int(run.model.removeprefix("recipe"))


def rates(
    null: Sequence[Contest], led: Sequence[Contest], leads: Sequence[float] | None = None,
    truths: Sequence[float] | None = None,
) -> dict[str, str]:  # fmt: skip
    """Return the results of a row of the table.

    With one seed, a claim is about networks, otherwise about recipes.

    Args:
        null: contests of groups that don't differ.
        led: contests in which group 0 is better.
        leads: the true lead of group 0 in each of `led`; None for the mean lead.
        truths: the true metric of the groups in each of `null`; None for the mean metric.
    """
    row = {"claims %": _percent([one.claims for one in null]),
           "power %": _percent([one.claims and one.leader == 0 for one in led], 0)}  # fmt: skip
    if len(null[0].repeats) == 1:
        return row | dict.fromkeys(_FURTHER, "–")
    leads = leads or [float(np.mean([one.lead for one in led]))] * len(led)
    truths = truths or [float(np.mean([one.mean for one in null]))] * len(null)
    differences = [low <= lead <= high for lead, (low, high) in zip(leads, map(Contest.difference, led), strict=True)]
    groups = [low <= truth <= high for truth, one in zip(truths, null, strict=True) for low, high in one.intervals()]
    results = (_percent([one.plain_winner() for one in null]), _percent([one.plain_winner() for one in led], 0),
               _percent(differences) if len(null[0].values) == 2 else "–", _percent(groups))  # fmt: skip
    return row | dict(zip(_FURTHER, results, strict=True))


def write(file: Path, command: str, rows: Iterable[dict[str, str]], notes: str) -> None:
    """Write the table after each row, so that an interrupted command leaves the rows that are done."""
    done: list[dict[str, str]] = []
    for row in rows:
        done.append(row)
        print(" · ".join(row.values()), flush=True)
        file.write_text("\n".join([f"Generated by `{command}`.", "", *text_table.markdown(done), "", notes]))


def _percent(found: Sequence[bool], digits: int = 1) -> str:
    return f"{100 * float(np.mean(found)):.{digits}f}"
