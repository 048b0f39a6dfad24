"""The winner's run with its test results, in a folder of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from cvlib.recommend.result import Result, oriented
from cvlib.recommend.session import Session, Trained
from cvlib.runs.summary import read_summary
from cvlib.runtime.errors import RunFailed, UserError
from cvlib.runtime.files import remove, replacing
from cvlib.sweeps import one_job

TEST = "test of "  # begins the decisions that follow a reading of the test part
_OVERRIDES = ".hydra/overrides.yaml"


def winner(result: Result) -> Trained:
    """Return the best candidate's run that is best on validation."""
    return max(result.finals[result.best], key=oriented)


def leave(session: Session, result: Result, target: Path) -> None:
    """Copy the winner's run to `target`, and evaluate its test part there; an earlier recommendation is replaced."""
    chosen = winner(result)
    config, texts = _with_test(chosen.folder)
    readings = [what for what in session.journal.names if what.startswith(TEST)]
    if any(what.startswith(f"{TEST}{chosen.folder.name}, ") for what in readings) and _is_tested(target, texts):
        return
    session.say(f"the winner is fixed: {chosen.candidate.name}; now its test part is read"
                + (f" (reading number {len(readings) + 1} of the test part)" if readings else ""))  # fmt: skip
    _copy(chosen.folder, target)
    outcome = one_job.run_isolated(config, target, texts, quiet=True)
    if outcome.error:
        raise RunFailed(f"the winner's test part could not be evaluated: {outcome.error}")
    what = f"{TEST}{chosen.folder.name}, reading {len(readings) + 1}"
    session.journal.decide(what, lambda: {"metrics": outcome.summary.get("metrics")})


def _is_tested(target: Path, texts: dict[str, str]) -> bool:
    """Return whether `target` holds a tested run with these overrides, and not that of an earlier winner."""
    given, metrics = target / _OVERRIDES, (read_summary(target) or {}).get("metrics", {})
    same = given.is_file() and given.read_text(encoding="utf-8") == texts[_OVERRIDES]
    return same and any(name.startswith("test/") for name in metrics)


def require_run_or_nothing(target: Path) -> None:
    """Raise `UserError` if `target` holds something else than a run."""
    if target.exists() and not (target.is_dir() and (read_summary(target) is not None or not any(target.iterdir()))):
        raise UserError(f"{target} exists and is no run: choose another --name")


def _copy(folder: Path, target: Path) -> None:
    """Copy a run, with what commands have written about the earlier winner left out."""
    require_run_or_nothing(target)
    with replacing(target) as partial:
        shutil.copytree(folder, partial)
        remove(partial / ".lock")


def _with_test(folder: Path) -> tuple[Any, dict[str, str]]:
    """Return the config of a run with its test part, and the files that record it."""
    content = yaml.safe_load((folder / ".hydra/config.yaml").read_text(encoding="utf-8"))
    content["trainer"]["test"] = True
    given = yaml.safe_load((folder / _OVERRIDES).read_text(encoding="utf-8"))
    config = OmegaConf.create(content)
    kept = [one for one in given if one != "trainer.test=false"]
    return config, {".hydra/config.yaml": OmegaConf.to_yaml(config), _OVERRIDES: OmegaConf.to_yaml(kept)}
