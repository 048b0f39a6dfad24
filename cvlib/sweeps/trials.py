"""The settings of a search, and the Optuna study that holds its trials. Imports neither Hydra nor TensorFlow."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cvlib.runtime.errors import UserError

try:
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
except ImportError:
    raise UserError("hydra.sweeper.trials needs Optuna, which isn't installed: pip install -e '.[search]'") \
        from None  # fmt: skip

_STUDY = "search"
_FILES = ("journal", "sqlite")
_MAXIMIZE = optuna.study.StudyDirection.MAXIMIZE


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; optionally on a log scale, whole numbers only, or in steps."""

    low: float
    high: float
    log: bool = False
    whole: bool = False
    step: float | None = None


Space = dict[str, Range | tuple[str, ...]]  # override → a range, or its choices


@dataclass(frozen=True)
class Search:
    """The settings of a search: its folder, its space and its budget."""

    folder: Path
    space: Space
    fixed: tuple[str, ...]  # the overrides that all trials share
    monitor: str  # the metric to optimize, such as val/accuracy
    trials: int = 20
    workers: int = 1
    startup_trials: int = 8
    prune: bool = True
    warmup_epochs: int = 3
    seed: int = 0
    storage: str = "journal"


def check_storage(search: Search) -> None:
    """Raise `UserError` for a database that can't be opened. Files are created later, with the study."""
    if search.storage not in _FILES:
        _storage(search)


def create(search: Search) -> optuna.Study:
    """Return the study in the folder, or a new one; raises `UserError` if the folder holds a different search."""
    direction = optuna.study.StudyDirection.MINIMIZE if search.monitor.endswith("loss") else _MAXIMIZE
    study = optuna.create_study(study_name=_STUDY, storage=_storage(search), direction=direction, load_if_exists=True)
    space = {key: asdict(value) if isinstance(value, Range) else list(value) for key, value in search.space.items()}
    asked = json.dumps({"space": space, "fixed": sorted(search.fixed), "monitor": search.monitor}, sort_keys=True)
    if (before := study.user_attrs.get("asked", asked)) != asked:
        raise UserError(f"{search.folder} holds a search with {_difference(json.loads(before), json.loads(asked))}: "
                        "choose another name=… or hydra.sweep.dir=…")  # fmt: skip
    study.set_user_attr("asked", asked)
    return study


def _difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    if before["fixed"] != now["fixed"]:
        removed, added = (" ".join(sorted(set(first["fixed"]) - set(second["fixed"]))) or "nothing"
                          for first, second in ((before, now), (now, before)))  # fmt: skip
        return f"other overrides ({removed} there, {added} here)"
    return f"another monitor ({before['monitor']})" if before["monitor"] != now["monitor"] else "another search space"


def opened(search: Search) -> optuna.Study:
    """Return the existing study, with the pruner."""
    pruner = optuna.pruners.MedianPruner(search.startup_trials, search.warmup_epochs)
    return optuna.load_study(study_name=_STUDY, storage=_storage(search), pruner=pruner)


def _storage(search: Search) -> Any:
    return _connected(search.storage, search.folder, os.getpid())


@lru_cache(maxsize=4)
def _connected(storage: str, folder: Path, process: int) -> Any:
    """Open the storage once per process, because a forked process must not use its parent's connections."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if storage == "journal":
        path = folder / "study.journal"
        lock = JournalFileSymlinkLock(str(path))
        _drop_incomplete_line(path, lock)
        return optuna.storages.JournalStorage(JournalFileBackend(str(path), lock))
    try:
        return optuna.storages.get_storage(f"sqlite:///{folder / 'study.db'}" if storage == "sqlite" else storage)
    except Exception as error:  # each database driver raises its own exception types
        raise UserError(f"hydra.sweeper.storage={storage} can't be opened ({error}): expected journal, sqlite or a "
                        "database URL such as postgresql://host/name") from error  # fmt: skip


def _drop_incomplete_line(path: Path, lock: JournalFileSymlinkLock) -> None:
    """Remove an incomplete last line (left by a full disk); a line appended to it would make both unreadable."""
    lock.acquire()
    try:
        content = path.read_bytes() if path.is_file() else b""
        if content and not content.endswith(b"\n"):
            os.truncate(path, content.rfind(b"\n") + 1)
    finally:
        lock.release()


def running(study: optuna.Study) -> list[int]:
    """Return the numbers of the trials that have started but not finished."""
    return [trial.number for trial in study.trials if trial.state == optuna.trial.TrialState.RUNNING]


def begun(study: optuna.Study, number: int) -> optuna.Trial:
    """Return a started trial, to resume it."""
    return optuna.trial.Trial(study, study.trials[number]._trial_id)


def drawn(trial: optuna.Trial, space: Space) -> optuna.Trial:
    """Return the trial after drawing a value for each override of the space."""
    for key, choice in space.items():
        if isinstance(choice, tuple):
            trial.suggest_categorical(key, choice)
        elif choice.whole:
            step = int(choice.step or 1)
            trial.suggest_int(key, int(choice.low), int(choice.high), log=choice.log, step=step)
        else:
            trial.suggest_float(key, choice.low, choice.high, log=choice.log, step=choice.step)
    return trial
