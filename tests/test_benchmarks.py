"""The benchmarks: ratios over rounds, and the table of ratios."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[1] / "experiments/benchmarks"


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    import measure

    return measure


def test_a_ratio_is_the_median_over_the_rounds(measure: ModuleType) -> None:
    cost = measure.Cost
    # Our rates are 10, 40, 5 and theirs 5, 10, 10. The ratios are 2, 4, 0.5; by processor time 2, 1, 4.
    ours = [{"a": cost(10, 1.0, 1.0)}, {"a": cost(10, 0.25, 1.0)}, {"a": cost(10, 2.0, 0.5)}]
    theirs = [{"a": cost(10, 2.0, 2.0)}, {"a": cost(10, 1.0, 1.0)}, {"a": cost(10, 1.0, 2.0)}]
    row = measure.faster("what", "images/s", ours, theirs, "a", "them")
    assert (row.ours, row.theirs, row.ratio, row.by_processor, row.rounds) == (10, 10, 2, 2, 3)
    flat = [[turn["a"] for turn in turns] for turns in (ours, theirs)]
    row = measure.sooner("what", *flat, "them")
    assert (row.ours, row.theirs, row.ratio, row.by_processor) == (1, 1, 2, 2)


def test_wall_clock_time_and_processor_time_differ(measure: ModuleType) -> None:
    slept = measure.timed(lambda: time.sleep(0.2), 2)
    assert 0.2 <= slept.seconds < 5
    assert slept.processor < 0.1
    assert slept.rate == 2 / slept.seconds


def test_the_table_lists_ratios_and_benchmarks_left_out(measure: ModuleType) -> None:
    rows = [
        measure.Row("one", "images/s", 1234.4, "bare", 0.5, 1.255, 0.97, "≥ 0.97", "so", 3, 1.06),
        measure.left_out("two", "torch isn't installed"),
    ]
    assert measure.table(rows).splitlines()[2:] == [
        "| one | images/s | 1,234 | bare | 0.5 | 1.25 | 0.97 | ≥ 0.97 | 3 | 1.1 |",
        "| two |  |  |  |  |  |  |  |  |  |",
        "",
        "- one, against bare: so",
        "- two: left out: torch isn't installed",
    ]
    assert measure.installed("numpy", "no-such-package") == "no-such-package"
    assert measure.installed("numpy") == ""


def test_help_imports_neither_tensorflow_nor_torch() -> None:
    command = [sys.executable, "-X", "importtime", str(FOLDER / "run.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--only" in done.stdout
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert not imported & {"tensorflow", "torch", "keras"}


@pytest.mark.slow
def test_the_decoders_are_compared() -> None:
    command = [sys.executable, str(FOLDER / "run.py"), "--only", "decoders", "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line for line in done.stdout.splitlines() if line.startswith("| segmenter with model.decoder=unpool")]
    assert len(rows) == 2 and all("images/s" in row for row in rows)
