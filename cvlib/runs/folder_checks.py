"""Checks of an existing folder before a run writes to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cvlib.runs.config_file import plain, read_config
from cvlib.runs.identity import NOT_THE_EXPERIMENT, identity
from cvlib.runs.upgrade import upgrade
from cvlib.runtime.errors import UserError

# Files that a run's folder may hold before summary.json is written.
_BEFORE = (".*", "config.yaml", "*.partial", "*.log", "*.out", "*.err")


def refuse_foreign(folder: Path) -> None:
    """Refuse a folder that holds files other than those of a run, such as the user's photos.

    Before summary.json, a run writes only its config. The program that starts the run may also keep a log there.
    """
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    others = [file.name for file in found if not any(file.match(pattern) for pattern in _BEFORE)]
    if others and not (folder / "summary.json").exists():
        raise UserError(f"{folder} is not a run's folder (it has no summary.json) and holds other files ({others[0]}): "
                        "choose another hydra.run.dir that is empty or doesn't exist yet")  # fmt: skip


def refuse_unfinished_of_form_1(folder: Path, summary: Mapping[str, Any]) -> None:
    """Raise `UserError` for an unfinished run of version 0.1."""
    if "upgraded_from" in summary and summary.get("status") != "completed":
        raise UserError(f"{folder} holds an unfinished run of an earlier version of cvlib, whose checkpoints can't be "
                        "resumed: choose another hydra.run.dir to start it again")  # fmt: skip


def refuse_other_config(folder: Path, summary: Mapping[str, Any], mapping: Mapping[str, Any]) -> None:
    """Raise `UserError` if the folder holds a run of another config; only the place of its data may be another."""
    if summary.get("config_hash") == identity(mapping) or _has_moved_data(folder, summary, mapping):
        return
    try:
        earlier = read_config(folder / "config.yaml")
    except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError):
        raise UserError(f"{folder} holds a run of another config, and its config.yaml can't be read to show the "
                        "differences: choose another hydra.run.dir") from None  # fmt: skip
    if "upgraded_from" in summary:
        earlier = upgrade({}, earlier)[1]
    differing = [
        f"{key}: {was} in that run, {is_now} now"
        for key, was, is_now in _differences(earlier, plain(mapping))
        if key not in NOT_THE_EXPERIMENT
    ]
    raise UserError(
        f"{folder} holds a run of another config ({'; '.join(differing[:3])}): "
        "choose another hydra.run.dir, or pass the overrides of that run"
    )


def _has_moved_data(folder: Path, summary: Mapping[str, Any], mapping: Mapping[str, Any]) -> bool:
    """Return whether only data.path differs from an unfinished run whose data is known and can be compared."""
    if summary.get("status") == "completed" or not summary.get("data_fingerprint") or "upgraded_from" in summary:
        return False
    try:
        earlier = read_config(folder / "config.yaml")["data"]["path"]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return False
    return identity({**mapping, "data": {**mapping["data"], "path": earlier}}) == summary.get("config_hash")


def _differences(first: Any, second: Any, prefix: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(first, dict) and isinstance(second, dict):
        keys = dict.fromkeys([*first, *second])
        return [d for key in keys for d in _differences(first.get(key), second.get(key), f"{prefix}.{key}".lstrip("."))]
    return [] if first == second else [(prefix, first, second)]
