"""Speed and memory of a network in one format, measured in a process that runs nothing else.

The process starts without the modules of its parent and imports the format's own runtime only, so that its memory is
what a program needs that uses the network in this format.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np

_SECONDS = 2.0  # for each of latency and throughput
_WARM_UP = 0.25  # as a share of these seconds
_MOST_CALLS = 2000


def measure(
    path: Path, form: str, images: Path, threads: int, seconds: float = _SECONDS
) -> dict[str, float] | str:  # fmt: skip
    """Return the speed and the memory of a stored network, or the reason why it can't be measured.

    Args:
        path: the file or folder of the network.
        form: its format, one of `cvlib.export.forms`.
        images: a .npy file with a batch `(batch, height, width, channels)`, float32, as the network takes them.
        threads: the number of threads that the runtime uses.
        seconds: how long to measure each of latency and throughput.

    Returns:
        "latency_ms" and "latency_p95_ms", the median and the 95th percentile for one image, "images_per_second" for
        the whole batch, and "peak_memory_mib", the peak memory of the process.
    """
    given = json.dumps([str(path), form, str(images), threads, seconds])
    # All formats run on the processor. The program is given as text, so that it doesn't import the parent's program.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", f"from {__name__} import main; main()", given]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode < 0:
        return f"its process was killed by {signal.Signals(-done.returncode).name} (out of memory?)"
    lines = (done.stdout if done.returncode == 0 else done.stderr).splitlines()
    if done.returncode or not lines:
        return " ".join(lines[-1].split()) if lines else f"its process ended with exit code {done.returncode}"
    found: dict[str, float] = json.loads(lines[-1])
    return found


def main() -> None:
    """Measure what the only argument describes, and print the result as the last line; called in the new process."""
    path, form, images, threads, seconds = json.loads(sys.argv[1])
    print(json.dumps(_of(Path(path), form, np.load(images), threads, seconds)))


def _of(path: Path, form: str, images: np.ndarray, threads: int, seconds: float) -> dict[str, float]:
    from cvlib.export import runtimes
    from cvlib.runs.provenance import peak_memory_mb

    if form in runtimes.TENSORFLOW:
        from cvlib.training.devices import import_quietly

        import_quietly()
        runtimes.set_threads(threads)
    predict = runtimes.reader(path, form, threads)
    singles = [images[index : index + 1] for index in range(len(images))]
    latencies = durations(lambda number: predict(singles[number % len(singles)]), 10, seconds)
    batches = durations(lambda number: predict(images), 2, seconds)
    return {
        "latency_ms": 1000 * statistics.median(latencies), "latency_p95_ms": 1000 * float(np.percentile(latencies, 95)),
        "images_per_second": len(images) / statistics.median(batches), "peak_memory_mib": peak_memory_mb(),
    }  # fmt: skip


def durations(
    call: Callable[[int], object], least: int, seconds: float, clock: Callable[[], float] = time.perf_counter
) -> list[float]:  # fmt: skip
    """Return how long calls take, in seconds. `call` receives the number of the call, from 0.

    Calls during the first quarter of `seconds`, at least one, are warm-up and don't count. Then calls are timed for
    about `seconds`, but at least `least` of them.
    """
    for _ in _until(clock, clock() + _WARM_UP * seconds, 1):
        call(0)
    found: list[float] = []
    for number in _until(clock, clock() + seconds, least):
        started = clock()
        call(number)
        found.append(clock() - started)
    return found


def _until(clock: Callable[[], float], end: float, least: int) -> Iterator[int]:
    """Yield 0, 1, 2, … until the clock reaches `end`; at least `least` and at most `_MOST_CALLS` numbers."""
    for number in count():
        if (number >= least and clock() >= end) or number >= _MOST_CALLS:
            return
        yield number
