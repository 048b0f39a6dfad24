"""One job, alone or of a sweep: run it, here or in a process of its own, and say how it ended."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
)  # fmt: skip


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
    from cvlib import experiment, tasks
    from cvlib.runs import record

    signal.signal(signal.SIGTERM, interrupt)  # how clusters preempt
    try:
        summary = experiment.run(tasks.config_of(composed), folder, provenance, on_epoch=on_epoch)
        return Outcome(folder, COMPLETED, summary)
    except UserError as error:
        record.remove_if_empty(folder, Path(str(composed.output_root)))
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
