"""How many images a second `cvlib check` looks at: `python experiments/benchmarks/check.py FOLDER [ROUNDS]`.

Each round is the whole command, from reading the folder to the finished report, with one process per core and with
one alone; the first round, which warms the file system's cache, is left out. Printed is the median of the rounds.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

from cvlib.data.check import check
from cvlib.data.check.report import as_text


def rate(folder: Path, workers: int | None) -> float:
    """Images per second of one check."""
    started = time.perf_counter()
    report = check(str(folder), workers=workers)
    as_text(report)
    return report.pictures.number / (time.perf_counter() - started)


def main(folder: Path, rounds: int) -> None:
    cores = len(os.sched_getaffinity(0))
    print(f"{folder}, {cores} cores, load {os.getloadavg()[0]:.1f} at the start")
    rate(folder, None)
    for name, workers in ((f"{cores} processes", None), ("1 process", 1)):
        rates = [rate(folder, workers) for _ in range(rounds)]
        print(f"{name:<12} {statistics.median(rates):6,.0f} images/s (median of {rounds}; "
              f"{min(rates):,.0f}–{max(rates):,.0f})")  # fmt: skip
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":  # the processes import this file
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3)
