"""A search with Optuna. Trials are ordinary runs, and `cvlib.sweeps.trials` stores the study next to them.

The search uses Optuna's ask-and-tell interface and doesn't import Hydra. Workers claim trials under a lock, so that
several workers never start more trials than requested, even on several machines that share the folder. Each trial has
a lock that is released if its worker dies. The next worker then resumes the trial's run from its checkpoint.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from cvlib.runs import record
from cvlib.runtime import isolation
from cvlib.runtime.clock import about
from cvlib.runtime.errors import Pruned, RunFailed, UserError, complain
from cvlib.sweeps import jobs as sweep
from cvlib.sweeps import one_job, trials
from cvlib.sweeps.jobs import Job, Row
from cvlib.sweeps.trials import Search, optuna  # raises a helpful error if Optuna is not installed
from cvlib.training.devices import import_frameworks

_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


class Prepared(NamedTuple):
    """A composed job: what `one_job.run_job` takes, and its overrides."""

    config: Any
    folder: Path
    provenance: dict[str, str]
    overrides: tuple[str, ...]  # without those that the job doesn't use


Compose = Callable[[Sequence[str]], Prepared]  # overrides → a job; may raise Hydra's errors


def run(search: Search, compose: Compose) -> None:
    """Run trials up to the requested number; raises `RunFailed` if a trial failed or none completed."""
    if search.workers > 1 and sys.platform != "linux":
        raise UserError(
            "hydra.sweeper.workers above 1 requires Linux: start the same command in several terminals instead"
        )
    trials.check_storage(search)  # before anything is written
    (search.folder / ".locks").mkdir(parents=True, exist_ok=True)
    with _claiming(search):
        study = trials.create(search)
    left = search.trials - len(study.trials) + len(trials.running(study))
    print(f"{search.trials} trials, {search.trials - left} already done; {max(left, 0)} to run", flush=True)
    try:
        if left > 0 and search.workers > 1:
            workers = [(search, compose, True)] * min(search.workers, left)
            isolation.call_all(_work, workers, prepare=import_frameworks)
        _work(search, compose, False)  # as the only worker, or to finish the trials of killed workers
    except KeyboardInterrupt:
        _conclude(search, interrupted=True)
        raise
    _conclude(search)


def _work(search: Search, compose: Compose, quiet: bool) -> None:
    """Claim trials, run them and report them to Optuna, until no trial is left."""
    if quiet:
        for name in _THREADS:
            os.environ.setdefault(name, str(one_job.cores_per_job(search.workers)))
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    while claimed := _claim(search):
        trial, lock = claimed
        with lock:
            _run_trial(search, compose, trial, quiet)


def _run_trial(search: Search, compose: Compose, trial: optuna.Trial, quiet: bool) -> None:
    overrides = [*search.fixed, *(f"{key}={_text(value)}" for key, value in trial.params.items())]
    try:
        prepared = compose(overrides)
    except Exception as error:
        _tell_failed(search, trial, f"{type(error).__name__}: {error}")
        return
    trial.set_user_attr("folder", prepared.folder.name)
    trial.set_user_attr("overrides", list(prepared.overrides))
    print("\n" + _progress(search, trial), flush=True)
    sweep.settle([Job("", (), prepared.folder)])  # the run of a killed worker takes a moment to stop
    report = Reporter(search, trial.number) if search.prune else None
    outcome = one_job.run_isolated(prepared.config, prepared.folder, prepared.provenance, report, quiet=quiet)
    _tell(search, trial, prepared.folder, outcome)


def _tell(search: Search, trial: optuna.Trial, folder: Path, outcome: one_job.Outcome) -> None:
    """Report the outcome to Optuna; pruned and diverged trials count as bad, so the sampler avoids their region."""
    summary = record.read_summary(folder) or {}
    status, value = summary.get("status"), (summary.get("metrics") or {}).get(search.monitor)
    study = trials.opened(search)
    if status == "completed" and value is not None and not outcome.error:
        study.tell(trial.number, value)
    elif status in ("pruned", "diverged"):
        study.tell(trial.number, state=optuna.trial.TrialState.PRUNED)
    else:
        _tell_failed(search, trial, outcome.error or f"the run's status is {status}, and it has no {search.monitor}")


def _tell_failed(search: Search, trial: optuna.Trial, error: str) -> None:
    trial.set_user_attr("error", error)
    trials.opened(search).tell(trial.number, state=optuna.trial.TrialState.FAIL)


class Reporter:
    """A callback that reports the monitor to Optuna after each epoch; raises `Pruned` for an unpromising trial."""

    def __init__(self, search: Search, number: int):
        self.search, self.number = search, number
        self.trial: optuna.Trial | None = None

    def __call__(self, epoch: int, values: dict[str, float]) -> None:
        if self.trial is None:  # opened here, because the run's process needs its own database connection
            self.trial = trials.begun(trials.opened(self.search), self.number)
        self.trial.report(values[self.search.monitor], epoch)
        if self.trial.should_prune():
            raise Pruned(f"pruned after epoch {epoch}: {self.search.monitor} {values[self.search.monitor]:.4f} is "
                         "worse than the median of the other trials")  # fmt: skip


@contextmanager
def _claiming(search: Search) -> Iterator[None]:
    with FileLock(search.folder / ".locks/claim"):
        yield


def _claim(search: Search) -> tuple[optuna.Trial, FileLock] | None:
    """Return the next trial with its lock: one whose worker has died, else a new one, else None."""
    with _claiming(search):
        study = trials.opened(search)
        for number in trials.running(study):
            if lock := _try_lock(search, number):
                return trials.drawn(trials.begun(study, number), search.space), lock
        if len(study.trials) >= search.trials:
            return None
        # Each trial has its own sampler, because workers with the same seed would all draw the same values.
        study.sampler = optuna.samplers.TPESampler(
            seed=search.seed * 100_003 + len(study.trials), n_startup_trials=search.startup_trials, constant_liar=True
        )
        trial = study.ask()
        lock = _try_lock(search, trial.number)
        assert lock is not None
        return trials.drawn(trial, search.space), lock


def _try_lock(search: Search, number: int) -> FileLock | None:
    lock = FileLock(search.folder / f".locks/trial-{number}", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return None
    return lock


def _text(value: Any) -> str:
    """Return a drawn value as text for an override; floats have four significant digits for readability."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _progress(search: Search, trial: optuna.Trial) -> str:
    study = trials.opened(search)
    done = [other for other in study.trials if other.state.is_finished()]
    parts = [f"{len(done)} done"]
    if any(other.state == optuna.trial.TrialState.COMPLETE for other in done):
        parts.append(f"best {search.monitor} {study.best_value:.4f}")
    spans = [other.duration.total_seconds() for other in done if other.duration]
    if spans:
        seconds = sum(spans) / len(spans) * (search.trials - len(done)) / search.workers
        parts.append(f"about {about(seconds)} left")
    return f"trial {trial.number + 1} of {search.trials}: {_label(trial.params)} ({', '.join(parts)})"


def _label(params: dict[str, Any]) -> str:
    return " ".join(f"{key}={_text(value)}" for key, value in params.items())


def _rows(search: Search, study: optuna.Study) -> list[Row]:
    rows = []
    for trial in study.trials:
        label = f"trial {trial.number + 1}: {_label(trial.params)}"
        folder, error = trial.user_attrs.get("folder"), trial.user_attrs.get("error")
        job = Job(label, search.fixed, search.folder / folder, error) if folder else None
        rows.append(sweep.row_of(job, search.monitor) if job else Row(label, "failed", None, None, None, error, ""))
    return rows


def _conclude(search: Search, interrupted: bool = False) -> None:
    study = trials.opened(search)
    rows = _rows(search, study)
    failed = [row for row, trial in zip(rows, study.trials, strict=True) if trial.state == optuna.trial.TrialState.FAIL]
    status = "interrupted" if interrupted else "failed" if failed else "completed"
    sweep.write_results(search.folder, rows, status)
    print("\n" + "\n".join(sweep.table(rows)) if rows else "no trials yet", flush=True)
    completed = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    if completed:
        best = study.best_trial
        overrides = best.user_attrs.get("overrides", [*search.fixed, *_label(best.params).split()])
        overrides = [override for override in overrides if not override.startswith("+sweep=")]
        print(f"\nbest of {len(completed)} completed trials: trial {best.number + 1}, {search.monitor} "
              f"{best.value:.4f}, in {search.folder / best.user_attrs['folder']}\n"
              f"its overrides: {' '.join(overrides)}\n"
              f"report its test metrics: {search.monitor} is optimistic, because it selected the trial",
              flush=True)  # fmt: skip
    print(f"recorded in {search.folder}; `cvlib compare` shows all trials", flush=True)
    if interrupted:
        print("interrupted: the same command resumes from here", flush=True)
        return
    for row in failed:
        complain(f"{row.job}: {row.error}")
    if failed or not completed:
        raise RunFailed(f"{len(failed)} of {len(rows)} trials failed" if failed else "no trial completed")
