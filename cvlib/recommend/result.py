"""What the race and the finals have found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cvlib.recommend.candidates import Candidate
from cvlib.recommend.sequential import Look
from cvlib.recommend.session import Trained
from cvlib.runtime.errors import RunFailed


@dataclass
class Result:
    """The runs of the race and the finals.

    Attributes:
        short: the runs of the races, round by round.
        ranked: the last short runs of the last race, best first, without failed ones.
        finals: the runs of each finalist, one for each seed; the last finals if there were several.
        failed: finalists whose run failed, and why.
        look: the last look at the finals; None if they can't be compared.
        looked: numbers of the finals that were looked at with several seeds.
        untried: candidates that had no time.
        why_ended: why no more seeds were trained; "" if there was one finalist only.
        out_of_time: whether more time would have given more seeds.
    """

    short: list[list[Trained]] = field(default_factory=list)
    ranked: list[Trained] = field(default_factory=list)
    finals: dict[Candidate, list[Trained]] = field(default_factory=dict)
    failed: dict[Candidate, str] = field(default_factory=dict)
    look: Look | None = None
    looked: set[int] = field(default_factory=set)
    untried: list[Candidate] = field(default_factory=list)
    why_ended: str = ""
    out_of_time: bool = False
    _met: set[Candidate] = field(default_factory=set)

    def meet(self, candidates: list[Candidate]) -> None:
        """Remember the finalists, also those of earlier finals."""
        self._met |= set(candidates)

    def tried(self, candidate: Candidate) -> bool:
        """Return whether the candidate had a run."""
        return candidate in self._met or any(one.candidate == candidate for runs in self.short for one in runs)

    def last(self, candidates: Sequence[Candidate]) -> list[Trained]:
        """Return the last run of each of these candidates that has one."""
        done = [one for runs in (*self.short, *self.finals.values()) for one in runs if one.value is not None]
        by_candidate = {one.candidate: one for one in done}
        return [by_candidate[one] for one in candidates if one in by_candidate]

    def best_of(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Return the finalist with the best mean of these candidates; none if none of them was in the finals."""
        found = [one for one in candidates if any(run.value is not None for run in self.finals.get(one, []))]
        return sorted(found, key=lambda one: -mean(self.finals[one]))[:1]

    @property
    def best(self) -> Candidate:
        """The finalist with the best mean; raises `RunFailed` if no finalist could be trained."""
        if self.look is not None:
            return list(self.finals)[self.look.leader]
        means = {one: mean(runs) for one, runs in self.finals.items()}
        best = max(means, key=lambda one: means[one], default=None)
        if best is None or not math.isfinite(means[best]):
            raise RunFailed("no finalist could be trained: see the lines above")
        return best

    @property
    def last_runs(self) -> dict[str, tuple[str, list[Trained]]]:
        """By the candidate's name: how far it came, and its runs there; the finalists first, and the best first."""
        found: dict[str, tuple[str, list[Trained]]] = {}
        for number, runs in enumerate(self.short, 1):
            found |= {one.candidate.name: (f"race, round {number}", [one]) for one in runs}
        found |= {one.name: ("finals", runs) for one, runs in self.finals.items()}

        def order(name: str) -> tuple[bool, float]:
            return found[name][0] != "finals", -mean(found[name][1])

        return {name: found[name] for name in sorted(found, key=order)}


def mean(runs: Sequence[Trained]) -> float:
    """Return the mean over a candidate's runs, so that higher is better; −∞ if one of them failed."""
    return float(np.mean([oriented(run) for run in runs]))


def oriented(one: Trained) -> float:
    """Return the main metric on validation so that higher is better; −∞ for a failed run."""
    if one.value is None:
        return -math.inf
    return one.value if one.run.metric_specs[0].higher_is_better else -one.value
