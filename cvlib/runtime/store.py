"""The cache on disk, below `outputs/cache`: one folder of arrays or of files per key, reused by later runs.

A folder gets its final name when it is complete, so a process finds either complete arrays or none. If the cache is
full, the least recently used entries are removed first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cvlib.runtime import files

if TYPE_CHECKING:  # listing and clearing the cache start faster without NumPy
    import numpy as np

GIGABYTE = 2**30
_ABOUT = "about.json"
_FILES = "files"  # the folder that `made_once` fills
_ABANDONED = 86400  # seconds after which no process is still writing a partial entry


@dataclass(frozen=True)
class Entry:
    """One entry of the cache."""

    path: Path  # a folder of arrays or of files, or a file of images
    about: str  # a description for the user
    size: int  # bytes
    used: float  # time of the last use, in seconds since 1970


def root(output_root: str) -> Path:
    """Return the folder of the whole cache."""
    return Path(output_root) / "cache"


def get(folder: Path, key: str) -> list[np.ndarray] | None:
    """Return the arrays under `key`, memory-mapped from disk, or None if there are none."""
    import numpy as np

    entry_folder = folder / key
    try:
        count = json.loads((entry_folder / _ABOUT).read_text())["arrays"]
        arrays = [np.load(entry_folder / f"{i}.npy", mmap_mode="r", allow_pickle=False) for i in range(count)]
        os.utime(entry_folder)
    except (OSError, ValueError, KeyError):  # no entry, or another process has just removed it
        return None
    return arrays


def put(folder: Path, key: str, arrays: list[np.ndarray], about: str, limit_bytes: float) -> bool:
    """Write arrays under `key`, removing older entries if needed; return False if the arrays exceed the limit."""
    import numpy as np

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


def made_once(folder: Path, sources: Sequence[Path], about: str, write: Callable[[Path], None]) -> Path:
    """Return the absolute path of the folder with the files that `write` creates from `sources`.

    The files are created if the cache doesn't have them, and again after a source has changed.

    Args:
        folder: the folder of the cache for entries of this kind.
        sources: the source files.
        about: a description of the entry for the user.
        write: called with the folder to fill; if it raises an error, the cache keeps no entry.
    """
    seen = [(str(source), source.stat().st_size, source.stat().st_mtime_ns) for source in sources]
    entry_folder = folder.absolute() / hashlib.sha256(repr(seen).encode()).hexdigest()[:24]
    if (entry_folder / _FILES).is_dir():
        os.utime(entry_folder)
        return entry_folder / _FILES
    with files.replacing(entry_folder) as temporary:
        (temporary / _FILES).mkdir(parents=True)
        write(temporary / _FILES)
        (temporary / _ABOUT).write_text(json.dumps({"about": about}))
    return entry_folder / _FILES


def make_room(folder: Path, limit_bytes: float) -> None:
    """Remove the least recently used entries until the cache uses at most `limit_bytes`."""
    entries = sorted(listing(folder), key=lambda entry: entry.used)
    total = sum(entry.size for entry in entries)
    for entry in entries:
        if total <= limit_bytes:
            return
        remove(entry)
        total -= entry.size


def remove(entry: Entry) -> None:
    """Remove an entry; a process that is reading it can go on, because its files are open."""
    files.remove(entry.path)


def listing(folder: Path) -> list[Entry]:
    """Return the entries in `folder`, largest first, without entries that a process is writing."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            parts = [part for part in path.rglob("*") if part.is_file()] if path.is_dir() else [path]
            entry = Entry(path, _about(path), sum(part.stat().st_size for part in parts), path.stat().st_mtime)
            if not path.name.endswith(files.PARTIAL) or time.time() - entry.used > _ABANDONED:
                found.append(entry)
    return sorted(found, key=lambda entry: -entry.size)


def _about(path: Path) -> str:
    if path.name.endswith(files.PARTIAL):
        return "incomplete entry of a killed process"
    try:
        if path.suffix == ".npy":
            import numpy as np

            count, height, width, *_ = np.load(path, mmap_mode="r", allow_pickle=False).shape
            return f"{count:,} resized images of {height}×{width} px"
        if path.suffix == ".npz":
            import numpy as np

            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
                return f"index of {json.loads(kept['about'].tobytes())['images']:,} images"
        return str(json.loads((path / _ABOUT).read_text())["about"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return "unknown"
