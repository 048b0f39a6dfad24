"""Read a run's summary.json in the current format, the run's overrides, and the state of its process."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from cvlib.runs.config_file import read_config
from cvlib.runs.upgrade import upgrade
from cvlib.runtime.errors import UserError

LOCK = ".lock"  # file in a run's folder that the writing process holds locked


def read_summary(folder: Path) -> dict[str, Any] | None:
    """Return the summary of a run's folder in the current format, or None if there is none.

    If the status is "running", but the process is gone, it becomes "interrupted". "timing" holds only numbers, even if
    the file holds other values. Raises `UserError` if the file isn't a summary.
    """
    path = Path(folder) / "summary.json"
    if not path.is_file():
        return None
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise UserError(f"{path} can't be read as JSON: restore it or choose another folder") from None
    if not isinstance(summary, dict):
        raise UserError(f"{path} is not a run's summary: restore it or choose another folder")
    try:
        upgraded, _ = upgrade(summary, _config_or_empty(folder) if "form" not in summary else {})
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return settled(folder, upgraded)


def settled(folder: Path, summary: dict[str, Any]) -> dict[str, Any]:
    """Return the summary, with "interrupted" for a running run whose process is gone, and only numbers in "timing"."""
    timing = summary.get("timing")
    known = timing.items() if isinstance(timing, dict) else ()
    fields: dict[str, Any] = {"timing": {part: value for part, value in known if isinstance(value, int | float)}}
    if summary.get("status") == "running" and process_is_gone(folder, summary):
        fields["status"] = "interrupted"
    return {**summary, **fields}


def _config_or_empty(folder: Path) -> dict[str, Any]:
    try:
        return read_config(Path(folder) / "config.yaml")
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError):
        return {}


def overridden(folder: Path) -> frozenset[str]:
    """Return the keys that were given on the command line of the run in `folder`, if it recorded them."""
    path = folder / ".hydra/overrides.yaml"
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
    except (OSError, UnicodeDecodeError):
        return frozenset()
    return frozenset(re.findall(r"^- ['\"]?[+~]*([\w.]+)=", text, flags=re.MULTILINE))


def acquire(lock: FileLock, folder: Path) -> None:
    """Acquire the lock of a run's folder; raise `UserError` if another process holds it."""
    try:
        lock.acquire()
    except Timeout:
        raise UserError(
            f"{folder}: another process is writing this run; wait for it or choose another hydra.run.dir"
        ) from None


def process_is_gone(folder: Path, summary: dict[str, Any]) -> bool:
    """Return whether no process is writing the run in `folder`.

    A process that writes a run holds the folder's lock, on any machine. If the lock can't be tried, because
    the folder is read-only, the process is looked up by its number; a process of another machine counts as running.
    """
    lock = Path(folder) / LOCK
    if lock.is_file():
        try:
            with FileLock(lock, timeout=0):
                return True
        except Timeout:
            return False
        except OSError:
            pass
    pid, here = summary.get("pid"), summary.get("host") in (None, socket.gethostname())
    if not here or not isinstance(pid, int) or pid <= 0:
        return here or not lock.is_file()
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False
