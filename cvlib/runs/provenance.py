"""The provenance of a run: versions, the commit of the code, memory."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from cvlib.runtime import backend

_PACKAGES = ("tensorflow", "keras", "numpy", "hydra-core", "tensorboard", "cvlib-experiments")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that affect a result."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    chosen = backend.name()
    if chosen != "tensorflow":
        found |= {"backend": chosen, chosen: metadata.version(chosen)}
    return found


def git_state() -> dict[str, Any] | None:
    """Return the commit of the code and whether there are uncommitted changes; None outside a repository."""
    home = Path(__file__).resolve().parent
    try:
        git = ["git", "-C", str(home)]
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit.stdout.strip(), "changed": bool(changes.stdout.strip())}


def peak_memory_mb() -> float:
    """Return the peak resident memory of this process, in MiB."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    for line in lines:  # Linux' getrusage would include the memory of the process that started this one
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 2**10, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
