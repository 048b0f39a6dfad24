"""Errors that end a run with a message for the user, and their exit codes."""

from __future__ import annotations

import errno
import os
import re
import sys

COMPLETED, FAILED, MISTAKE, INTERRUPTED = 0, 1, 2, 130

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)

_TRY_FOR_MEMORY = (
    "try a smaller data.batch_size (auto: the largest that fits) with trainer.accumulate, trainer.remat=true (JAX), "
    "trainer.precision=bfloat16, a smaller data.image_size, or data.cache=disk instead of memory"
)


class UserError(Exception):
    """Invalid input: the message says in one line what is wrong, where, and what to do (exit code 2)."""


class RunFailed(Exception):
    """The run failed, although the input was valid: the message says in one line why (exit code 1)."""


class Diverged(RunFailed):
    """The loss became infinite or undefined."""


class Pruned(RunFailed):
    """The run was stopped early because other runs do better; raised by the `on_epoch` callback of a search."""


def user_message(error: BaseException) -> str | None:
    """Return one line for an error of the environment, or None for any other error, which needs its traceback.

    Errors of the environment are a full disk, a folder without write permission, too little memory, and a file that was
    damaged during training.
    """
    parts = cause_and_advice(error)
    return None if parts is None else ": ".join(part for part in parts if part)


def cause_and_advice(error: BaseException) -> tuple[str, str] | None:
    """Return the cause of an error of the environment, and what to do; None for any other error."""
    text = " ".join(str(error).split())
    number, place = (error.errno, error.filename) if isinstance(error, OSError) else (None, None)
    if number in _NO_ROOM or "No space left on device" in text:
        return (f"no space left on the disk{f' for {place}' if place else ''}",
                "free some space and run the same command again; an unfinished run resumes")  # fmt: skip
    refused = re.search(r"(?:(/[^;]*); )?(Permission denied|Read-only file system)", text)  # TensorFlow's own errors
    if number in _NOT_ALLOWED or (refused and number is None):
        place, reason = (place, os.strerror(number)) if number else refused.groups() if refused else (None, "")
        return f"{place or 'a file'}: can't be written ({reason})", "choose another path or change its permissions"
    if is_out_of_memory(error):
        return "out of memory", _TRY_FOR_MEMORY
    spoiled = re.search(r"UserError: (.*?)(?: Traceback| \[\[|$)", text)  # from within TensorFlow's input pipeline
    return (spoiled.group(1), "") if spoiled else None


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error is Python's, TensorFlow's or JAX's for too little memory."""
    kind, text = type(error).__name__, str(error)
    jax = kind in ("XlaRuntimeError", "JaxRuntimeError") and ("RESOURCE_EXHAUSTED" in text or "Out of memory" in text)
    return isinstance(error, MemoryError) or kind == "ResourceExhaustedError" or jax


def complain(message: str) -> int:
    """Print an error in one line on stderr; return the exit code for invalid input."""
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return MISTAKE


def interrupt(*_: object) -> None:
    """Handle a signal as if the user had pressed Ctrl-C."""
    raise KeyboardInterrupt
