"""Short runs of the candidates, of which the best go on, and finals with the full recipes and several seeds.

The race is successive halving (Jamieson & Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter
Optimization, 2016) with a learning-rate schedule of its own for every run. Runs of one round are compared only after
all of them have ended. A frozen candidate takes no part: more time doesn't change it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from cvlib.recommend import sequential
from cvlib.recommend.candidates import Candidate
from cvlib.recommend.sequential import Look
from cvlib.recommend.session import FROZEN, Session, Trained, by_sample
from cvlib.recommend.settings import Settings
from cvlib.runtime.clock import duration
from cvlib.runtime.errors import RunFailed

_SPARE = 1.1  # a run may take so many times the expected time
_LONGER = 2.0  # finals are held again if every run can be at least so many times longer
_FIRST_FINALS = 0.8  # share of the permitted error that the first finals may spend


@dataclass
class Result:
    """What the race has found.

    Attributes:
        short: the runs of the race, round by round.
        finals: the runs of each finalist, one for each seed; the last finals if there were several.
        look: the last look at the finals; None if they can't be compared.
        looked: numbers of the finals that were looked at with several seeds.
        why_ended: why no more seeds were trained.
    """

    short: list[list[Trained]] = field(default_factory=list)
    finals: dict[Candidate, list[Trained]] = field(default_factory=dict)
    look: Look | None = None
    looked: set[int] = field(default_factory=set)
    why_ended: str = ""

    @property
    def best(self) -> Candidate:
        """The finalist with the best mean; raises `RunFailed` if no finalist could be trained."""
        if self.look is not None:
            return list(self.finals)[self.look.leader]
        means = {one: np.mean([oriented(run) for run in runs]) for one, runs in self.finals.items()}
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
            return found[name][0] != "finals", -float(np.mean([oriented(run) for run in found[name][1]]))

        return {name: found[name] for name in sorted(found, key=order)}


def run(session: Session, frozen: Sequence[Candidate], trained: Sequence[Candidate]) -> Result:
    """Return the result of the race and the finals.

    If there is much more time than before, the finals are held again: with longer runs, or with trained candidates if
    only a frozen one could take part.
    """
    result = Result()
    done = [session.train(FROZEN, one, session.seed, None) for one in frozen]
    ranked: list[Trained] = []
    number, again = 0, True
    while again:
        number += 1
        ranked = ranked or _race(session, list(trained), result, number)
        plan = session.journal.decide(f"finals {number}", partial(_plan, session, done, ranked, trained))
        finalists = [one for one in (*frozen, *trained) if one.name in plan["finalists"]]
        _finals(session, finalists, plan["minutes"], number, done, result)
        seconds = _seconds_each(session, max(len(finalists), session.settings.finalists))
        longer = plan["minutes"] is not None and seconds >= _LONGER * 60 * plan["minutes"]
        lacking = not plan["trained"] and seconds >= session.settings.shortest
        lacking |= plan.get("alone", False) and seconds >= _learning_seconds(session)
        begun = (f"finals {number + 1}", _race_to(number + 1))
        again = longer or lacking or any(what in session.journal for what in begun)
    return result


def _race(session: Session, candidates: list[Candidate], result: Result, finals: int) -> list[Trained]:
    """Return the last short run of every candidate that is left, best first; empty if the time is too short."""
    settings = session.settings
    budget = session.journal.decide(_race_to(finals), lambda: settings.race_share * max(session.left, 0))
    each = session.overhead + session.shortest
    fitting = [count for count in range(2, len(candidates) + 1) if budget / _rounds(count, settings) / count >= each]
    if not fitting:
        session.say("the time is too short for a race: the first candidates go straight to the finals")
        return []
    remaining = candidates[: max(fitting)]
    rounds = _rounds(len(remaining), settings)
    ranked: list[Trained] = []
    for number in range(1, rounds + 1):
        seconds = max(budget / rounds / len(remaining) - session.overhead, session.shortest)
        runs = [session.train(f"race {finals}.{number}", one, session.seed, seconds / 60) for one in remaining]
        result.short.append(runs)
        ranked = sorted((one for one in runs if one.value is not None), key=lambda one: -oriented(one))
        remaining = [one.candidate for one in ranked[: math.ceil(len(ranked) / settings.keep)]]
        if not remaining:
            break
    return ranked


def _race_to(finals: int) -> str:
    return f"seconds for the race to finals {finals}"


def _rounds(candidates: int, settings: Settings) -> int:
    """Return the number of rounds after which one of so many candidates is left."""
    return max(1, math.ceil(math.log(candidates, settings.keep)))


def oriented(one: Trained) -> float:
    """Return the main metric on validation so that higher is better; −∞ for a failed run."""
    if one.value is None:
        return -math.inf
    return one.value if one.run.metric_specs[0].higher_is_better else -one.value


def _plan(
    session: Session, done: Sequence[Trained], ranked: Sequence[Trained], trained: Sequence[Candidate]
) -> dict[str, Any]:  # fmt: skip
    """Return the finalists' names, and minutes of training of those that aren't frozen; None: their full recipe."""
    frozen = [one.candidate.name for one in done if one.value is not None]
    places = max(session.settings.finalists - len(frozen), 1)
    alone = not ranked and places > 1 and _seconds_each(session, places) < _learning_seconds(session)
    if alone:
        session.say("the time is too short for more than one candidate")
        places = 1
    chosen = [one.candidate for one in ranked[:places]] or list(trained[:places])
    seconds = _seconds_each(session, len(chosen))
    fits = bool(ranked) and max(_recipe_seconds(session, one) for one in ranked[:places]) <= seconds
    names = [*frozen, *(one.name for one in chosen)]
    if frozen and seconds < session.settings.shortest / 2:
        session.say("the time is too short to train more than the frozen candidate")
        return {"finalists": frozen, "minutes": None, "trained": False, "alone": False}
    minutes = None if fits else max(seconds, session.settings.shortest / 4) / 60
    return {"finalists": names, "minutes": minutes, "trained": True, "alone": alone}


def _learning_seconds(session: Session) -> float:
    """Return how many seconds of training a detector or a segmenter needs to learn its task; 0 for other tasks."""
    return session.settings.epochs * session.epoch_seconds


def _seconds_each(session: Session, runs: int) -> float:
    """Return how many seconds of training each of so many runs can have in the time that is left."""
    return float(session.left / max(runs, 1) / _SPARE - session.overhead)


def _recipe_seconds(session: Session, one: Trained) -> float:
    """Return the expected time of training with the candidate's own number of epochs."""
    speed = one.run.number("timing", "images_per_second") or 1.0
    images = (one.run.summary.get("samples") or {}).get("train", 0)
    epochs = int(session.compose(session.overrides(one.candidate, session.seed)).trainer.epochs)
    return float(epochs * images / speed * _SPARE)


def _finals(
    session: Session, finalists: Sequence[Candidate], minutes: float | None, number: int, done: Sequence[Trained],
    result: Result,
) -> None:  # fmt: skip
    """Train the finalists with one seed after the other, until one is clearly best or the time is up."""
    frozen = {one.candidate: one for one in done}
    runs: dict[Candidate, list[Trained]] = {one: [] for one in finalists}
    for seed in range(session.seed, session.seed + session.settings.most_seeds):
        for one in [one for one in finalists if one in runs]:
            if one in frozen and seed == session.seed:
                runs[one].append(frozen[one])
            elif not runs[one] and any(runs.values()) and _too_late(session, number, one, seed, minutes):
                session.say(f"no time is left for {one.name}, because the runs before it took longer than expected")
            else:
                limit = None if one in frozen else minutes
                runs[one].append(session.train(_stage(number, limit), one, seed, limit))
        runs = _without_failed(runs)
        if all(some[-1].value is None for some in runs.values()):
            result.finals, result.why_ended = runs, "every finalist failed"
            return
        result.finals, result.look = runs, _look(session, runs, len(result.looked - {number}))
        if result.look is not None and result.look.against:
            result.looked.add(number)
        if result.look is not None and result.look.clear:
            result.why_ended = "one finalist is clearly best"
            return
        if len(runs) < 2:
            result.why_ended = "no other finalist is left"
            return
        needed = _SPARE * sum(session.overhead + some[-1].trained for some in runs.values())
        begun = any(f"run {_stage(number, None if one in frozen else minutes)}: {one.name}, seed {seed + 1}"
                    in session.journal for one in runs)  # fmt: skip
        if needed > session.left and not begun:
            result.why_ended = f"the time is up; another seed of each finalist would take {duration(needed)}"
            return
    result.why_ended = f"each finalist has {session.settings.most_seeds} seeds"


def _stage(number: int, minutes: float | None) -> str:
    """Return the stage of a run; one with its full recipe is the same in all finals."""
    return "finals" if minutes is None else f"finals {number}"


def _without_failed(runs: dict[Candidate, list[Trained]]) -> dict[Candidate, list[Trained]]:
    """Return the finalists that have been trained and didn't fail last time; all of them if each has failed."""
    known = {one: some for one, some in runs.items() if some}
    return {one: some for one, some in known.items() if some[-1].value is not None} or known


def _too_late(session: Session, number: int, one: Candidate, seed: int, minutes: float | None) -> bool:
    """Return whether a finalist's first run would end long after the time is up."""
    seconds = session.overhead + 60 * (minutes or 0)
    return bool(session.journal.decide(
        f"finals {number}: {one.name}, seed {seed}, too late?",
        lambda: seconds > session.left + session.settings.reserve * session.seconds,
    ))  # fmt: skip


def _look(session: Session, runs: dict[Candidate, list[Trained]], earlier: int) -> Look | None:
    """Look at the finals; None if a run failed, or if there are no results for each sample.

    `earlier` is the number of earlier finals that have spent their part of the permitted error.
    """
    if any(one.value is None for some in runs.values() for one in some):
        return None
    rows = by_sample([one for some in runs.values() for one in some])
    if rows is None:
        return None
    higher = next(iter(runs.values()))[0].run.metric_specs[0].higher_is_better
    parts = np.split(rows if higher else -rows, len(runs))
    share = (1 - _FIRST_FINALS) / 2**earlier if earlier else _FIRST_FINALS
    return sequential.look(parts, session.settings.most_seeds, session.settings.alpha, share)
