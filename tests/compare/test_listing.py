"""The list of runs: order, filter, size and age."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from cvlib.compare.listing import listing
from cvlib.runtime.errors import UserError
from tests.compare.conftest import MakeRun


def _started(seconds_ago: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() - seconds_ago))


@pytest.fixture
def runs(make_run: MakeRun, tmp_path: Path) -> Path:
    """Return a folder with three runs: two completed, and one that failed an hour ago."""
    make_run("old", {"mode.name": "finetune"}, [1, 1, 1, 0], started=_started(3 * 86400 + 5))
    make_run("new", right=[1, 1, 0, 0], started=_started(5))
    make_run("failed", started=_started(3605), status="failed", metrics={})
    return tmp_path


def _names(folder: Path, **options: object) -> list[str]:
    entries = json.loads(listing([folder], print, form="json", **options))  # type: ignore[arg-type]
    return [entry["name"] for entry in entries]


def test_the_newest_run_is_the_first(runs: Path) -> None:
    assert _names(runs) == ["new", "failed", "old"]


def test_a_metric_puts_the_best_run_first_and_runs_without_it_last(runs: Path) -> None:
    assert _names(runs, sort="test/accuracy") == ["old", "new", "failed"]


def test_the_smallest_loss_is_the_first(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("high", metrics={"val/loss": 2.0})
    make_run("low", metrics={"val/loss": 1.0})
    assert _names(tmp_path, sort="val/loss") == ["low", "high"]


def test_text_columns_sort_alphabetically_and_size_from_the_largest(runs: Path) -> None:
    (runs / "failed/large.bin").write_bytes(bytes(3 * 2**20))
    assert _names(runs, sort="name") == ["failed", "new", "old"]
    assert _names(runs, sort="size")[0] == "failed"


def test_only_runs_with_the_chosen_status_are_listed(runs: Path) -> None:
    assert _names(runs, statuses=["failed"]) == ["failed"]
    assert listing([runs], print, ["diverged"]) == "no run has the status diverged\n"


def test_the_table_shows_metric_age_and_size_and_counts_the_runs(runs: Path) -> None:
    (runs / "old/large.bin").write_bytes(bytes(3 * 2**20))
    lines = listing([runs], print).splitlines()
    old = next(line for line in lines if line.startswith("old"))
    assert "test/accuracy 0.7500" in old
    assert "3 days ago" in old
    assert old.endswith("3.0 MB")
    assert "1 hour ago" in next(line for line in lines if line.startswith("failed"))
    assert lines[-1].startswith("3 runs: 2 completed, 1 failed, 3.0 MB")


def test_the_table_shows_the_metric_that_sorts_it(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("one", metrics={"val/loss": 0.25, "test/accuracy": 1.0})
    assert "val/loss 0.2500" in listing([tmp_path], print, sort="val/loss")


def test_an_unfinished_run_shows_its_metric_on_validation(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("half", status="interrupted", metrics={"val/accuracy": 0.5})
    assert "val/accuracy 0.5000" in listing([tmp_path], print)


def test_an_unknown_key_is_refused_with_the_known_ones(runs: Path) -> None:
    with pytest.raises(UserError, match=r"--sort tset: expected one of name, .*, age, size, .*test/accuracy"):
        listing([runs], print, sort="tset")


def test_a_run_without_a_start_time_has_a_dash(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("one", started="yesterday")
    assert json.loads(listing([tmp_path], print, form="json"))[0]["age"] is None
    assert "–" in listing([tmp_path], print)
