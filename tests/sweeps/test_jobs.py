"""Completed and remaining jobs of a sweep, and its progress. The files of the runs are written by hand."""

from __future__ import annotations

import csv
import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from cvlib.runtime.errors import RunFailed
from cvlib.sweeps import jobs as sweep
from cvlib.sweeps.jobs import Job


def write(folder: Path, status: str, **fields: Any) -> None:
    folder.mkdir(parents=True)
    facts = {"status": status, "task": "classification", "pid": os.getpid(), "host": socket.gethostname(),
             "metrics": {"test/accuracy": 0.75, "val/accuracy": 0.5},
             "timing": {"setup": 1.0, "train": 8.25, "evaluate": 0.5, "images_per_second": 90.0}}  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(facts | fields))


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    """Return one job for each status, with its files."""
    states = ("completed", "failed", "diverged", "interrupted", "pending", "running", "invalid")
    for state in states[:-3]:
        write(tmp_path / state, state, error="it was bad" if state in ("failed", "diverged") else None)
    write(tmp_path / "running", "running")
    errors = {"invalid": "invalid seed=x"}
    return [Job(state, (f"seed={state}",), tmp_path / state, errors.get(state)) for state in states]


def test_only_unfinished_jobs_run_unless_failed_ones_are_requested(jobs: list[Job]) -> None:
    assert [job.label for job in sweep.to_run(jobs, rerun_failed=False)] == ["interrupted", "pending"]
    rerun = [job.label for job in sweep.to_run(jobs, rerun_failed=True)]
    assert rerun == ["failed", "diverged", "interrupted", "pending"]


def test_a_job_whose_process_is_gone_runs_again(tmp_path: Path) -> None:
    write(tmp_path / "dead", "running", pid=2**22 + 1)
    job = Job("dead", (), tmp_path / "dead")
    assert sweep.to_run([job], rerun_failed=False) == [job]


def test_a_damaged_record_counts_as_a_failed_job(tmp_path: Path) -> None:
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn/summary.json").write_text('{"status": "comp')
    job = Job("torn", (), tmp_path / "torn", identity="some")
    assert sweep.to_run([job], False) == []
    row = sweep.row_of(job)
    assert row.status == "failed"
    assert "summary.json" in str(row.error)


def test_a_completed_run_of_another_config_does_not_complete_the_job(tmp_path: Path) -> None:
    write(tmp_path / "a", "completed", config_hash="old")
    assert sweep.to_run([Job("a", (), tmp_path / "a", identity="old")], False) == []
    changed = Job("a", (), tmp_path / "a", identity="new")
    assert sweep.to_run([changed], False) == [changed]
    assert sweep.row_of(Job("a", (), tmp_path / "a", "holds a run of another config")).status == "failed"
    late = sweep.row_of(Job("a", (), tmp_path / "a", "another process is writing this run", identity="old"))
    assert (late.status, late.error) == ("completed", None)


def test_the_announcement_counts_jobs_by_status(jobs: list[Job]) -> None:
    text = sweep.announce(jobs, sweep.to_run(jobs, False), False)
    assert text == (
        "7 jobs, 1 rejected as invalid, 1 already completed, 2 failed before "
        "(hydra.sweeper.rerun_failed=true runs them again), 1 running in another process; 2 to run"
    )


def test_progress_counts_the_scheduled_jobs_and_estimates_the_remaining_time(
    jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = sweep.to_run(jobs, rerun_failed=False)
    monkeypatch.setattr("time.time", lambda: 1000.0)
    sweep.write_plan(tmp_path, jobs, running)
    assert sweep.progress(tmp_path, tmp_path / "interrupted") == "job 4 of 7: interrupted (0 of 2 scheduled jobs done)"
    summary = json.loads((tmp_path / "interrupted/summary.json").read_text())
    (tmp_path / "interrupted/summary.json").write_text(json.dumps(summary | {"status": "completed"}))
    monkeypatch.setattr("time.time", lambda: 1300.0)  # one of two jobs took 300 s
    text = sweep.progress(tmp_path, tmp_path / "pending")
    assert text == "job 5 of 7: pending (1 of 2 scheduled jobs done, about 5 min left if the others take as long)"


def test_a_sweep_ends_with_a_table_two_files_and_an_error_for_incomplete_jobs(
    jobs: list[Job], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RunFailed, match="6 of 7 jobs"):
        sweep.conclude(tmp_path, jobs, {tmp_path / "pending": "the file is missing"})
    out, err = capsys.readouterr()
    assert sweep.progress(tmp_path, tmp_path / "pending") == "pending"  # a job that starts after the sweep has ended
    (completed,) = [line.split() for line in out.splitlines() if line.startswith("completed")]
    assert completed == ["completed", "completed", "0.7500", "9.8"]
    assert "error: diverged: it was bad" in err
    assert "error: pending: the file is missing" in err
    with (tmp_path / "sweep.csv").open() as file:
        statuses = [row["status"] for row in csv.DictReader(file)]
    assert statuses == ["completed", "failed", "diverged", "interrupted", "failed", "running", "failed"]
    written = json.loads((tmp_path / "sweep.json").read_text())
    assert written["jobs"][0]["value"] == 0.75
    assert written["status"] == "unfinished"


def test_a_sweep_says_that_its_last_jobs_run_in_another_process(tmp_path: Path, jobs: list[Job]) -> None:
    chosen = [job for job in jobs if job.label in ("completed", "running")]
    with pytest.raises(RunFailed, match="1 of 2 jobs are still running in another process"):
        sweep.conclude(tmp_path, chosen, {chosen[-1].folder: "another process is writing this run"})


def test_a_sweep_succeeds_if_every_job_is_completed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "only", "completed")
    sweep.conclude(tmp_path, [Job("only", (), tmp_path / "only")], {})
    assert "1 of 1 jobs completed" in capsys.readouterr().out
    assert json.loads((tmp_path / "sweep.json").read_text())["status"] == "completed"


def test_rows_of_earlier_sweeps_are_kept_while_their_runs_exist(tmp_path: Path) -> None:
    for name in ("lr=0.1,seed=0", "lr=0.1,seed=1", "lr=0.2,seed=0"):
        write(tmp_path / name, "completed")
    (tmp_path / "no run").mkdir()
    first = [Job(f"seed={seed}", (), tmp_path / f"lr=0.1,seed={seed}") for seed in (0, 1)]
    sweep.write_results(tmp_path, [sweep.row_of(job) for job in first], "completed")
    shutil.rmtree(tmp_path / "lr=0.1,seed=1")
    sweep.conclude(tmp_path, [Job("lr=0.2", (), tmp_path / "lr=0.2,seed=0")], {})
    with (tmp_path / "sweep.csv").open() as file:
        rows = [(row["job"], row["folder"], row["value"]) for row in csv.DictReader(file)]
    assert rows == [("lr=0.2", "lr=0.2,seed=0", "0.75"), ("lr=0.1,seed=0", "lr=0.1,seed=0", "0.75")]
    assert len(json.loads((tmp_path / "sweep.json").read_text())["jobs"]) == 1


def test_labels_leave_out_overrides_that_all_jobs_share() -> None:
    assert sweep.labels([("name=x", "seed=0"), ("name=x", "seed=1")]) == ["seed=0", "seed=1"]
    assert sweep.labels([("name=x", "seed=0")]) == ["name=x seed=0"]
    assert sweep.labels([("name=$\\{model.name\\}",)]) == ["name=${model.name}"]
