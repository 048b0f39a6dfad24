"""Measure how many images per second `cvlib check` checks: `python experiments/benchmarks/check.py FOLDER [ROUNDS]`.

Each round is a whole check, from reading the folder to the finished report, with one process per core and with a single
process. A first round, which warms the file system's cache, isn't counted. The output is the median over the rounds, in
images per second and in images per second of processor time. Other programs on the machine affect mainly the first.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

from cvlib.data.check import check
from cvlib.data.check.report import as_text


def rates(folder: Path, workers: int | None) -> tuple[float, float]:
    """Return the images per second of one check, and per second of processor time of all its processes."""
    started, used = time.perf_counter(), sum(os.times()[:4])
    report = check(str(folder), workers=workers)
    as_text(report)
    return (report.pictures.number / (time.perf_counter() - started),
            report.pictures.number / (sum(os.times()[:4]) - used))  # fmt: skip


def main(folder: Path, rounds: int) -> None:
    cores = len(os.sched_getaffinity(0))
    print(f"{folder}, {cores} cores, load {os.getloadavg()[0]:.1f} at the start")
    rates(folder, None)
    for name, workers in ((f"up to {cores} processes", None), ("1 process", 1)):
        by_clock, by_processor = zip(*(rates(folder, workers) for _ in range(rounds)), strict=True)
        print(f"{name:<18} {statistics.median(by_clock):6,.0f} images/s ({min(by_clock):,.0f}–{max(by_clock):,.0f}), "
              f"{statistics.median(by_processor):6,.0f} per processor second")  # fmt: skip
    print(f"load {os.getloadavg()[0]:.1f} at the end, {rounds} rounds each")


if __name__ == "__main__":  # the worker processes import this file
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3)
