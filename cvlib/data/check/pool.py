"""Many files looked at by all cores, with what remains said on a terminal."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from pathlib import Path

from cvlib.data.check.examine import Examined, examine
from cvlib.data.check.scan import Fault, FileScan, scan_file
from cvlib.data.findings import ERROR
from cvlib.data.labels import LabelKind
from cvlib.data.layouts.collection import Label
from cvlib.runtime.clock import Progress

_PATIENCE = 1.5  # seconds: about what starting processes costs, so less work is done sooner without them
_CHUNK = 32  # files handed over at once: little talk, and Ctrl-C is answered in a fraction of a second


@dataclass(frozen=True)
class Labelled:
    """An image's label, the name of its file, and the image's own name where that file labels several."""

    label: Label
    kind: LabelKind
    path: str
    subject: str


@dataclass(frozen=True)
class Job:
    """An image to look at and its label in each collection that has one, by the collection's number."""

    path: Path
    labels: dict[int, Labelled] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """What came of a job; no scan where the file is no image, nothing examined where it can't be read as one."""

    scan: FileScan | None
    labels: dict[int, Examined] = field(default_factory=dict)


Results = dict[Path, Seen]


def do_all(jobs: list[Job], workers: int | None = None, patience: float = _PATIENCE) -> Results:
    """What each job's file is, by its path, with `workers` processes (None: one per core that may be used).

    They are started when `patience` seconds of work here haven't been enough and as much at least is left to do.
    """
    workers = workers or _cores()
    progress = Progress("looking at the files", len(jobs))
    started = time.monotonic()
    seen: Results = {}
    for number, job in enumerate(jobs):
        spent = time.monotonic() - started
        if workers > 1 and spent >= patience and spent / max(number, 1) * (len(jobs) - number) >= patience:
            for results in _by_processes(jobs[number:], workers):
                seen.update(results)
                progress.show(len(seen))
            break
        seen[job.path] = _seen(job)
        progress.show(len(seen))
    progress.clear()
    return seen


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _by_processes(jobs: list[Job], workers: int) -> Iterator[Results]:
    chunks = [jobs[start : start + _CHUNK] for start in range(0, len(jobs), _CHUNK)]
    context = multiprocessing.get_context("spawn")  # a fork copies whatever threads' locks this process holds
    pool = ProcessPoolExecutor(min(workers, len(chunks)), context)
    try:
        with _interrupts_only_here():
            pending = {pool.submit(_do, chunk): chunk for chunk in chunks}
        for future in as_completed(pending):
            try:
                yield future.result()
            except BrokenProcessPool:  # one died, of memory or in a decoder, and took the waiting chunks with it
                yield _by_itself(pending[future])
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _do(chunk: list[Job]) -> Results:
    return {job.path: _seen(job) for job in chunk}


def _seen(job: Job) -> Seen:
    found = scan_file(job.path)
    if found is None or found.header is None:
        return Seen(found)
    examined = {number: examine(one.label, one.kind, found.header, one.path, one.subject)
                for number, one in job.labels.items()}  # fmt: skip
    return Seen(found, examined)


def _by_itself(chunk: list[Job]) -> Results:
    """The chunk in a process of its own; where that dies too, file by file, until it is clear which one kills."""
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
    try:
        with _interrupts_only_here():
            future = pool.submit(_do, chunk)
        return future.result()
    except BrokenProcessPool:
        if len(chunk) > 1:
            return {path: seen for job in chunk for path, seen in _by_itself([job]).items()}
        fault = Fault(ERROR, "unreadable image", "its decoder crashes or runs out of memory", "take it out")
        return {chunk[0].path: Seen(FileScan(faults=[fault]))}
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _interrupts_only_here() -> Iterator[None]:
    """Processes started in this block never get Ctrl-C: it is for the one that started them, which then ends them.

    Here it is answered at the block's end, for a process that is half started can't be ended in good order.
    """
    interrupted: list[int] = []
    main = threading.current_thread() is threading.main_thread()  # the only one that may set handlers
    handler = signal.signal(signal.SIGINT, lambda number, _: interrupted.append(number)) if main else None
    masks = hasattr(signal, "pthread_sigmask")  # not on Windows
    if masks:
        resource_tracker.ensure_running()  # when the first process starts it, it unblocks the signal again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masks else None  # new processes inherit it
    try:
        yield
    finally:
        if before is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if main:
            signal.signal(signal.SIGINT, handler)
    if interrupted:
        raise KeyboardInterrupt
