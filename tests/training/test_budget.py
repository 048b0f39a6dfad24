"""A budget of training time: the schedule, the end of epochs and of the run, a resume. The clock is simulated."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cvlib import experiment
from cvlib.config.schema import Adam, Config, Constant, Cosine, DataConfig, Step, TrainerConfig
from cvlib.models.run_state import RunState
from cvlib.training import budget
from cvlib.training.optimizer import Schedule
from tests.configs import model_config


class Clock:
    """A clock that advances by `tick` seconds at each reading."""

    def __init__(self, tick: float = 0.0):
        self.time, self.tick = 100.0, tick

    def __call__(self) -> float:
        self.time += self.tick
        return self.time


class SaidOnly:
    """A record that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.summary: dict[str, Any] = {}

    def say(self, line: str) -> None:
        self.lines.append(line)

    def update(self, **fields: Any) -> None:
        self.summary |= fields


def test_an_epoch_ends_when_only_its_validation_still_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """10 s in all; the first step takes 2 s, all others 1 s; validation is estimated at 3 steps."""
    clock, record = Clock(), SaidOnly()
    monkeypatch.setattr(budget, "now", clock)
    limited, state = budget.Budget(TrainerConfig(minutes=10 / 60), validation_cost=3), RunState()
    limited.begin(state)
    ended = []
    for seconds in (2, 1, 1, 1, 1, 1):
        clock.time += seconds
        ended.append(limited.step())
        assert float(limited.position) == pytest.approx((clock.time - 100) / 10)
    assert ended == [False] * 5 + [True]  # after 7 s, 3 s are left: less than 3 s for validation and half a step
    limited.trained()
    clock.time += 2.5
    limited.validated()
    limited.spend(state, True, record)  # type: ignore[arg-type]
    assert state.stopped and state.budget_used == pytest.approx(9.5)
    assert record.summary["budget"] == {"minutes": pytest.approx(1 / 6), "used_minutes": 0.158}
    assert record.lines == ["trainer.minutes=0.166667 end the run after 9.5 s"]


def test_a_resumed_run_continues_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(budget, "now", clock)
    limited = budget.Budget(TrainerConfig(minutes=1), validation_cost=1)
    limited.begin(RunState(budget_used=45.0))
    assert (limited.used, limited.left, float(limited.position)) == (45.0, 15.0, 0.75)
    clock.time += 20
    assert limited.left == 0.0


def test_the_curve_follows_the_time_instead_of_the_steps() -> None:
    import keras

    position = keras.Variable(0.5)
    cosine = Schedule(Cosine(final=0.2), 1.0, 10, 20, position)
    assert float(cosine(0)) == pytest.approx(0.6)  # half-way between 1 and 0.2
    position.assign(1.0)
    assert float(cosine(0)) == pytest.approx(0.2)
    assert float(Schedule(Step(every=5, factor=0.1), 1.0, 10, 20, position)(3)) == pytest.approx(1e-4)
    assert float(Schedule(Cosine(warmup_epochs=1.0), 1.0, 10, 20, keras.Variable(0.0))(4)) == pytest.approx(0.5)


def test_a_warm_up_takes_at_most_a_share_of_the_time() -> None:
    import keras

    position = keras.Variable(0.03)
    schedule = Schedule(Constant(warmup_epochs=2), 1.0, 10, 20, position)  # 20 steps
    assert float(schedule(0)) == pytest.approx(0.2)  # a fifth of 15 % of the time, but only one step
    assert float(schedule(9)) == pytest.approx(0.5)  # ten steps of 20
    position.assign(0.15)
    assert float(schedule(9)) == pytest.approx(1.0)


def test_a_run_uses_its_time_also_after_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "now", Clock(tick=0.05))
    trainer = TrainerConfig(epochs=1, minutes=0.1, steps_per_epoch=4, checkpoint_every=1)
    config = Config(
        model_config("cnn", filters=[4], dense=[]), data=DataConfig("digits", samples=60), optimizer=Adam(lr=0.5),
        schedule=Cosine(), trainer=trainer,
    )  # fmt: skip

    def stop(epoch: int, _: dict[str, Any]) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiment.run(config, tmp_path, on_epoch=stop)
    half = json.loads((tmp_path / "summary.json").read_text())["budget"]["used_minutes"]
    summary = experiment.run(config, tmp_path)
    assert 0 < half < summary["budget"]["used_minutes"]
    assert summary["budget"]["used_minutes"] == pytest.approx(0.1, rel=0.1)
    with (tmp_path / "metrics.csv").open() as file:
        rates = [float(row["lr"]) for row in csv.DictReader(file)]
    assert summary["epochs"] == len(rates) > 2 and rates == sorted(rates, reverse=True)
    assert rates[0] > 0.3 and rates[-1] < 0.02
    log = (tmp_path / "train.log").read_text()
    assert "trainer.minutes=0.1 end the run after" in log and "epochs 1 and later, for at most 5" in log
    other = replace(config, trainer=replace(trainer, epochs=2))
    with pytest.raises(experiment.UserError, match="holds a run of another config"):
        experiment.run(other, tmp_path)
