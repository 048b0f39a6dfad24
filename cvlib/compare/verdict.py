"""Test the leading group against every other group, and state the result in sentences."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from cvlib.compare import splits, statistics
from cvlib.compare.groups import FRACTION, Group, Section
from cvlib.compare.runs import Samples, sample_values
from cvlib.compare.statistics import Estimate
from cvlib.runs.metric_specs import MetricSpec
from cvlib.runs.run import Run

SIGNIFICANT = 0.05
MOST_COMPARED = 12  # groups that are tested against the leader; lower-ranked groups are unlikely to be the best


@dataclass(frozen=True)
class Comparison:
    """The leader against another group; differences are positive if the leader is better.

    `p_networks` is about these trained networks on other images. If a group has several seeds, `estimate.p` is about
    the recipe with other seeds (`over_seeds`); `corrected` is `estimate.p` after Holm's correction.
    """

    leader: Group
    other: Group
    test: str  # name of the test, or why there is no test
    estimate: Estimate
    over_seeds: bool = False
    p_networks: float = math.nan
    wins: int | None = None  # test samples on which the leader is better
    losses: int | None = None
    corrected: float = math.nan
    seeds_needed: int | None = None  # seeds of each group that would settle the observed difference, if known
    in_common: bool = False  # compared in the only repeat that both groups share; at least one group has more repeats

    @property
    def is_significant(self) -> bool:
        """Whether the groups differ: their recipes if a group has several seeds, otherwise only these networks."""
        return self.corrected < SIGNIFICANT and self.estimate.difference > 0

    @property
    def about(self) -> str:
        """What the p-value is about: "recipe" or "networks"."""
        return "recipe" if self.over_seeds else "networks"

    @property
    def has_winner(self) -> bool:
        """Whether the leader's recipe is better."""
        return self.is_significant and self.over_seeds


def comparisons(section: Section) -> list[Comparison]:
    """Compare the leader of each contest with the groups behind it, and correct the p-values over all comparisons.

    The leader is chosen by the same results, so any pair could have been compared. Holm's correction therefore counts
    all pairs of each contest.
    """
    samples = partial(sample_values, metric=section.metric)
    most = max(MOST_COMPARED // max(len(section.contests), 1), 3)
    pairs = [(leader, other) for leader, *others in section.contests for other in others[:most]]
    compared = [_compare(leader, other, section, samples) for leader, other in pairs]
    span = section.spec.high - section.spec.low
    compared = [replace(one, estimate=statistics.within(one.estimate, span)) for one in compared]
    if _tested(section) == "share":  # shares depend on the network's mean, so single images can't be compared
        compared = [replace(one, wins=None, losses=None) for one in compared]
    tested = [index for index, one in enumerate(compared) if not math.isnan(one.estimate.p)]
    corrected = statistics.holm([compared[index].estimate.p for index in tested], _count_pairs(section))
    for index, p in zip(tested, corrected, strict=True):
        compared[index] = replace(compared[index], corrected=p)
    return compared


def _tested(section: Section) -> str | None:
    """Return what the results per sample hold for the section's metric (see `MetricSpec.sample`)."""
    return section.spec.sample if section.metric.startswith(("test/", "val/")) else None


def _count_others(section: Section) -> int:
    return len(section.groups) - len(section.contests)


def _count_pairs(section: Section) -> int:
    return sum(len(contest) * (len(contest) - 1) // 2 for contest in section.contests)


def _compare(leader: Group, other: Group, section: Section, samples: Callable[[Run], Samples | None]) -> Comparison:
    first = {run.repeat: samples(run) for run in leader.runs}
    second = {run.repeat: samples(run) for run in other.runs}
    known = [found for found in (*first.values(), *second.values()) if found is not None]
    if len(known) < len(first) + len(second):
        why = "no results per sample" if section.metric.startswith("test/") else "not a test metric"
        return _unpaired(leader, other, section, why)
    sign = 1.0 if section.spec.higher_is_better else -1.0
    pair = partial(_same_samples, leader, other)
    if all(found[0] == known[0][0] for found in known):
        return pair(*(sign * np.array([found[1] for found in group.values() if found]) for group in (first, second)))
    common = [(a, b) for key, a in first.items() if a and (b := second.get(key)) and a[0] == b[0]]
    if len(common) == 1:
        return replace(pair(*(sign * np.array([found[1]]) for found in common[0])), in_common=True)
    if len(common) > 1:
        differences = [sign * (np.array(a[1]) - np.array(b[1])) for a, b in common]
        return _split_by_split(leader, other, differences, [a[0] for a, _ in common])
    return _unpaired(leader, other, section, "different test samples")


def _same_samples(leader: Group, other: Group, first: np.ndarray, second: np.ndarray) -> Comparison:
    """Compare two groups, each of shape (seeds, samples), if all seeds are tested on the same samples."""
    differences = first.mean(axis=0) - second.mean(axis=0)
    if len(first) == len(second) == 1 and set(np.unique([first, second])) <= {0.0, 1.0}:
        p, test = statistics.mcnemar(first[0], second[0]), "McNemar (mid-p)"
    else:
        p, test = statistics.sign_flip(differences), "paired sign-flip over samples"
    estimate, over_seeds = statistics.samples_only(differences, p), max(len(first), len(second)) > 1
    needed = None
    if over_seeds:
        estimate, test = statistics.seeds_and_samples(first, second), "t over seeds and paired samples"
        needed = statistics.seeds_needed(first, second)
    return Comparison(
        leader, other, test, estimate, over_seeds, p, int((differences > 1e-12).sum()),
        int((differences < -1e-12).sum()), seeds_needed=needed,
    )  # fmt: skip


def _split_by_split(
    leader: Group, other: Group, differences: list[np.ndarray], tested: list[tuple[tuple[str, str], ...]]
) -> Comparison:  # fmt: skip
    """Compare two groups if every repeat has its own test samples, which both groups share."""
    estimate = splits.repeated_splits(differences, tested)
    return Comparison(
        leader, other, "paired t over splits", estimate, True, math.nan,
        sum(int((split > 1e-12).sum()) for split in differences),
        sum(int((split < -1e-12).sum()) for split in differences),
    )  # fmt: skip


def _unpaired(leader: Group, other: Group, section: Section, why: str) -> Comparison:
    sign = 1.0 if section.spec.higher_is_better else -1.0
    first, second = ([sign * value for value in group.values(section.metric)] for group in (leader, other))
    if min(len(first), len(second)) < 2:
        difference = float(np.mean(first) - np.mean(second))
        return Comparison(leader, other, why, Estimate(difference, *[math.nan] * 4))
    estimate = statistics.welch(first, second)
    return Comparison(leader, other, f"Welch's t over seeds ({why})", estimate, True)


def words(section: Section, comparisons: list[Comparison]) -> Iterator[str]:
    """Yield the verdict: a sentence for each comparison with the leader, and the test used."""
    if not section.groups:
        return
    if not comparisons:
        each = f" for each {FRACTION}" if len(section.contests) > 1 else ""
        yield f"only one group{each}: nothing to compare it with"
        return
    for one in comparisons:
        fraction = section.fraction(one.leader)
        yield (f"{FRACTION}={fraction}: " if fraction else "") + _sentence(section, one)
    if (untested := _count_others(section) - len(comparisons)) > 0:
        yield f"lower-ranked groups that were not tested: {untested}"
    if (test := same_test(comparisons)) and not math.isnan(comparisons[0].estimate.p):
        yield f"tested by {test}"
    if _tested(section) == "own" and any(one.wins is not None for one in comparisons):
        own = section.spec.sample_name or section.spec.sample_column
        yield (f"these differences are means of the images' {own}, because {section.metric} is computed over all "
               "images together")  # fmt: skip
    if any(not one.over_seeds and not math.isnan(one.estimate.p) for one in comparisons):
        yield ("with one seed each, p applies only to these trained networks: train several seeds to find the better "
               "recipe")  # fmt: skip


def same_test(comparisons: list[Comparison]) -> str:
    """Return the test that all comparisons used, or an empty string if they differ."""
    return comparisons[0].test if len({one.test for one in comparisons}) == 1 else ""


def _sentence(section: Section, one: Comparison) -> str:
    amount = _amount(one.estimate, section.spec)
    leader, other = section.label_of(one.leader), section.label_of(one.other)
    if math.isnan(one.estimate.p):
        return f"{leader} is {amount} ahead of {other}, not tested: {one.test}, and a group has only one seed"
    p = p_text(one.corrected)
    if one.has_winner:
        return f"{leader} beats {other} by {amount} ({p})"
    if one.is_significant:
        return (f"these networks differ: {leader} is {amount} ahead of {other} ({p}); one seed each doesn't show which "
                "recipe is better")  # fmt: skip
    scale, digits, unit = scaling(section.spec)
    low, high, lead = (scale * value for value in (one.estimate.low, one.estimate.high, one.estimate.difference))
    counted = " after correction" if one.corrected > one.estimate.p + 1e-9 else ""
    between = f"95 % interval {low:.{digits}f} to {high:.{digits}f}, {p}{counted}"
    if lead <= 0:
        return (f"no clear winner yet: {leader} has the better {section.metric}, but {other} is "
                f"{-lead:.{digits}f}{unit} ahead on average over the images ({between})")  # fmt: skip
    return f"no clear winner yet: {leader} leads {other} by {lead:.{digits}f}{unit} ({between}); {_advice(one)}"


def _advice(one: Comparison) -> str:
    """Return what would settle the comparison."""
    seeds = max(len(one.leader.runs), len(one.other.runs))
    if one.in_common or not one.over_seeds:
        return "train several seeds"
    if math.isnan(one.p_networks):  # no results that are paired by sample
        return "more seeds would narrow the interval"
    if one.seeds_needed is None:
        return "more seeds alone would not settle it, only more test images"
    more = max(one.seeds_needed - seeds, 1)
    return f"about {more} more seed{'s' * (more > 1)} each would settle a difference this large"


def _amount(estimate: Estimate, spec: MetricSpec) -> str:
    scale, digits, unit = scaling(spec)
    error = "" if math.isnan(estimate.error) else f" ± {scale * estimate.error:.{digits}f}"
    return f"{scale * estimate.difference:.{digits}f}{error}{unit}"


def scaling(spec: MetricSpec) -> tuple[float, int, str]:
    """Return the factor, the number of decimals and the unit for differences of a metric."""
    return (100.0, 1, " points") if spec.in_percent else (1.0, 3, "")


def p_text(p: float) -> str:
    """Return the p-value as text, such as `p = 0.003` or `p < 0.001`."""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
