"""Short runs of the candidates, of which the best go on to the finals.

The race is successive halving (Jamieson & Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter
Optimization, 2016) with a learning-rate schedule of its own for every run. Runs of one round are compared only after
all of them have ended. A frozen candidate takes no part: more time doesn't change it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cvlib.recommend import finals
from cvlib.recommend.candidates import Candidate
from cvlib.recommend.result import Result, oriented
from cvlib.recommend.session import FROZEN, Session, Trained
from cvlib.recommend.settings import Settings


def run(session: Session, frozen: Sequence[Candidate], trained: Sequence[Candidate]) -> Result:
    """Return the result of the race and the finals.

    If there is much more time than before, there is another race for the candidates that had no time before, or the
    finals are held again: with longer runs, or with more finalists.
    """
    result = Result()
    done = [session.train(FROZEN, one, session.seed, None) for one in frozen]
    number, racing, again = 0, True, True
    while again:
        number += 1
        if racing:
            result.ranked = _race(session, _entrants(result, trained), result, number) or result.ranked
        plan = finals.hold(session, done, trained, number, result)
        racing = _worth_racing(session, _entrants(result, trained), plan, number + 1)
        again = racing or finals.worth_more(session, plan) or finals.plan_of(number + 1) in session.journal
    result.untried = [one for one in trained if not result.tried(one)]
    return result


def _entrants(result: Result, trained: Sequence[Candidate]) -> list[Candidate]:
    """Return who takes part in the next race: all, or the best trained finalist and those that had no time before."""
    return [*result.best_of(trained), *(one for one in trained if not result.tried(one))]


def _worth_racing(session: Session, entrants: Sequence[Candidate], plan: dict[str, Any], number: int) -> bool:
    """Return whether there is time for a race and for finals like those before, or whether this race has begun."""
    if _seconds_for(number) in session.journal:
        return True
    begun = finals.plan_of(number) in session.journal  # without a race
    return (not begun and _fitting(session, len(entrants), _budget(session)) > 1
            and finals.fit_after_race(session, plan))  # fmt: skip


def _race(session: Session, candidates: list[Candidate], result: Result, number: int) -> list[Trained]:
    """Return the last short run of every candidate that is left, best first; empty if the time is too short."""
    budget = session.journal.decide(_seconds_for(number), lambda: _budget(session))
    count = _fitting(session, len(candidates), budget)
    if count < 2:
        session.say("the time is too short for a race: the first candidates go straight to the finals")
        return []
    remaining = candidates[:count]
    rounds = _rounds(count, session.settings)
    ranked: list[Trained] = []
    for part in range(1, rounds + 1):
        seconds = max(budget / rounds / len(remaining) - session.overhead, session.shortest)
        runs = [session.train(f"race {number}.{part}", one, session.seed, seconds / 60) for one in remaining]
        result.short.append(runs)
        ranked = sorted((one for one in runs if one.value is not None), key=lambda one: -oriented(one))
        remaining = [one.candidate for one in ranked[: math.ceil(len(ranked) / session.settings.keep)]]
        if not remaining:
            break
    return ranked


def _seconds_for(number: int) -> str:
    return f"seconds for the race to finals {number}"


def _budget(session: Session) -> float:
    return session.settings.race_share * max(session.left, 0)


def _fitting(session: Session, candidates: int, budget: float) -> int:
    """Return how many of the candidates can have a short run that says something; 0 if fewer than two."""
    each = session.overhead + session.shortest
    fitting = [count for count in range(2, candidates + 1)
               if budget / _rounds(count, session.settings) / count >= each]  # fmt: skip
    return max(fitting, default=0)


def _rounds(candidates: int, settings: Settings) -> int:
    """Return the number of rounds after which one of so many candidates is left."""
    return max(1, math.ceil(math.log(candidates, settings.keep)))
