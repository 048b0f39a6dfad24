"""Hydra's launchers: which are extras, which share a process among jobs, and the one that a config names."""

from __future__ import annotations

import os
from pathlib import Path

from omegaconf import DictConfig

from cvlib.runtime.errors import UserError

EXTRAS = {"joblib": "joblib", "ray": "ray", "submitit": "slurm"}  # a word of its plugin's name → our extra


def not_installed(launcher: str, extra: str) -> str:
    """Return the one line for a launcher that is an extra."""
    return f"hydra/launcher={launcher} isn't installed: pip install -e '.[{extra}]'"


def shares_process(launcher: str) -> bool:
    """Whether a launcher runs several jobs in one process; Ray's and SLURM's jobs have their own."""
    return launcher.endswith(("BasicLauncher", "JoblibLauncher"))


def check_installed(config: DictConfig, installed: dict[str, type]) -> None:
    """Raise `UserError` where the config's launcher isn't among the installed plugins (class name → class)."""
    target = str(config.hydra.launcher._target_)
    for word, extra in EXTRAS.items():
        if f"hydra_{word}_launcher" in target and target not in installed:
            raise UserError(not_installed(config.hydra.runtime.choices["hydra/launcher"], extra))
    if "submitit" in target:  # its jobs start elsewhere, by an interpreter that knows nothing of run.py's folder
        here, known = str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([here, *([known] if known else [])])
