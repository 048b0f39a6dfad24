"""Run a job in its own process, which starts with the modules that this process has imported."""

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

from cvlib.runtime import backend
from cvlib.runtime.errors import INTERRUPTED, interrupt
from cvlib.runtime.output import lasting

Prepare = Callable[[], None]


class Killed(Exception):
    """The child process ended, for example by a signal, before it returned a result."""


def call(function: Callable[..., Any], *arguments: Any, quiet: bool = False, prepare: Prepare | None = None) -> Any:
    """Return `function(*arguments)`, computed in a child process.

    On Linux, the child is forked after `prepare`, which imports the modules that every job needs and starts nothing. So
    the modules are imported once, while threads, devices, precision, determinism, random state, layer names and memory
    are new for every job. On other systems, and with JAX, the child is a fresh process and `prepare` isn't called.
    Ctrl-C and SIGTERM in the parent are passed on as SIGTERM, and the `KeyboardInterrupt` is raised after the child has
    ended.

    Args:
        quiet: whether to hide what the child prints to stdout.
        prepare: called in the parent before each fork.

    Raises `Killed` if the child ended without a result.
    """
    (answer,) = call_all(function, [arguments], quiet, prepare)
    if isinstance(answer, Killed):
        raise answer
    return answer


def call_all(
    function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], quiet: bool = False,
    prepare: Prepare | None = None,
) -> list[Any]:  # fmt: skip
    """Return the results of several parallel calls, each as in `call`, with a `Killed` in place of a missing result."""
    started = [_start(function, arguments, quiet, prepare) for arguments in calls]
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
    """Stop all processes and wait for them; a further Ctrl-C sends the signal again."""
    while any(process.is_alive() for process in processes):
        try:
            for process in processes:
                process.terminate()
            for process in processes:
                process.join()
        except KeyboardInterrupt:
            continue


def _start(
    function: Callable[..., Any], arguments: tuple[Any, ...], quiet: bool, prepare: Prepare | None
) -> tuple[Any, Connection]:
    # Importing JAX starts threads, which a fork would not copy.
    forking = sys.platform == "linux" and backend.name() == "tensorflow"
    if forking and prepare is not None:
        prepare()
    context: Any = multiprocessing.get_context("fork" if forking else "spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, os.getpid(), quiet, function, arguments))
    with warnings.catch_warnings():
        # Python 3.12 warns about any thread at a fork; these threads belong to imported libraries and hold no lock.
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
        return "its process was interrupted"
    if code >= 0:
        return f"its process ended with exit code {code} without a result"
    hint = " (out of memory?)" if -code == signal.SIGKILL else ""
    return f"its process was killed by {signal.Signals(-code).name}{hint}"


def _answer(
    sender: Connection, parent: int, quiet: bool, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    os.setpgid(0, 0)  # otherwise the terminal would send Ctrl-C here too, in addition to the parent's signal
    signal.signal(signal.SIGTERM, interrupt)
    threading.Thread(target=_stop_with_parent, args=(parent,), daemon=True).start()
    if quiet:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  (open as long as the process lives)
    try:
        with lasting():
            sender.send((function(*arguments),))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _stop_with_parent(parent: int) -> None:
    """Stop this process when the parent is killed and can't receive the result; its run can then be resumed."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
