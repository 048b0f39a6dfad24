"""What is kept between runs to save computing, below `outputs/cache`: a folder of arrays per key.

A folder takes its name when all of it is written, so any process finds whole arrays or none. Least recently used ones
go first when there is no more room.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cvlib.runtime import files

GIGABYTE = 2**30
_ABOUT = "about.json"
_ABANDONED = 86400  # seconds after which nobody is still writing


@dataclass(frozen=True)
class Entry:
    """One kept thing."""

    path: Path  # a folder of arrays, or a file of images
    about: str  # what it is, for people
    size: int  # bytes
    used: float  # seconds since 1970, when last


def root(output_root: str) -> Path:
    """The folder that holds all that is kept."""
    return Path(output_root) / "cache"


def get(folder: Path, key: str) -> list[np.ndarray] | None:
    """The arrays kept under `key`, read from disk as they are needed; None where there are none."""
    kept = folder / key
    try:
        count = json.loads((kept / _ABOUT).read_text())["arrays"]
        arrays = [np.load(kept / f"{i}.npy", mmap_mode="r", allow_pickle=False) for i in range(count)]
        os.utime(kept)
    except (OSError, ValueError, KeyError):  # none, or taken away just now by another process
        return None
    return arrays


def put(folder: Path, key: str, arrays: list[np.ndarray], about: str, limit_bytes: float) -> bool:
    """Keep arrays under `key`, making room; whether they are kept: not where they alone exceed the limit."""
    size = sum(array.nbytes for array in arrays)
    if size > limit_bytes:
        return False
    make_room(folder, limit_bytes - size)
    with files.replacing(folder / key) as temporary:
        temporary.mkdir()
        for number, array in enumerate(arrays):
            np.save(temporary / f"{number}.npy", array, allow_pickle=False)
        (temporary / _ABOUT).write_text(json.dumps({"about": about, "arrays": len(arrays)}))
    return True


def make_room(folder: Path, limit_bytes: float) -> None:
    """Remove the least recently used until what is kept takes at most so much."""
    entries = sorted(listing(folder), key=lambda entry: entry.used)
    total = sum(entry.size for entry in entries)
    for entry in entries:
        if total <= limit_bytes:
            return
        remove(entry)
        total -= entry.size


def remove(entry: Entry) -> None:
    """Take one kept thing away; a process that is reading it goes on with what it has open."""
    files.remove(entry.path)


def listing(folder: Path) -> list[Entry]:
    """What is kept in `folder`, biggest first; what a process is writing at this moment is left out."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            parts = list(path.iterdir()) if path.is_dir() else [path]
            entry = Entry(path, _about(path), sum(part.stat().st_size for part in parts), path.stat().st_mtime)
            if not path.name.endswith(files.PARTIAL) or time.time() - entry.used > _ABANDONED:
                found.append(entry)
    return sorted(found, key=lambda entry: -entry.size)


def _about(path: Path) -> str:
    if path.name.endswith(files.PARTIAL):
        return "half-written by a process that was killed"
    try:
        if path.suffix == ".npy":
            count, height, width, *_ = np.load(path, mmap_mode="r", allow_pickle=False).shape
            return f"{count:,} resized images of {height}×{width} px"
        return str(json.loads((path / _ABOUT).read_text())["about"])
    except (OSError, ValueError, KeyError):
        return "unknown"
