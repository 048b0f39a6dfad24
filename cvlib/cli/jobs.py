"""What `run.py` says and answers: exit codes, one-line errors, folder names. No Hydra, no TensorFlow."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from cvlib.runtime.errors import (
    COMPLETED,
    FAILED,
    MISTAKE,
    RunFailed,
    UserError,
    complain,
    in_words,
    interrupt,
)

LAUNCHER_EXTRAS = {"joblib": "joblib", "ray": "ray", "submitit": "slurm"}  # a word of its plugin's name → our extra
_LONGEST_NAME = 150  # bytes; file systems take 255, TensorBoard's list of runs is read by people
_READABLE = 20  # bytes of an override


@dataclass(frozen=True)
class Outcome:
    """How one job ended."""

    folder: Path
    code: int
    summary: dict[str, Any]
    error: str | None = None


def run_job(
    composed: Any, folder: Path, provenance: dict[str, str],
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
) -> Outcome:  # fmt: skip
    """Run one composed config in `folder`; only Ctrl-C and SIGTERM go up as exceptions."""
    from cvlib import experiment
    from cvlib.config import checks
    from cvlib.runs import record

    signal.signal(signal.SIGTERM, interrupt)  # how clusters preempt
    try:
        summary = experiment.run(checks.from_composed(composed), folder, provenance, on_epoch=on_epoch)
        return Outcome(folder, COMPLETED, summary)
    except UserError as error:
        record.remove_if_empty(folder, Path(composed.output_root))
        return Outcome(folder, MISTAKE, {}, str(error))
    except RunFailed as error:
        return Outcome(folder, FAILED, {}, str(error))
    except Exception as error:
        words = in_words(error)
        if words is None:
            traceback.print_exc()
        return Outcome(folder, FAILED, {}, words or f"{type(error).__name__}: {error}")


def run_isolated(*arguments: Any, quiet: bool = False) -> Outcome:
    """`run_job` in a process of its own, which takes with it what the job leaves behind or breaks."""
    from cvlib.runtime import isolation
    from cvlib.training.devices import import_frameworks

    try:
        outcome: Outcome = isolation.call(run_job, *arguments, quiet=quiet, prepare=import_frameworks)
        return outcome
    except isolation.Killed as error:
        return Outcome(arguments[1], FAILED, {}, str(error))


def shares_process(launcher: str) -> bool:
    """Whether a launcher of Hydra's runs several jobs in one process; Ray's and SLURM's jobs have their own."""
    return launcher.endswith(("BasicLauncher", "JoblibLauncher"))


def provenance(composed: Any, hydra_config: Any) -> dict[str, str]:
    """What Hydra knows of a job, as files for the run's folder."""
    overrides = OmegaConf.to_container(hydra_config.overrides.task)
    return {
        ".hydra/config.yaml": OmegaConf.to_yaml(composed),
        ".hydra/hydra.yaml": OmegaConf.to_yaml(hydra_config),
        ".hydra/overrides.yaml": OmegaConf.to_yaml(OmegaConf.create(overrides)),
    }


def cores_per_job(jobs: int) -> int:
    """The threads that each of `jobs` at a time may use without fighting for cores; −1 jobs: one per core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(cores // jobs, 1) if jobs > 0 else 1


def conclude(outcomes: list[Outcome]) -> int:
    """Say what kept a single run from completing; return the exit code."""
    for outcome in outcomes:
        if outcome.code != COMPLETED:
            complain(outcome.error or "failed")
            return outcome.code
    return COMPLETED


def folder_name(overrides: str) -> str:
    """A folder's name for a job's overrides: readable, flat, short enough for any file system.

    It depends on these overrides alone, for the next sweep must find the folder again: as nobody can know which of
    them vary, room is made by what is long, and every key and value stays visible at least in short.
    """
    name = re.sub(r"[^\w.,=+-]", "_", overrides) or "defaults"
    if name == overrides and len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(overrides.encode()).hexdigest()[:8]
    return _within(name, _LONGEST_NAME - 9) + "-" + digest


def _within(name: str, room: int) -> str:
    """Overrides in so many bytes: the middle of the longest is left out, and where that isn't enough the keys' groups.

    Answers such as model=cnn and the seed come first.
    `data.path=_home_me_photographs_birds,seed=3` → `seed=3,data.path=_..aphs_birds`.
    """
    parts = sorted(re.split(r",(?=[\w.]+=)", name), key=lambda part: "." in part.partition("=")[0])
    each = _share(parts, room)
    if each < _READABLE:
        parts = [re.sub(r"^[\w.]*\.(?=\w+=)", "", part) for part in parts]
        each = _share(parts, room)
    return _cut(",".join(_cut(part, each) for part in parts), room)


def _share(parts: list[str], room: int) -> int:
    """The most bytes for any one part with which all of them, and the commas between, take no more than `room`."""
    sizes = [len(part.encode()) for part in parts]
    fitting = (each for each in range(room, 4, -1) if sum(min(size, each) + 1 for size in sizes) <= room + 1)
    return next(fitting, 4)


def _cut(text: str, room: int) -> str:
    """The text in at most so many bytes, its middle left out where it is longer."""
    whole, end = text.encode(), max(room - 2, 0) // 2
    if len(whole) <= room:
        return text
    return whole[: room - 2 - end].decode(errors="ignore") + ".." + whole[len(whole) - end :].decode(errors="ignore")


def is_hydra_error(error: Exception) -> bool:
    """Whether Hydra or OmegaConf raised it while composing, rather than a run of ours."""
    return type(error).__module__.split(".")[0] in ("hydra", "omegaconf", "antlr4")


def explain(error: Exception, conf: Path, arguments: list[str]) -> str:
    """One line for an error of Hydra's: the key or value that is wrong, and the nearest right one."""
    text = str(error)
    if absent := re.search(r"Could not load 'hydra/launcher/(submitit)\w*'", text):
        return not_installed("slurm", LAUNCHER_EXTRAS[absent.group(1)])
    if missing := re.search(r"Could not find '([\w/-]+)/([^'/]*)'", text):
        group, choice = missing.groups()
        return f"{group}={choice}: there is no such {group}; " + _suggest(choice, choices(conf, group))
    if type(error).__name__ == "OverrideParseException":
        said = re.sub(r"^\w*(Exception|Error): ", "", text.splitlines()[0])
        return f"{said}: an override reads key=value; brackets, commas or spaces need quotes inside: \"key='a value'\""
    overrides = [a for a in arguments if "=" in a and not a.startswith("-")]
    if studies := [a for a in overrides if a.startswith("experiment=")]:
        return f"{studies[0]}: a study is added with a plus, +{studies[0]}"
    for key in (override.split("=")[0].lstrip("+~") for override in overrides):
        if key.startswith("hydra.sweeper.") and key not in (known := _sweeper_keys(conf)):
            return f"{key}: there is no such key; " + _suggest(key, known)
        if not key.startswith("hydra") and "@" not in key and key not in (known := keys(conf, arguments)):
            return f"{key}: " + (_belongs_elsewhere(conf, key) or "there is no such key; " + _suggest(key, known))
    return text.splitlines()[0] if text else type(error).__name__


def not_installed(launcher: str, extra: str) -> str:
    """One line for a launcher that is an extra."""
    return f"hydra/launcher={launcher} isn't installed: pip install -e '.[{extra}]'"


def choices(conf: Path, group: str) -> list[str]:
    """The files of a config group, by name."""
    return sorted(path.stem for path in (conf / group).glob("*.yaml"))


def keys(conf: Path, arguments: list[str]) -> list[str]:
    """Every key that can be overridden, with the groups chosen in `arguments`."""
    defaults = yaml.safe_load((conf / "config.yaml").read_text())
    found = [key for key in defaults if key not in ("defaults", "hydra")]
    for entry in defaults["defaults"]:
        group, choice = next(iter(entry.items())) if isinstance(entry, dict) else ("", "")
        if not (conf / group).is_dir() or not group:
            continue
        chosen = next((a.split("=", 1)[1] for a in arguments if a.startswith(f"{group}=")), choice)
        found.append(group)
        for name in {choice, chosen.split(",")[0]}:
            found += [f"{group}.{key}" for key in _file_keys(conf / group / f"{name}.yaml")]
    return sorted(set(found))


def _sweeper_keys(conf: Path) -> list[str]:
    return [f"hydra.sweeper.{key}" for key in _file_keys(conf / "hydra/sweeper/resumable.yaml") if key != "_target_"]


def _belongs_elsewhere(conf: Path, key: str) -> str | None:
    group, _, name = key.partition(".")
    owners = [choice for choice in choices(conf, group) if name in _file_keys(conf / group / f"{choice}.yaml")]
    return f"only {group}={' | '.join(owners)} has this key" if name and owners else None


def _file_keys(path: Path) -> list[str]:
    """The keys of a group's file, and of what all files of that group have in common."""
    common = path.parents[1] / "common" / f"{path.parent.name}.yaml"
    contents = [yaml.safe_load(file.read_text()) or {} for file in (path, common) if file.exists()]
    return list(dict.fromkeys(key for content in contents for key in content if key != "defaults"))


def _suggest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    same_end = [key for key in known if key.split(".")[-1] == word.split(".")[-1]]
    nearest = list(dict.fromkeys(same_end + close))[:3]
    if nearest:
        return f"did you mean {' or '.join(nearest)}?"
    return "choose from " + ", ".join(known) if len(known) < 20 else "`python run.py --help` lists them all"
