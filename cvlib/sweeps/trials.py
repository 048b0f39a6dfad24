"""What a search is, and the study in which its workers keep their trials. No Hydra, no TensorFlow."""

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
    raise UserError("hydra.sweeper.trials searches with Optuna, which isn't installed: pip install -e '.[search]'") \
        from None  # fmt: skip

_STUDY = "search"
_FILES = ("journal", "sqlite")
_MAXIMIZE = optuna.study.StudyDirection.MAXIMIZE


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones or in steps where these are given."""

    low: float
    high: float
    log: bool = False
    whole: bool = False
    step: float | None = None


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


def check_storage(search: Search) -> None:
    """Raise `UserError` for a database that can't be opened; a file is made with the study."""
    if search.storage not in _FILES:
        _storage(search)


def create(search: Search) -> optuna.Study:
    """The study in the folder, or a new one; raises `UserError` where the folder's searches something else."""
    direction = optuna.study.StudyDirection.MINIMIZE if search.monitor.endswith("loss") else _MAXIMIZE
    study = optuna.create_study(study_name=_STUDY, storage=_storage(search), direction=direction, load_if_exists=True)
    space = {key: asdict(value) if isinstance(value, Range) else list(value) for key, value in search.space.items()}
    asked = json.dumps({"space": space, "fixed": sorted(search.fixed), "monitor": search.monitor}, sort_keys=True)
    if (before := study.user_attrs.get("asked", asked)) != asked:
        raise UserError(f"{search.folder} holds a search of {_apart(json.loads(before), json.loads(asked))}: choose "
                        "another name=… or hydra.sweep.dir=…")  # fmt: skip
    study.set_user_attr("asked", asked)
    return study


def _apart(before: dict[str, Any], now: dict[str, Any]) -> str:
    if before["fixed"] != now["fixed"]:
        alone = [" ".join(sorted(set(one["fixed"]) - set(other["fixed"]))) or "nothing"
                 for one, other in ((before, now), (now, before))]  # fmt: skip
        return f"other overrides ({alone[0]} there, {alone[1]} here)"
    return f"another monitor ({before['monitor']})" if before["monitor"] != now["monitor"] else "another space"


def opened(search: Search) -> optuna.Study:
    """The study that is there, to tell and to ask."""
    pruner = optuna.pruners.MedianPruner(search.startup_trials, search.warmup_epochs)
    return optuna.load_study(study_name=_STUDY, storage=_storage(search), pruner=pruner)


def _storage(search: Search) -> Any:
    return _connected(search.storage, search.folder, os.getpid())


@lru_cache(maxsize=4)
def _connected(storage: str, folder: Path, process: int) -> Any:
    """Opened once in a process: a forked one must not go on with its parent's connections."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if storage == "journal":
        path = folder / "study.journal"
        lock = JournalFileSymlinkLock(str(path))
        _drop_half_line(path, lock)
        return optuna.storages.JournalStorage(JournalFileBackend(str(path), lock))
    try:
        return optuna.storages.get_storage(f"sqlite:///{folder / 'study.db'}" if storage == "sqlite" else storage)
    except Exception as error:  # of whichever database's driver
        raise UserError(f"hydra.sweeper.storage={storage} can't be opened ({error}): it must be journal, sqlite or a "
                        "database's URL such as postgresql://host/name") from error  # fmt: skip


def _drop_half_line(path: Path, lock: JournalFileSymlinkLock) -> None:
    """Cut off what a full disk left of a last line: the next one, written behind it, would make both unreadable."""
    lock.acquire()
    try:
        content = path.read_bytes() if path.is_file() else b""
        if content and not content.endswith(b"\n"):
            os.truncate(path, content.rfind(b"\n") + 1)
    finally:
        lock.release()


def running(study: optuna.Study) -> list[int]:
    """The numbers of the trials that were begun and not ended."""
    return [trial.number for trial in study.trials if trial.state == optuna.trial.TrialState.RUNNING]


def begun(study: optuna.Study, number: int) -> optuna.Trial:
    """A trial that was begun, to go on with."""
    return optuna.trial.Trial(study, study.trials[number]._trial_id)


def drawn(trial: optuna.Trial, space: Space) -> optuna.Trial:
    """The trial with a value for each override of the space."""
    for key, choice in space.items():
        if isinstance(choice, tuple):
            trial.suggest_categorical(key, choice)
        elif choice.whole:
            step = int(choice.step or 1)
            trial.suggest_int(key, int(choice.low), int(choice.high), log=choice.log, step=step)
        else:
            trial.suggest_float(key, choice.low, choice.high, log=choice.log, step=choice.step)
    return trial
