"""A job in a process of its own, which starts from what this one has imported."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cvlib import backend

_INTERRUPTED = 130


class Killed(Exception):
    """The child was ended by a signal before it could answer."""


def call(function: Callable[..., Any], *arguments: Any, quiet: bool = False) -> Any:
    """Return `function(*arguments)`, computed in a child process; `quiet` keeps its printing from the screen.

    On Linux the child is forked after TensorFlow's import and before its runtime starts: the import is paid once,
    while threads, devices, precision, determinism, random state, layer names and memory are new for every job.
    Elsewhere it is a fresh process. Ctrl-C and SIGTERM here become SIGTERM there, and the child has ended before
    the `KeyboardInterrupt` goes up. Raises `Killed` where the child ended without an answer.
    """
    forking = sys.platform == "linux"
    if forking:
        backend.import_quietly(devices=False)
    context: Any = multiprocessing.get_context("fork" if forking else "spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, os.getpid(), quiet, function, arguments))
    with warnings.catch_warnings():
        # Python 3.12 warns of any thread at a fork; those here belong to imported libraries and hold no lock.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    sender.close()
    try:
        answer = _receive(receiver)
        process.join()
    except BaseException:
        process.terminate()
        process.join()
        raise
    if answer is None:
        raise Killed(_cause(process.exitcode))
    return answer[0]


def _receive(receiver: Connection) -> tuple[Any] | None:
    try:
        answer: tuple[Any] = receiver.recv()
    except EOFError:
        return None
    return answer


def _cause(code: int) -> str:
    if code == _INTERRUPTED:
        return "its process was told to stop"
    if code >= 0:
        return f"its process ended with exit code {code} before it had a result"
    hint = " (out of memory?)" if -code == signal.SIGKILL else ""
    return f"its process was ended by {signal.Signals(-code).name}{hint}"


def _answer(
    sender: Connection, parent: int, quiet: bool, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends Ctrl-C to both; the parent passes it on, once
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if quiet:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  (as long as the process)
    try:
        sender.send((function(*arguments),))
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _end_with(parent: int) -> None:
    """Stop, resumably, when the parent has been killed: nobody is left to take the result."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
