"""Run one job, alone or as part of a sweep, in this process or a separate one, and report its outcome."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from cvlib.runtime import hardware, stopping
from cvlib.runtime.errors import (
    COMPLETED,
    FAILED,
    MISTAKE,
    RunFailed,
    UserError,
    complain,
    interrupt,
    user_message,
)  # fmt: skip

PATIENCE = 20.0  # seconds; a stopped process saves its state before it releases its folder


@dataclass(frozen=True)
class Outcome:
    """The outcome of one job."""

    folder: Path
    code: int
    summary: dict[str, Any]
    error: str | None = None


def run_job(
    composed: Any, folder: Path, provenance: dict[str, str],
    on_epoch: Callable[[int, dict[str, float]], None] | None = None, wait: float = 0,
) -> Outcome:  # fmt: skip
    """Run one composed config in `folder`; only signals to stop are raised as exceptions.

    `wait`: see `experiment.run`.
    """
    from cvlib import experiment, tasks
    from cvlib.runs import record

    stopping.handle(interrupt)
    try:
        summary = experiment.run(tasks.config_of(composed), folder, provenance, wait, on_epoch)
        return Outcome(folder, COMPLETED, summary)
    except UserError as error:
        record.remove_if_empty(folder, Path(str(composed.output_root)))
        return Outcome(folder, MISTAKE, {}, str(error))
    except RunFailed as error:
        return Outcome(folder, FAILED, {}, str(error))
    except Exception as error:
        message = user_message(error)
        if message is None:
            traceback.print_exc()
        return Outcome(folder, FAILED, {}, message or f"{type(error).__name__}: {error}")


def run_isolated(*arguments: Any, quiet: bool = False) -> Outcome:
    """Call `run_job` in a separate process, so that a job can't affect or break the following ones."""
    from cvlib.runtime import isolation
    from cvlib.training.devices import import_frameworks

    try:
        job = partial(run_job, wait=PATIENCE)
        outcome: Outcome = isolation.call(job, *arguments, quiet=quiet, prepare=import_frameworks)
        return outcome
    except isolation.Killed as error:
        return Outcome(arguments[1], FAILED, {}, str(error))


def provenance(composed: Any, hydra_config: Any) -> dict[str, str]:
    """Return the configs and overrides that Hydra used for a job, as file name → content for the run's folder."""
    overrides = OmegaConf.to_container(hydra_config.overrides.task)
    return {
        ".hydra/config.yaml": OmegaConf.to_yaml(composed),
        ".hydra/hydra.yaml": OmegaConf.to_yaml(hydra_config),
        ".hydra/overrides.yaml": OmegaConf.to_yaml(OmegaConf.create(overrides)),
    }


def cores_per_job(jobs: int) -> int:
    """Return the number of threads for each of `jobs` parallel jobs (−1: one job per core)."""
    return max(hardware.usable_cores() // jobs, 1) if jobs > 0 else 1


def conclude(outcomes: list[Outcome]) -> int:
    """Return the exit code of a single run; if it didn't complete, print the reason."""
    for outcome in outcomes:
        if outcome.code != COMPLETED:
            complain(outcome.error or "failed")
            return outcome.code
    return COMPLETED
