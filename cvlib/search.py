"""A search by Optuna: trials are ordinary runs, the study is a file beside them. No Hydra, no TensorFlow.

Optuna is told and asked (ask-and-tell); claiming a trial happens under a lock, so that several workers, on one
machine or on more that share the folder, never start more trials than asked for. A trial is held by a lock that
dies with its worker: whoever comes next takes it up again, and its run goes on from its checkpoint.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from cvlib import command, isolation, record, sweep
from cvlib.errors import Pruned, RunFailed, UserError
from cvlib.sweep import Job, Row

try:
    import optuna
    from optuna.storages.journal import JournalFileBackend
except ImportError:
    raise UserError("hydra.sweeper.trials searches with Optuna, which isn't installed: pip install -e '.[search]'") \
        from None  # fmt: skip

_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
_STUDY = "search"
_FILES = ("journal", "sqlite")
_MAXIMIZE = optuna.study.StudyDirection.MAXIMIZE


class Prepared(NamedTuple):
    """A composed job: what `command.run_job` takes."""

    config: Any
    folder: Path
    provenance: dict[str, str]


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones or in steps where these are given."""

    low: float
    high: float
    log: bool = False
    whole: bool = False
    step: float | None = None


Compose = Callable[[Sequence[str]], Prepared]  # overrides → a job; Hydra's errors go up
Space = dict[str, Range | tuple[str, ...]]  # override → a range, or its choices


@dataclass(frozen=True)
class Search:
    """What is searched, where, and for how long."""

    folder: Path
    space: Space
    fixed: tuple[str, ...]  # the overrides that all trials share
    monitor: str  # such as val/accuracy: what trials are judged by
    trials: int = 20
    workers: int = 1
    startup_trials: int = 8
    prune: bool = True
    warmup_epochs: int = 3
    seed: int = 0
    storage: str = "journal"


def run(search: Search, compose: Compose) -> None:
    """Run trials until there are as many as asked for; raises `RunFailed` where one failed or none completed."""
    if search.workers > 1 and sys.platform != "linux":
        raise UserError(
            "hydra.sweeper.workers above 1 needs Linux: start the same command in further terminals instead"
        )
    if search.storage not in _FILES:
        _storage(search)  # a mistake in it is said before anything is written
    (search.folder / ".locks").mkdir(parents=True, exist_ok=True)
    with _claiming(search):
        study = _create(search)
    left = search.trials - len(study.trials) + len(_running(study))
    print(f"{search.trials} trials, {search.trials - left} over before; {max(left, 0)} to run", flush=True)
    try:
        if left > 0 and search.workers > 1:
            isolation.call_all(_work, [(search, compose, True)] * min(search.workers, left))
        _work(search, compose, False)  # alone, or what a killed worker has left
    except KeyboardInterrupt:
        _conclude(search, interrupted=True)
        raise
    _conclude(search)


def _work(search: Search, compose: Compose, quiet: bool) -> None:
    """One worker: claim a trial, run it, tell Optuna, until none is left."""
    if quiet:
        for name in _THREADS:
            os.environ.setdefault(name, str(command.cores_per_job(search.workers)))
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
    print("\n" + _progress(search, trial), flush=True)
    sweep.settle([Job("", (), prepared.folder)])  # the run of a killed worker needs a moment to notice
    report = Reporter(search, trial.number) if search.prune else None
    outcome = command.run_isolated(*prepared, report, quiet=quiet)
    _tell(search, trial, prepared.folder, outcome)


def _tell(search: Search, trial: optuna.Trial, folder: Path, outcome: command.Outcome) -> None:
    """A trial cut short or diverged counts as bad where it was, so that the sampler keeps away from there."""
    summary = record.read_summary(folder) or {}
    status, value = summary.get("status"), (summary.get("metrics") or {}).get(search.monitor)
    study = _open(search)
    if status == "completed" and value is not None and not outcome.error:
        study.tell(trial.number, value)
    elif status in ("pruned", "diverged"):
        study.tell(trial.number, state=optuna.trial.TrialState.PRUNED)
    else:
        _tell_failed(search, trial, outcome.error or f"the run is {status} and has no {search.monitor}")


def _tell_failed(search: Search, trial: optuna.Trial, error: str) -> None:
    trial.set_user_attr("error", error)
    _open(search).tell(trial.number, state=optuna.trial.TrialState.FAIL)


class Reporter:
    """After each epoch: hands the monitor to Optuna; raises `Pruned` where the trial is not worth going on."""

    def __init__(self, search: Search, number: int):
        self.search, self.number = search, number
        self.trial: optuna.Trial | None = None

    def __call__(self, epoch: int, values: dict[str, float]) -> None:
        if self.trial is None:  # in the process of the run, with connections of its own
            self.trial = _trial(_open(self.search), self.number)
        self.trial.report(values[self.search.monitor], epoch)
        if self.trial.should_prune():
            raise Pruned(f"pruned after epoch {epoch}: {self.search.monitor} {values[self.search.monitor]:.4f} is "
                         "under the median of the other trials")  # fmt: skip


@contextmanager
def _claiming(search: Search) -> Iterator[None]:
    with FileLock(search.folder / ".locks/claim"):
        yield


def _claim(search: Search) -> tuple[optuna.Trial, FileLock] | None:
    """The next trial with its lock: one whose worker is gone, else a new one, else None."""
    with _claiming(search):
        study = _open(search)
        for number in _running(study):
            if lock := _hold(search, number):
                return _drawn(_trial(study, number), search.space), lock
        if len(study.trials) >= search.trials:
            return None
        # A sampler of its own for each trial: workers started with one seed would all draw the same.
        study.sampler = optuna.samplers.TPESampler(
            seed=search.seed * 100_003 + len(study.trials), n_startup_trials=search.startup_trials, constant_liar=True
        )
        trial = study.ask()
        lock = _hold(search, trial.number)
        assert lock is not None
        return _drawn(trial, search.space), lock


def _drawn(trial: optuna.Trial, space: Space) -> optuna.Trial:
    for key, choice in space.items():
        if isinstance(choice, tuple):
            trial.suggest_categorical(key, choice)
        elif choice.whole:
            step = int(choice.step or 1)
            trial.suggest_int(key, int(choice.low), int(choice.high), log=choice.log, step=step)
        else:
            trial.suggest_float(key, choice.low, choice.high, log=choice.log, step=choice.step)
    return trial


def _hold(search: Search, number: int) -> FileLock | None:
    lock = FileLock(search.folder / f".locks/trial-{number}", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return None
    return lock


def _running(study: optuna.Study) -> list[int]:
    return [trial.number for trial in study.trials if trial.state == optuna.trial.TrialState.RUNNING]


def _trial(study: optuna.Study, number: int) -> optuna.Trial:
    return optuna.trial.Trial(study, study.trials[number]._trial_id)


def _create(search: Search) -> optuna.Study:
    """The study in the folder, or a new one; raises `UserError` where the folder's searches something else."""
    direction = optuna.study.StudyDirection.MINIMIZE if search.monitor.endswith("loss") else _MAXIMIZE
    study = optuna.create_study(study_name=_STUDY, storage=_storage(search), direction=direction, load_if_exists=True)
    space = {key: asdict(value) if isinstance(value, Range) else list(value) for key, value in search.space.items()}
    asked = json.dumps({"space": space, "fixed": sorted(search.fixed), "monitor": search.monitor}, sort_keys=True)
    if study.user_attrs.setdefault("asked", asked) != asked:
        raise UserError(f"{search.folder} holds a search of another space, other overrides or another monitor: "
                        "choose another name=… or hydra.sweep.dir=…")  # fmt: skip
    study.set_user_attr("asked", asked)
    return study


def _open(search: Search) -> optuna.Study:
    pruner = optuna.pruners.MedianPruner(search.startup_trials, search.warmup_epochs)
    return optuna.load_study(study_name=_STUDY, storage=_storage(search), pruner=pruner)


def _storage(search: Search) -> Any:
    return _connected(search.storage, search.folder, os.getpid())


@lru_cache(maxsize=4)
def _connected(storage: str, folder: Path, process: int) -> Any:
    """Opened once in a process: a forked one must not go on with its parent's connections."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if storage == "journal":
        return optuna.storages.JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    try:
        return optuna.storages.get_storage(f"sqlite:///{folder / 'study.db'}" if storage == "sqlite" else storage)
    except Exception as error:  # of whichever database's driver
        raise UserError(f"hydra.sweeper.storage={storage} can't be opened ({error}): it must be journal, sqlite or a "
                        "database's URL such as postgresql://host/name") from error  # fmt: skip


def _text(value: Any) -> str:
    """A drawn value as an override; four digits of a rate are enough, and readable."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _progress(search: Search, trial: optuna.Trial) -> str:
    study = _open(search)
    over = [one for one in study.trials if one.state.is_finished()]
    parts = [f"{len(over)} over"]
    if any(one.state == optuna.trial.TrialState.COMPLETE for one in over):
        parts.append(f"best {search.monitor} {study.best_value:.4f}")
    spans = [one.duration.total_seconds() for one in over if one.duration]
    if spans:
        seconds = sum(spans) / len(spans) * (search.trials - len(over)) / search.workers
        parts.append(f"about {sweep.about(seconds)} left")
    return f"trial {trial.number + 1} of {search.trials}: {_label(trial.params)} ({', '.join(parts)})"


def _label(params: dict[str, Any]) -> str:
    return " ".join(f"{key}={_text(value)}" for key, value in params.items())


def _rows(search: Search, study: optuna.Study) -> list[Row]:
    rows = []
    for trial in study.trials:
        label = f"trial {trial.number + 1}: {_label(trial.params)}"
        folder, error = trial.user_attrs.get("folder"), trial.user_attrs.get("error")
        job = Job(label, search.fixed, search.folder / folder, error) if folder else None
        rows.append(sweep.look(job, search.monitor) if job else Row(label, "failed", None, None, None, error, ""))
    return rows


def _conclude(search: Search, interrupted: bool = False) -> None:
    study = _open(search)
    rows = _rows(search, study)
    lost = [one.state == optuna.trial.TrialState.FAIL for one in study.trials]
    failed = [row for row, one in zip(rows, lost, strict=True) if one]
    status = "interrupted" if interrupted else "failed" if failed else "completed"
    sweep.write_results(search.folder, rows, status)
    print("\n" + "\n".join(sweep.table(rows)) if rows else "no trial yet", flush=True)
    completed = [one for one in study.trials if one.state == optuna.trial.TrialState.COMPLETE]
    if completed:
        best = study.best_trial
        fixed = " ".join(override for override in search.fixed if not override.startswith("+sweep="))
        print(f"\nbest of {len(completed)} completed: trial {best.number + 1}, {search.monitor} {best.value:.4f}, in "
              f"{search.folder / best.user_attrs['folder']}\n"
              f"its overrides: {' '.join(filter(None, [fixed, _label(best.params)]))}\n"
              "report its test metrics: the monitor flatters, having chosen it", flush=True)  # fmt: skip
    print(f"recorded in {search.folder}; cvlib compare shows all of them", flush=True)
    if interrupted:
        print("interrupted: the same command goes on from here", flush=True)
        return
    for row in failed:
        command.complain(f"{row.job}: {row.error}")
    if failed or not completed:
        raise RunFailed(f"{len(failed)} of {len(rows)} trials failed" if failed else "no trial completed")
