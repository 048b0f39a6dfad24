"""Check many files in parallel, with progress on a terminal."""

from __future__ import annotations

import multiprocessing
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
from cvlib.runtime.hardware import usable_cores
from cvlib.runtime.live import Bar

_PATIENCE = 1.5  # seconds, about the cost of starting processes; shorter work is faster without them
_CHUNK = 32  # files per task: limits communication, and Ctrl-C still takes effect in a fraction of a second


@dataclass(frozen=True)
class Labelled:
    """An image's label, the name of the label's file, and the image's name if that file labels several images."""

    label: Label
    kind: LabelKind
    path: str
    subject: str


@dataclass(frozen=True)
class Job:
    """An image to check, and its label in each collection that labels it, by the collection's number."""

    path: Path
    labels: dict[int, Labelled] = field(default_factory=dict)


@dataclass(frozen=True)
class JobResult:
    """The result of a job: `scan` is None if the file is not an image, `labels` is empty if it can't be decoded."""

    scan: FileScan | None
    labels: dict[int, Examined] = field(default_factory=dict)


Results = dict[Path, JobResult]


def do_all(jobs: list[Job], workers: int | None = None, patience: float = _PATIENCE) -> Results:
    """Do all jobs and return their results by path, with `workers` processes (None: one per available core).

    The processes are started only after `patience` seconds, if at least as much work remains.
    """
    workers = workers or usable_cores()
    progress = Bar("checking files", len(jobs))
    started = time.monotonic()
    seen: Results = {}
    for number, job in enumerate(jobs):
        spent = time.monotonic() - started
        if workers > 1 and spent >= patience and spent / max(number, 1) * (len(jobs) - number) >= patience:
            for results in _by_processes(jobs[number:], workers):
                seen.update(results)
                progress.show(len(seen))
            break
        seen[job.path] = _run(job)
        progress.show(len(seen))
    progress.clear()
    return seen


def _by_processes(jobs: list[Job], workers: int) -> Iterator[Results]:
    chunks = [jobs[start : start + _CHUNK] for start in range(0, len(jobs), _CHUNK)]
    context = multiprocessing.get_context("spawn")  # fork would copy locks that other threads hold
    pool = ProcessPoolExecutor(min(workers, len(chunks)), context)
    try:
        with _interrupts_only_here():
            pending = {pool.submit(_do, chunk): chunk for chunk in chunks}
        for future in as_completed(pending):
            try:
                yield future.result()
            except BrokenProcessPool:  # a process died (out of memory, decoder crash); all pending chunks fail with it
                yield _isolated(pending[future])
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _do(chunk: list[Job]) -> Results:
    return {job.path: _run(job) for job in chunk}


def _run(job: Job) -> JobResult:
    found = scan_file(job.path)
    if found is None or found.header is None:
        return JobResult(found)
    examined = {number: examine(labelled.label, labelled.kind, found.header, labelled.path, labelled.subject)
                for number, labelled in job.labels.items()}  # fmt: skip
    return JobResult(found, examined)


def _isolated(chunk: list[Job]) -> Results:
    """Process the chunk in a separate process; if that dies too, process its files one by one to find the cause."""
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
    try:
        with _interrupts_only_here():
            future = pool.submit(_do, chunk)
        return future.result()
    except BrokenProcessPool:
        if len(chunk) > 1:
            return {path: seen for job in chunk for path, seen in _isolated([job]).items()}
        fault = Fault(ERROR, "unreadable image", "its decoder crashes or runs out of memory", "remove it")
        return {chunk[0].path: JobResult(FileScan(faults=[fault]))}
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _interrupts_only_here() -> Iterator[None]:
    """Start processes that ignore Ctrl-C: only this process handles it, and then ends the others.

    In this process, Ctrl-C takes effect at the end of the block, because a partly started process can't be shut down
    cleanly.
    """
    interrupted: list[int] = []
    main = threading.current_thread() is threading.main_thread()  # other threads can't set signal handlers
    handler = signal.signal(signal.SIGINT, lambda number, _: interrupted.append(number)) if main else None
    masks = hasattr(signal, "pthread_sigmask")  # not on Windows
    if masks:
        resource_tracker.ensure_running()  # started later, it would unblock the signal
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
