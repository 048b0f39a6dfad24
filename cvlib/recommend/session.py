"""What all steps of a recommendation share: the journal, the time that is left, and how a run is started."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from cvlib import tasks
from cvlib.compare import tables
from cvlib.compare.runs import sample_values
from cvlib.config.quotes import in_quotes
from cvlib.recommend.candidates import Candidate
from cvlib.recommend.journal import Journal
from cvlib.recommend.settings import Settings
from cvlib.runs.metric_specs import headline
from cvlib.runs.run import Run, read_run
from cvlib.runtime.clock import duration
from cvlib.runtime.errors import MISTAKE, UserError
from cvlib.sweeps import one_job
from cvlib.transfer import sources

FROZEN = "frozen"  # the stage of a run on cached features
Compose = Callable[[Sequence[str]], Any]  # overrides → the config as Hydra composes it; raises `UserError`


@dataclass(frozen=True)
class Trained:
    """A run of a candidate that has ended.

    Attributes:
        candidate: what was trained.
        folder: the run's folder.
        value: the main metric on validation; None if the run failed.
        seconds: wall-clock time of the whole run.
        trained: seconds of its training.
        minutes: its trainer.minutes; None: the candidate's own number of epochs.
        error: why it failed.
    """

    candidate: Candidate
    folder: Path
    value: float | None
    seconds: float
    trained: float
    minutes: float | None
    error: str | None

    @property
    def run(self) -> Run:
        """The record of the run, read from its folder."""
        return read_run(self.folder)


@dataclass
class Session:
    """One recommendation.

    Attributes:
        settings: the numbers from conf/recommend.
        data: the overrides that select the data.
        task: the name of the task.
        folder: the sweep's folder, which holds all runs and the journal.
        compose: composes the config of a run.
        say: prints a line.
        shared: overrides that all runs get besides, such as a fraction of the data.
        epoch_seconds: expected time of an epoch of a detector or segmenter; 0 for other tasks.
    """

    settings: Settings
    data: tuple[str, ...]
    task: str
    folder: Path
    outputs: Path
    seed: int
    journal: Journal
    compose: Compose
    say: Callable[[str], None]
    shared: tuple[str, ...] = ()
    epoch_seconds: float = 0.0
    overheads: list[float] = field(default_factory=list)  # seconds of each run besides its training

    @property
    def seconds(self) -> float:
        """The whole time in seconds."""
        return 60 * self.settings.minutes

    @property
    def left(self) -> float:
        """Seconds until the test and the page have to begin."""
        return self.seconds * (1 - self.settings.reserve) - self.journal.elapsed

    @property
    def shortest(self) -> float:
        """Seconds of training below which a short run says nothing about its candidate."""
        return max(self.settings.shortest, self.settings.race_epochs * self.epoch_seconds)

    @property
    def overhead(self) -> float:
        """Expected seconds of a run besides its training: the median so far, or the number in the settings.

        A run that was killed and continued has far more.
        """
        return statistics.median(self.overheads) if self.overheads else self.settings.overhead

    def overrides(self, candidate: Candidate, seed: int, minutes: float | None = None) -> list[str]:
        """Return the overrides of a run, apart from where it is written and that the test split stays unread."""
        limit = [] if minutes is None else [f"trainer.minutes={minutes:.4g}"]
        return [*self.data, *candidate.overrides, *self.shared, f"data.split_seed={self.seed}", f"seed={seed}", *limit]

    def train(self, stage: str, candidate: Candidate, seed: int, minutes: float | None) -> Trained:
        """Train a candidate in a process of its own, or return its run if it has ended already."""
        what = f"{stage}: {candidate.name}, seed {seed}"
        plan = self.journal.decide(f"run {what}", lambda: {"minutes": minutes, "began": self.journal.elapsed})
        planned, began = plan["minutes"], plan["began"]  # over all processes
        folder = self.folder / re.sub(r"[^\w.-]+", "_", what)
        if f"result {what}" not in self.journal:
            limit = "" if planned is None else f", {duration(60 * planned)} of training"
            self.say(f"{what}{limit} ({duration(max(self.left, 0))} left)")
        found = self.journal.decide(f"result {what}", lambda: self._train(candidate, folder, seed, planned, began))
        if found["value"] is not None and stage != FROZEN:  # such a run also computes the features
            self.overheads.append(max(found["seconds"] - found["trained"], 0.0))
        return Trained(candidate, folder, found["value"], found["seconds"], found["trained"], planned, found["error"])

    def _train(
        self, candidate: Candidate, folder: Path, seed: int, minutes: float | None, began: float
    ) -> dict[str, Any]:  # fmt: skip
        given = [
            *self.overrides(candidate, seed, minutes),
            "trainer.test=false",
            f"output_root={in_quotes(str(self.outputs))}",
        ]
        composed = self.compose(given)
        texts = {".hydra/config.yaml": OmegaConf.to_yaml(composed, resolve=True),
                 ".hydra/overrides.yaml": OmegaConf.to_yaml(given)}  # fmt: skip
        try:  # a candidate that doesn't fit the images is a failed one
            sources.check(tasks.config_of(composed))
        except UserError as error:
            self.say(f"  left out: {error}")
            return {"value": None, "seconds": 0.0, "trained": 0.0, "error": str(error)}
        outcome = one_job.run_isolated(composed, folder, texts, quiet=True)
        if outcome.code == MISTAKE:
            raise UserError(outcome.error or "invalid input")
        summary = outcome.summary
        self._refuse_changed(summary.get("split_fingerprints") or {}, seed)
        metrics = summary.get("metrics") or {}
        value = None if outcome.error else metrics.get(validation_metric(summary))
        if value is None:
            self.say(f"  failed: {outcome.error or 'it has no result on validation'}")
        else:
            self.say(f"  {validation_metric(summary)} {value:.4f} in {duration(self.journal.elapsed - began)}")
        trained = (summary.get("timing") or {}).get("train", 0.0)
        return {"value": value, "seconds": round(self.journal.elapsed - began, 2), "trained": trained,
                "error": outcome.error}  # fmt: skip

    def _refuse_changed(self, found: dict[str, Any], seed: int) -> None:
        """Raise `UserError` if a run read other images than the runs before it, going by its splits' fingerprints."""
        if not found:
            return
        known = {f"fingerprint of {name}": found.get(name) for name in ("val", "test")}
        known[f"fingerprint of train, seed {seed}"] = found.get("train")  # data.fraction draws by the seed
        if any(self.journal.decide(what, partial(known.get, what)) != value for what, value in known.items()):
            raise UserError("the images or their labels changed while the recommendation ran: give the command again "
                            f"with another --name, or delete {self.folder}")  # fmt: skip


def validation_metric(summary: dict[str, Any]) -> str:
    """Return the task's main metric on validation, such as val/accuracy."""
    return tables.validation_metric(headline(summary))


def by_sample(runs: Sequence[Trained]) -> np.ndarray | None:
    """Return the main metric of each validation sample `(runs, samples)`; None if the runs lack it or differ."""
    rows = [sample_values(one.run, validation_metric(one.run.summary)) for one in runs]
    known = [row for row in rows if row is not None]
    if not known or len(known) < len(rows) or any(row[0] != known[0][0] for row in known):
        return None
    return np.array([row[1] for row in known])
