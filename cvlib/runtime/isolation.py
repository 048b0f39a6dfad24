"""A job in a process of its own, which starts from what this one has imported."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cvlib.runtime.errors import INTERRUPTED, interrupt
from cvlib.training import devices as backend


class Killed(Exception):
    """The child was ended by a signal before it could answer."""


def call(function: Callable[..., Any], *arguments: Any, quiet: bool = False) -> Any:
    """Return `function(*arguments)`, computed in a child process; `quiet` keeps its printing from the screen.

    On Linux the child is forked after TensorFlow's import and before its runtime starts: the import is paid once,
    while threads, devices, precision, determinism, random state, layer names and memory are new for every job.
    Elsewhere, and with JAX, it is a fresh process. Ctrl-C and SIGTERM here become SIGTERM there, and the child has
    ended before the `KeyboardInterrupt` goes up. Raises `Killed` where the child ended without an answer.
    """
    (answer,) = call_all(function, [arguments], quiet)
    if isinstance(answer, Killed):
        raise answer
    return answer


def call_all(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], quiet: bool = False) -> list[Any]:
    """As `call`, for several calls at a time; the place of a killed one holds its `Killed`."""
    started = [_start(function, arguments, quiet) for arguments in calls]
    try:
        answers = [_receive(receiver) for _, receiver in started]
        for process, _ in started:
            process.join()
    except BaseException:
        _stop([process for process, _ in started])
        raise
    return [
        Killed(_cause(process.exitcode)) if answer is None else answer[0]
        for (process, _), answer in zip(started, answers, strict=True)
    ]


def _stop(processes: list[Any]) -> None:
    """Tell all to stop and wait for them; each further Ctrl-C tells them again."""
    while any(process.is_alive() for process in processes):
        try:
            for process in processes:
                process.terminate()
            for process in processes:
                process.join()
        except KeyboardInterrupt:
            continue


def _start(function: Callable[..., Any], arguments: tuple[Any, ...], quiet: bool) -> tuple[Any, Connection]:
    # JAX starts threads at its import that a fork would cut off.
    forking = sys.platform == "linux" and os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow"
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
    return process, receiver


def _receive(receiver: Connection) -> tuple[Any] | None:
    try:
        answer: tuple[Any] = receiver.recv()
    except EOFError:
        return None
    return answer


def _cause(code: int) -> str:
    if code == INTERRUPTED:
        return "its process was told to stop"
    if code >= 0:
        return f"its process ended with exit code {code} before it had a result"
    hint = " (out of memory?)" if -code == signal.SIGKILL else ""
    return f"its process was ended by {signal.Signals(-code).name}{hint}"


def _answer(
    sender: Connection, parent: int, quiet: bool, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    os.setpgid(0, 0)  # or the terminal would send Ctrl-C here too, beside what the parent passes on
    signal.signal(signal.SIGTERM, interrupt)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if quiet:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  (as long as the process)
    try:
        sender.send((function(*arguments),))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _end_with(parent: int) -> None:
    """Stop, resumably, when the parent has been killed: nobody is left to take the result."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
