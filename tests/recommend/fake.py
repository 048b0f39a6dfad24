"""A recommendation whose runs are not trained: their results are drawn, and the clock is set forward."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from omegaconf import OmegaConf

from cvlib.recommend import journal
from cvlib.recommend.candidates import Candidate
from cvlib.recommend.journal import NAME, Journal
from cvlib.recommend.session import Session
from cvlib.recommend.settings import Settings
from cvlib.runs.metric_specs import MetricSpec, to_json

SPECS = to_json([MetricSpec("accuracy", column="prediction", sample="right")])
IMAGES = 200


class Clock:
    """Seconds that only a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    time = monotonic


class FakeSession(Session):
    """A session whose runs have an accuracy that depends on the candidate and on the minutes of training.

    Attributes:
        accuracy: (candidate's name, minutes of training, seed) → share of right predictions, or None for a failed run.
        cost: seconds of a run besides its minutes.
        trained: the names of the runs that were trained, in order.
        recipe: seconds of a trained candidate's six epochs; a frozen one takes a minute.
    """

    accuracy: Callable[[str, float | None, int], float | None]
    clock: Clock
    cost = 10.0
    recipe = 60.0
    trained: list[str]
    stop_after: int | None = None

    def _train(
        self, candidate: Candidate, folder: Path, seed: int, minutes: float | None, began: float
    ) -> dict[str, Any]:  # fmt: skip
        if self.stop_after is not None and len(self.trained) >= self.stop_after:
            raise KeyboardInterrupt
        self.trained.append(folder.name)
        frozen = "mode=feature_extractor" in candidate.overrides
        seconds = 60.0 if frozen else self.recipe if minutes is None else 60 * minutes
        self.clock.now += self.cost + seconds
        value = self.accuracy(candidate.name, minutes, seed)
        if value is None:
            return {"value": None, "seconds": self.cost, "trained": 0.0, "error": "out of memory"}
        write_run(folder, value, seed, seconds, list(candidate.overrides), self.recipe / 6)
        return {"value": value, "seconds": self.cost + seconds, "trained": seconds, "error": None}


def write_run(
    folder: Path, accuracy: float, seed: int, seconds: float, overrides: Sequence[str], epoch: float = 10.0
) -> None:  # fmt: skip
    """Write a completed run with drawn validation results."""
    (folder / ".hydra").mkdir(parents=True)
    # Each image has a difficulty that all candidates share, so that their results are correlated, as real ones are.
    difficulty = np.random.default_rng(0).random(IMAGES)
    noise = np.random.default_rng([seed, sum(map(ord, folder.name))]).normal(0, 0.05, IMAGES)
    right = difficulty + noise < accuracy
    with (folder / "val_results.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["name", "truth", "prediction"])
        rows.writerows([f"{i}.png", "a", "a" if good else "b"] for i, good in enumerate(right))
    summary = {
        "form": 2, "status": "completed", "task": "classification", "model": "cnn", "mode": "scratch", "seed": seed,
        "metrics": {"val/accuracy": float(right.mean())}, "metric_specs": SPECS, "epochs": 6, "data": "folder",
        "timing": {"train": seconds, "images_per_second": 100.0}, "samples": {"train": 1000, "val": IMAGES},
        "parameters": {"total": 1000},
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "config.yaml").write_text(yaml.safe_dump({"model": {"name": "cnn"}, "seed": seed}))
    (folder / ".hydra/overrides.yaml").write_text(yaml.safe_dump([*overrides, f"seed={seed}", "trainer.test=false"]))
    (folder / "metrics.csv").write_text(f"epoch,val/accuracy,seconds\n1,0.5,{epoch}\n2,0.6,{epoch}\n")


def session(folder: Path, monkeypatch: Any, accuracy: Callable[[str, float | None, int], float | None],
            minutes: float = 30, **numbers: Any) -> FakeSession:  # fmt: skip
    """Return a session in `folder`, which may hold an earlier one."""
    clock = Clock()
    monkeypatch.setattr(journal, "time", clock)
    monkeypatch.setattr(journal, "_last_change", lambda folder: 0.0)
    folder.mkdir(parents=True, exist_ok=True)
    said: list[str] = []
    made = FakeSession(
        Settings(minutes=minutes, **numbers), ("data=folder",), "classification", folder, folder.parent, 0,
        Journal(folder / NAME), lambda overrides: OmegaConf.create({"trainer": {"epochs": 6}, "data": {}}), said.append,
    )  # fmt: skip
    made.accuracy, made.clock, made.trained = accuracy, clock, []
    return made
