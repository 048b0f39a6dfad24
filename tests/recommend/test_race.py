"""Races with drawn results: who goes on, when the finals end, and that a journal repeats every decision."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cvlib.recommend import race
from cvlib.recommend.candidates import Candidate
from cvlib.runtime.errors import RunFailed
from tests.recommend.fake import FakeSession, session

FROZEN = [Candidate("frozen", ("mode=feature_extractor",))]
TRAINED = [Candidate(name, (f"model={name}",)) for name in ("tuned", "scratch", "other", "large", "augmented")]
LEVELS = {"frozen": 0.7, "tuned": 0.9, "scratch": 0.3, "other": 0.6, "large": 0.5, "augmented": 0.4}


def by_name(name: str, minutes: float | None, seed: int) -> float:
    return LEVELS[name]


def test_the_best_short_run_meets_the_frozen_candidate_in_the_finals(tmp_path: Path, monkeypatch) -> None:
    made = session(tmp_path / "s", monkeypatch, by_name)
    result = race.run(made, FROZEN, TRAINED)
    # 35 % of 27 minutes for five candidates: two rounds, and a third of the candidates in the second.
    assert [len(runs) for runs in result.short] == [5, 2]
    assert [one.candidate.name for one in result.short[1]] == ["tuned", "other"]
    assert result.short[1][0].minutes > 2 * result.short[0][0].minutes
    assert [one.name for one in result.finals] == ["frozen", "tuned"]
    assert result.best.name == "tuned" and result.look.clear
    assert result.why_ended == "one finalist is clearly best"
    # The second seed makes it clear: 20 points with correlated results.
    assert [len(runs) for runs in result.finals.values()] == [2, 2]
    assert list(result.last_runs) == ["tuned", "frozen", "other", "large", "augmented", "scratch"]


def test_the_full_recipe_is_used_if_it_fits_and_is_cut_to_the_time_otherwise(tmp_path: Path, monkeypatch) -> None:
    made = session(tmp_path / "long", monkeypatch, by_name)
    (_, tuned) = race.run(made, FROZEN, TRAINED).finals.values()
    assert tuned[0].minutes is None  # 6 epochs of 1,000 images at 100 images/s are a minute
    made = session(tmp_path / "short", monkeypatch, by_name, minutes=4)
    (_, tuned) = race.run(made, FROZEN, TRAINED).finals.values()
    # 3.72 minutes without the reserve; 70 s for the frozen run; no race; one run with a tenth to spare, minus 15 s.
    assert tuned[0].minutes == pytest.approx(((4 * 60 * 0.93 - 70) / 1.1 - 15) / 60, abs=1e-3)


@pytest.mark.parametrize("minutes", [2, 5, 10, 20, 45])
def test_the_time_is_kept(tmp_path: Path, monkeypatch, minutes: float) -> None:
    made = session(tmp_path / "s", monkeypatch, lambda name, time, seed: 0.8, minutes=minutes)
    race.run(made, FROZEN, TRAINED)
    assert made.journal.elapsed < 1.1 * 60 * minutes


def test_a_finalist_is_left_out_if_the_first_took_far_too_long(tmp_path: Path, monkeypatch) -> None:
    made = session(tmp_path / "s", monkeypatch, by_name, minutes=3)
    made.cost = 100.0
    result = race.run(made, [], TRAINED)
    assert [one.name for one in result.finals] == ["tuned"] and result.why_ended == "no other finalist is left"
    assert result.best.name == "tuned" and made.journal.elapsed < 1.1 * 180


def test_equal_candidates_are_not_told_apart_and_get_seeds_until_the_time_is_up(tmp_path: Path, monkeypatch) -> None:
    made = session(tmp_path / "s", monkeypatch, lambda name, minutes, seed: 0.8, minutes=20)
    result = race.run(made, FROZEN, TRAINED)
    assert not result.look.clear and len(result.look.against) == 1
    assert result.why_ended.startswith(("the time is up", "each finalist has 5 seeds"))
    assert len({len(runs) for runs in result.finals.values()}) == 1


def test_a_failed_candidate_is_left_behind_and_a_failed_finalist_ends_nothing(tmp_path: Path, monkeypatch) -> None:
    made = session(tmp_path / "s", monkeypatch, lambda name, minutes, seed: None if name == "tuned" else LEVELS[name])
    result = race.run(made, FROZEN, TRAINED)
    assert result.best.name == "frozen" and "tuned" not in [one.name for one in result.finals]
    made = session(tmp_path / "none", monkeypatch, lambda name, minutes, seed: None)
    nothing = race.run(made, FROZEN, TRAINED)
    with pytest.raises(RunFailed, match="no finalist could be trained"):
        _ = nothing.best


def test_without_a_frozen_candidate_two_trained_ones_meet(tmp_path: Path, monkeypatch) -> None:
    result = race.run(session(tmp_path / "s", monkeypatch, by_name), [], TRAINED)
    assert [one.name for one in result.finals] == ["tuned", "other"]


@pytest.mark.parametrize("stop_after", [0, 1, 3, 6, 8, 9, 10])
def test_an_interrupted_race_repeats_its_decisions(tmp_path: Path, monkeypatch, stop_after: int) -> None:
    def decisions(made: FakeSession) -> list[tuple[str, object]]:
        lines = map(json.loads, made.journal.path.read_text().splitlines())
        values = [(line["what"], line["value"]) for line in lines]
        return [(what, value["minutes"] if "began" in str(value) else value) for what, value in values]

    whole = session(tmp_path / "whole", monkeypatch, by_name)
    expected = race.run(whole, FROZEN, TRAINED)
    made = session(tmp_path / "parts", monkeypatch, by_name)
    made.stop_after = stop_after
    with pytest.raises(KeyboardInterrupt):
        race.run(made, FROZEN, TRAINED)
    before = decisions(made)
    assert len(made.trained) == stop_after
    again = session(tmp_path / "parts", monkeypatch, by_name)
    result = race.run(again, FROZEN, TRAINED)
    assert decisions(again)[: len(before)] == before
    assert made.trained + again.trained == whole.trained
    assert result.best == expected.best and decisions(again) == decisions(whole)


def test_more_minutes_add_seeds_or_longer_finals(tmp_path: Path, monkeypatch) -> None:
    def equal(name: str, minutes: float | None, seed: int) -> float:
        return 0.8

    first = session(tmp_path / "s", monkeypatch, equal, minutes=6)
    before = race.run(first, FROZEN, TRAINED)
    again = session(tmp_path / "s", monkeypatch, equal, minutes=6)
    assert race.run(again, FROZEN, TRAINED).finals == before.finals and not again.trained
    more = session(tmp_path / "s", monkeypatch, equal, minutes=30)
    after = race.run(more, FROZEN, TRAINED)
    assert more.trained and max(map(len, after.finals.values())) > max(map(len, before.finals.values()))


def test_time_for_the_frozen_candidate_only_is_made_up_for_later(tmp_path: Path, monkeypatch) -> None:
    first = session(tmp_path / "s", monkeypatch, by_name, minutes=1.2)
    before = race.run(first, FROZEN, TRAINED)
    assert [one.name for one in before.finals] == ["frozen"] and not before.short
    more = session(tmp_path / "s", monkeypatch, by_name, minutes=30)
    after = race.run(more, FROZEN, TRAINED)
    assert [one.name for one in after.finals] == ["frozen", "tuned"] and after.short
    assert after.look.clear


@pytest.mark.parametrize(("minutes", "raced", "finalists"), [
    # An epoch takes 10 s, so a short run needs 6 · 10 s + 15 s and a final 20 · 10 s.
    (4, 0, ["tuned"]),  # (4 · 60 · 0.93 s) / 2 / 1.1 − 15 s = 86 s for each of two: one gets all of it
    (9, 2, ["tuned"]),  # the race has 0.35 · 502 s = 176 s, enough for two candidates
])  # fmt: skip
def test_a_dense_task_has_no_run_that_is_too_short_to_learn_it(
    minutes: float, raced: int, finalists: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = session(tmp_path / "s", monkeypatch, by_name, minutes=minutes)
    made.epoch_seconds = 10.0
    result = race.run(made, [], TRAINED)
    assert sum(map(len, result.short)) == raced
    assert [one.name for one in result.finals][: len(finalists)] == finalists
    assert all(60 * one.minutes >= 60 for runs in result.short for one in runs)
    if minutes == 4:
        assert list(result.finals) == TRAINED[:1]
        assert 60 * result.finals[TRAINED[0]][0].minutes == pytest.approx(4 * 60 * 0.93 / 1.1 - 15, abs=1)


def test_more_minutes_try_the_candidates_that_had_no_time(tmp_path: Path, monkeypatch) -> None:
    made = session(tmp_path / "s", monkeypatch, by_name, minutes=4)
    made.epoch_seconds = 10.0
    assert [one.name for one in race.run(made, [], TRAINED).untried] == ["scratch", "other", "large", "augmented"]
    more = session(tmp_path / "s", monkeypatch, by_name, minutes=30)
    more.epoch_seconds = 10.0
    result = race.run(more, [], TRAINED)
    assert result.untried == []
    assert [one.candidate.name for one in result.short[0]] == ["tuned", "scratch", "other"]  # as many as fit
    assert result.best.name == "tuned" and more.journal.elapsed < 1.1 * 1800
    trained = len(more.trained)
    again = session(tmp_path / "s", monkeypatch, by_name, minutes=30)
    again.epoch_seconds = 10.0
    assert race.run(again, [], TRAINED).best.name == "tuned" and again.trained == [] and trained > 5


def test_each_further_finals_keep_to_the_time(tmp_path: Path, monkeypatch) -> None:
    """The frozen candidate's runs are shared by all finals, so they don't tell whether a seed has begun."""
    for minutes in (10, 40, 100):
        made = session(tmp_path / "s", monkeypatch, lambda name, time, seed: 0.8, minutes=minutes)
        made.recipe = 20_000.0
        race.run(made, FROZEN, TRAINED)
        assert made.journal.elapsed < 1.1 * 60 * minutes


def test_for_a_finalist_that_fails_the_next_best_one_follows(tmp_path: Path, monkeypatch) -> None:
    def diverges(name: str, minutes: float | None, seed: int) -> float | None:
        return None if name == "tuned" and minutes is None else LEVELS[name]

    result = race.run(session(tmp_path / "s", monkeypatch, diverges), FROZEN, TRAINED)
    assert [one.name for one in result.finals] == ["frozen", "other"]
    assert {one.name: why for one, why in result.failed.items()} == {"tuned": "out of memory"}


def test_the_last_whole_round_counts_if_every_finalist_fails_later(tmp_path: Path, monkeypatch) -> None:
    def full_disk(name: str, minutes: float | None, seed: int) -> float | None:
        return 0.8 if seed == 0 else None

    result = race.run(session(tmp_path / "s", monkeypatch, full_disk), FROZEN, TRAINED)
    assert [len(runs) for runs in result.finals.values()] == [1, 1]
    assert result.why_ended == "every finalist failed with seed 1"
    assert result.best.name in ("frozen", "tuned")
