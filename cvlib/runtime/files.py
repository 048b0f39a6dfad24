"""Atomic files and folders: written under a temporary name, synced to disk, and renamed.

All atomic writes of the package are in this module. A killed process leaves at most a temporary file or folder whose
name ends in `.partial`.
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

from cvlib.runtime.errors import UserError

PARTIAL = ".partial"  # the suffix of a temporary name
_MANY = 100  # above this number of files, one sync of the whole system is faster than one sync per file
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.EISDIR, errno.ENOTDIR)


def write_atomically(path: Path, content: bytes | str) -> None:
    r"""Write a file so that it is never incomplete under its name.

    Text is written in UTF-8. A byte of a file name that is not UTF-8, which Python holds as a character from U+DC80 to
    U+DCFF, is written as `\udcff`. In JSON, this is the same character again.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)


def require_writable(folder: Path, advice: str) -> None:
    """Raise `UserError` with this advice if no file can be created in `folder`, or in the nearest folder above it."""
    existing = next((place for place in (folder, *folder.absolute().parents) if place.is_dir()), Path("/"))
    trial = existing / f".{os.getpid()}{PARTIAL}"
    try:
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise UserError(f"{folder} can't be written ({error.strerror}): {advice}") from None


def require_utf8(folder: Path) -> None:
    """Raise `UserError` if the path is not valid UTF-8, because TensorFlow can't write there."""
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise UserError(f"{folder}: the name is not valid UTF-8: choose another folder") from None


@contextlib.contextmanager
def replacing(path: Path, temporary_name: str | None = None) -> Iterator[Path]:
    """Yield a temporary path next to `path`, and rename it to `path` when the block ends.

    The block writes a file or creates a folder there. After an error in the block, the temporary file or folder is
    removed, and `path` is unchanged.

    Args:
        path: the final path; missing parent folders are created.
        temporary_name: a temporary name for libraries that depend on the extension, such as `.keras` for Keras; None:
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
    """Sync a complete file or folder to disk and rename it to `path`, replacing an existing file or folder.

    If two processes publish a folder under the same name at the same moment, one of the two folders remains.
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
    """Remove a file, or a folder with its content, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def csv_of(rows: list[dict[str, Any]]) -> str:
    """Return rows with equal keys as a CSV table with a header."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _sync(path: Path) -> None:
    """Flush a file, or all files of a folder, to disk."""
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


def size_text(count: int) -> str:
    """Return a number of bytes as text; 1 GB is 2³⁰ bytes, as in `mode.cache_gb`."""
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count / 2**20:.1f} MB"
