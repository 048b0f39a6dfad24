"""Files and folders that are whole at any moment: written under a temporary name, synced, renamed.

This is the only place that writes and renames. A process that is killed leaves at most a temporary file or folder
whose name ends in `.partial`.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PARTIAL = ".partial"  # ends the name of what is being written
_MANY = 100  # files, from which on one sync of the whole system is faster than one for each
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.EISDIR, errno.ENOTDIR)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that its name never stands for half of it."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def replacing(path: Path, temporary_name: str | None = None) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends, what was written there takes its name.

    The block writes a file or makes a folder. An error in the block removes it and leaves `path` as it was.

    Args:
        path: the final name; missing parent folders are made.
        temporary_name: for writers and readers that go by a file's name, such as Keras, which wants `.keras`; None:
            `NAME.PROCESS.partial`.
    """
    temporary = path.with_name(temporary_name or f"{path.name}.{os.getpid()}{PARTIAL}")
    path.parent.mkdir(parents=True, exist_ok=True)
    remove(temporary)
    try:
        yield temporary
        publish(temporary, path)
    finally:
        remove(temporary)


def publish(temporary: Path, path: Path) -> None:
    """Give a complete file or folder its final name, in place of what has it; its content is on disk before.

    Where two processes publish a folder under one name at the same moment, one of the two stays.
    """
    _sync(temporary)
    try:
        temporary.replace(path)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        remove(path)
        try:
            temporary.replace(path)
        except OSError as second:
            if second.errno not in _TAKEN:
                raise


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def csv_of(rows: list[dict[str, Any]]) -> bytes:
    """Return rows of equal keys as a CSV table under a header, in UTF-8."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")


def _sync(path: Path) -> None:
    """Have the system write a file, or all files of a folder, to the disk."""
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    if len(files) > _MANY:
        os.sync()
        return
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
