"""The ways in which a run can end badly that a person has to be told about, and the exit codes they end with."""

from __future__ import annotations

import errno
import re
import sys

COMPLETED, FAILED, MISTAKE, INTERRUPTED = 0, 1, 2, 130

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


class UserError(Exception):
    """Something the user gave can't be used: one line saying what, where and what to do (exit code 2)."""


class RunFailed(Exception):
    """The run itself went wrong, through no override of the user: one line saying why (exit code 1)."""


class Diverged(RunFailed):
    """The loss became infinite or undefined."""


class Pruned(RunFailed):
    """The run was given up early, for others do better: raised by the `on_epoch` of whoever compares them."""


def in_words(error: BaseException) -> str | None:
    """One line for what no program can help: a full disk, a folder that may not be written, no memory, a file that was
    spoiled during the training; None for anything else, which deserves its traceback."""
    text = " ".join(str(error).split())
    if (isinstance(error, OSError) and error.errno in _NO_ROOM) or "No space left on device" in text:
        place = getattr(error, "filename", None)
        return (f"no space left on the disk{f' for {place}' if place else ''}: make room, then give the same command "
                "again; what was saved is whole, and the run resumes from it")  # fmt: skip
    if isinstance(error, OSError) and error.errno in _NOT_ALLOWED:
        return f"{error.filename}: can't be written ({error.strerror}): choose another place, or change its rights"
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return "out of memory: try a smaller data.batch_size or data.image_size, or data.cache=disk instead of memory"
    spoiled = re.search(r"UserError: (.*?)(?: Traceback| \[\[|$)", text)  # from within TensorFlow's input pipeline
    return spoiled.group(1) if spoiled else None


def complain(message: str) -> int:
    """Print an error in one line on stderr; return the exit code of a user's mistake."""
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return MISTAKE


def interrupt(*_: object) -> None:
    """Handle a signal as if the user had pressed Ctrl-C."""
    raise KeyboardInterrupt
