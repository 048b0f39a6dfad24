"""The winner's run with its test results, in a folder of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from cvlib.recommend.race import Result, oriented
from cvlib.recommend.session import Session, Trained
from cvlib.runs.summary import read_summary
from cvlib.runtime.errors import RunFailed, UserError
from cvlib.runtime.files import remove, replacing
from cvlib.sweeps import one_job


def winner(result: Result) -> Trained:
    """Return the best candidate's run that is best on validation."""
    return max(result.finals[result.best], key=oriented)


def leave(session: Session, result: Result, target: Path) -> None:
    """Copy the winner's run to `target`, and evaluate its test part there; an earlier recommendation is replaced."""
    chosen = winner(result)
    number = sum(what.startswith("test of ") for what in session.journal.names)
    what = f"test of {chosen.folder.name}"
    known = (read_summary(target) or {}).get("metrics", {})
    if what in session.journal and any(name.startswith("test/") for name in known):
        return
    session.say(f"the winner is fixed: {chosen.candidate.name}; now its test part is read"
                + (f" (reading number {number + 1} of the test part)" if number else ""))  # fmt: skip
    _copy(chosen.folder, target)
    outcome = one_job.run_isolated(_with_test(chosen.folder, session.outputs), target, {}, quiet=True)
    if outcome.error:
        raise RunFailed(f"the winner's test part could not be evaluated: {outcome.error}")
    session.journal.decide(what, lambda: {"metrics": outcome.summary.get("metrics")})


def _copy(folder: Path, target: Path) -> None:
    """Copy a run; the target is either a whole copy or as it was before."""
    if target.exists() and read_summary(target) is None and any(target.iterdir()):
        raise UserError(f"{target} exists and is no run: choose another --name")
    with replacing(target) as partial:
        shutil.copytree(folder, partial)
    remove(target / ".lock")


def _with_test(folder: Path, outputs: Path) -> Any:
    """Return the config of a run, with its test part."""
    content = yaml.safe_load((folder / ".hydra/config.yaml").read_text(encoding="utf-8"))
    content["trainer"]["test"] = True
    return OmegaConf.create(content)
