"""Kill a run within an epoch, and read what runs must have in common afterwards."""

from __future__ import annotations

import csv
import signal
import subprocess
import time
from pathlib import Path


def kill_within_an_epoch(process: subprocess.Popen[str], cut: Path) -> None:
    """Kill the process that trains in the folder `cut` after a checkpoint within the second epoch."""
    deadline = time.monotonic() + 600
    while not any(cut.glob("checkpoints/epoch-00001-step-*[1-9].npz")) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1][-2000:]
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (cut / "model.keras").exists()


def rows(run: Path) -> list[dict[str, str]]:
    """Return the rows of metrics.csv without the times."""
    with (run / "metrics.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def assert_same_results(run: Path, other: Path) -> None:
    """Check that two runs have the same metrics and test results."""
    assert rows(run) == rows(other)
    assert (run / "test_results.csv").read_text() == (other / "test_results.csv").read_text()
