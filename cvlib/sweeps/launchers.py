"""Hydra's launchers: which need an extra, which run jobs in one process, and whether the chosen one is installed."""

from __future__ import annotations

import os
from pathlib import Path

from omegaconf import DictConfig

from cvlib.runtime import processes
from cvlib.runtime.errors import UserError

EXTRAS = {"joblib": "joblib", "ray": "ray", "submitit": "slurm"}  # part of the plugin's name → our extra


def not_installed(launcher: str, extra: str) -> str:
    """Return the error message for a launcher whose extra isn't installed."""
    return f"hydra/launcher={launcher} isn't installed: pip install -e '.[{extra}]'"


def shares_process(launcher: str) -> bool:
    """Return whether a launcher runs several jobs in one process; jobs of Ray and SLURM have their own processes."""
    return launcher.endswith(("BasicLauncher", "JoblibLauncher"))


def refuse_processes(config: DictConfig) -> None:
    """Raise `UserError` if each job of the sweep would need several processes, which this launcher doesn't start."""
    trainer = config.get("trainer") or {}
    given = trainer.get("coordinator") is not None or (
        trainer.get("devices") == "all" and processes.place(None, None) is not None
    )
    if given and shares_process(str(config.hydra.launcher._target_)):
        raise UserError("-m with one run in several processes needs hydra/launcher=slurm: start each run by itself, or "
                        "leave out trainer.coordinator")  # fmt: skip


def check_installed(config: DictConfig, installed: dict[str, type]) -> None:
    """Raise `UserError` if the config's launcher isn't among the installed plugins (class name → class)."""
    target = str(config.hydra.launcher._target_)
    for word, extra in EXTRAS.items():
        if f"hydra_{word}_launcher" in target and target not in installed:
            raise UserError(not_installed(config.hydra.runtime.choices["hydra/launcher"], extra))
    if "submitit" in target:  # its jobs run on other machines, where run.py's folder isn't on the import path
        code_folder, existing = str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([code_folder, *([existing] if existing else [])])
