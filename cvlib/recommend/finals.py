"""The finals: the best candidates with their full recipes, or what fits into the time, and with several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from cvlib.compare import runs as recorded
from cvlib.recommend import sequential
from cvlib.recommend.candidates import Candidate
from cvlib.recommend.result import Result
from cvlib.recommend.sequential import Look
from cvlib.recommend.session import Session, Trained, by_sample
from cvlib.runtime.clock import duration

_SPARE = 1.1  # a run may take so many times the expected time
_LONGER = 2.0  # finals are held again if every run can be at least so many times longer
_FIRST_FINALS = 0.8  # share of the permitted error that the first finals may spend


@dataclass
class _Round:
    """What the rounds of one finals share.

    Attributes:
        number: of the finals, from 1.
        minutes: of the training of finalists that aren't frozen; None: their full recipe.
        expected: seconds of such a training.
        frozen: the finished first run of each frozen candidate.
        reserves: the candidates that follow if one fails, best first.
    """

    number: int
    minutes: float | None
    expected: float
    frozen: dict[Candidate, Trained]
    reserves: list[Candidate]

    def limit(self, one: Candidate) -> float | None:
        """Return the minutes of training of a finalist."""
        return None if one in self.frozen else self.minutes

    def stage(self, one: Candidate) -> str:
        """Return the stage of a finalist's runs; one with its full recipe is the same in all finals."""
        return "finals" if self.limit(one) is None else f"finals {self.number}"


def plan_of(number: int) -> str:
    """Return the name of the decision that begins the finals."""
    return f"finals {number}"


def hold(
    session: Session, done: Sequence[Trained], trained: Sequence[Candidate], number: int, result: Result
) -> dict[str, Any]:  # fmt: skip
    """Hold the finals and write them into the result; return their plan.

    Args:
        session: the recommendation.
        done: the first runs of the frozen candidates.
        trained: the other candidates; the first ones are finalists if there was no race.
        number: of the finals, from 1.
        result: with the ranking of the race.
    """
    plan: dict[str, Any] = session.journal.decide(plan_of(number), partial(_plan, session, done, result, trained))
    known = {one.name: one for one in [*(one.candidate for one in done), *trained]}
    finalists = [known[name] for name in plan["finalists"]]
    reserves = [one.candidate for one in result.ranked if one.candidate not in finalists] if plan["trained"] else []
    _hold(session, finalists, _Round(number, plan["minutes"], plan["expected"],
                                     {one.candidate: one for one in done}, reserves), result)  # fmt: skip
    return plan


def worth_more(session: Session, plan: dict[str, Any]) -> bool:
    """Return whether finals with this plan should be held again in the time that is left now."""
    seconds = _seconds_each(session, plan["places"])
    longer = plan["minutes"] is not None and seconds >= _LONGER * 60 * plan["minutes"]
    lacking = not plan["trained"] and seconds >= session.settings.shortest
    return bool(longer or lacking or (plan["alone"] and seconds >= _learning_seconds(session)))


def fit_after_race(session: Session, plan: dict[str, Any]) -> bool:
    """Return whether finals with trainings as long as in this plan, and one more finalist, fit in beside a race."""
    left = (1 - session.settings.race_share) * session.left
    return bool((plan["places"] + 1) * _SPARE * (plan["expected"] + session.overhead) <= left)


def _plan(
    session: Session, done: Sequence[Trained], result: Result, trained: Sequence[Candidate]
) -> dict[str, Any]:  # fmt: skip
    """Return the plan of the finals.

    Returns:
        "finalists": their names: the best of the race, and the best of earlier finals. "places": how many would be
        trained if there were time. "minutes": of the training of those that aren't frozen; None: their full recipe.
        "expected": seconds of such a training. "trained": whether there is time for any. "alone": for one only.
    """
    settings = session.settings
    frozen = [one.candidate.name for one in done if one.value is not None]
    places = max(settings.finalists - len(frozen), 1)
    plan: dict[str, Any] = {"places": places, "minutes": None, "expected": 0.0, "trained": True, "alone": False}
    if frozen and _seconds_each(session, places) < settings.shortest / 2:
        session.say("the time is too short to train more than the frozen candidate")
        return {**plan, "finalists": frozen, "trained": False}
    if places > 1 and _seconds_each(session, places) < _learning_seconds(session):
        session.say("the time is too short for more than one finalist")
        places, plan["alone"] = 1, True
    best = [one.candidate for one in result.ranked[:places]] or list(trained[:places])
    chosen = list(dict.fromkeys([*best, *result.best_of(trained)]))
    seconds = _seconds_each(session, len(chosen))
    recipes = [_recipe_seconds(session, one) for one in result.last(chosen)]
    if len(recipes) == len(chosen) and all(one is not None and one <= seconds for one in recipes):
        plan["expected"] = max(one for one in recipes if one is not None)
    else:
        plan["expected"] = max(seconds, settings.shortest / 4)
        plan["minutes"] = plan["expected"] / 60
    return {**plan, "finalists": [*frozen, *(one.name for one in chosen)]}


def _learning_seconds(session: Session) -> float:
    """Return how many seconds of training a detector or a segmenter needs to learn its task; 0 for other tasks."""
    return session.settings.epochs * session.epoch_seconds


def _seconds_each(session: Session, runs: int) -> float:
    """Return how many seconds of training each of so many runs can have in the time that is left."""
    return float(session.left / max(runs, 1) / _SPARE - session.overhead)


def _recipe_seconds(session: Session, one: Trained) -> float | None:
    """Return the expected time of training with the candidate's own number of epochs; None if it isn't known yet.

    An epoch takes as long as the longest that trained what most epochs train: with mode=finetune, the base, too.
    """
    rows = [row for row in recorded.epochs(one.run)
            if "seconds" in row and (one.run.mode != "finetune" or row.get("lr_backbone", 1.0) > 0)]  # fmt: skip
    if not rows:
        return None
    epochs = int(session.compose(session.overrides(one.candidate, session.seed)).trainer.epochs)
    return float(epochs * max(row["seconds"] for row in rows) * _SPARE)


def _hold(session: Session, finalists: Sequence[Candidate], plan: _Round, result: Result) -> None:
    """Train the finalists with one seed after the other, until one is clearly best or the time is up."""
    runs: dict[Candidate, list[Trained]] = {one: [] for one in finalists}
    seeds = range(session.seed, session.seed + session.settings.most_seeds)
    before = result.finals, result.look
    result.out_of_time = False
    for seed in seeds:
        complete = {one: list(some) for one, some in runs.items()}
        _train_round(session, plan, runs, seed, result)
        known = {one: some for one, some in runs.items() if some and some[-1].value is not None}
        if not known:
            if seed == session.seed:
                failed = {one: some for one, some in runs.items() if some}
                result.finals, result.look = before if before[0] else (failed, None)
            else:
                result.finals = complete
            result.why_ended = f"every finalist failed with seed {seed}"
            return
        runs = known
        result.finals, result.look = runs, _look(session, runs, len(result.looked - {plan.number}))
        if result.look is not None and result.look.against:
            result.looked.add(plan.number)
        if result.look is not None and result.look.clear:
            result.why_ended = "one finalist is clearly best"
            return
        if len(runs) < 2:
            result.why_ended = "no other finalist is left" if len(finalists) > 1 else ""
            return
        if seed != seeds[-1] and not _go_on(session, plan, runs, seed + 1, result):
            return
    result.why_ended = f"each finalist has {session.settings.most_seeds} seeds"


def _train_round(
    session: Session, plan: _Round, runs: dict[Candidate, list[Trained]], seed: int, result: Result
) -> None:  # fmt: skip
    """Train every finalist with a seed. For one that fails with the first seed, the next best one follows."""
    queue = list(runs)
    result.meet(queue)
    for one in queue:  # grows
        if one in plan.frozen and seed == session.seed:
            runs[one].append(plan.frozen[one])
            continue
        if not runs[one] and any(runs.values()) and _too_late(session, plan, one, seed, runs):
            session.say(f"no time is left for {one.name}, because the runs before it took longer than expected")
            result.out_of_time = True
            continue
        runs[one].append(session.train(plan.stage(one), one, seed, plan.limit(one)))
        if runs[one][-1].value is None:
            result.failed[one] = runs[one][-1].error or "it has no result on validation"
            if seed == session.seed and plan.reserves:
                queue.append(plan.reserves.pop(0))
                runs[queue[-1]] = []
                result.meet(queue)


def _go_on(
    session: Session, plan: _Round, runs: dict[Candidate, list[Trained]], seed: int, result: Result
) -> bool:  # fmt: skip
    """Return whether there is time for a further seed of each finalist, or whether it has begun."""
    going_on = f"finals {plan.number}: going on with seed {seed}"
    needed = _SPARE * sum(session.overhead + some[-1].trained for some in runs.values())
    if going_on not in session.journal and needed > session.left:
        result.out_of_time = True
        result.why_ended = f"the time is up; another seed of each finalist would take {duration(needed)}"
        return False
    return bool(session.journal.decide(going_on, lambda: True))


def _too_late(
    session: Session, plan: _Round, one: Candidate, seed: int, runs: dict[Candidate, list[Trained]]
) -> bool:  # fmt: skip
    """Return whether a finalist's first run would end long after the time is up."""
    trained = [run.trained for other, some in runs.items() if other not in plan.frozen for run in some]
    seconds = session.overhead + (plan.expected if plan.minutes is not None else max([plan.expected, *trained]))
    return bool(session.journal.decide(
        f"finals {plan.number}: {one.name}, seed {seed}, too late?",
        lambda: seconds > session.left + session.settings.reserve * session.seconds,
    ))  # fmt: skip


def _look(session: Session, runs: dict[Candidate, list[Trained]], earlier: int) -> Look | None:
    """Look at the finals; None if there are no results for each sample.

    `earlier` is the number of earlier finals that have spent their part of the permitted error.
    """
    rows = by_sample([one for some in runs.values() for one in some])
    if rows is None:
        return None
    higher = next(iter(runs.values()))[0].run.metric_specs[0].higher_is_better
    parts = np.split(rows if higher else -rows, len(runs))
    share = (1 - _FIRST_FINALS) / 2**earlier if earlier else _FIRST_FINALS
    return sequential.look(parts, session.settings.most_seeds, session.settings.alpha, share)
