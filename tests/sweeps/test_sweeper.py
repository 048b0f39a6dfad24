"""Sweeps and searches as users start them: after failures, after kills, and when repeated."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from tests import programs
from tests.cli.test_train import ROOT, run, summary, weights

TINY = ["model.filters=[4]", "model.dense=[8]", "trainer.epochs=2", "trainer.steps_per_epoch=3"]


def rows(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "sweep.csv").open() as file:
        return {row["job"]: row for row in csv.DictReader(file)}


def start(folder: Path, *overrides: str) -> programs.Program:
    return programs.start(folder, programs.RUN, *overrides)


def wait_for(folder: Path, pattern: str, seconds: float = 120) -> Path:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := list(folder.glob(pattern)):
            return found[0]
        time.sleep(0.02)
    raise AssertionError(f"no {pattern} in {folder}")


def test_failed_jobs_are_recorded_and_the_others_run(tmp_path: Path) -> None:
    overrides = ["-m", *TINY, "optimizer=sgd", "optimizer.lr=1e+20,0.01,0", "trainer.epochs=6", "hydra.sweep.dir=sweep"]
    result = run(tmp_path, *overrides)
    assert result.returncode == 1
    found = {job: row["status"] for job, row in rows(tmp_path / "sweep").items()}
    assert found == {"optimizer.lr=1e+20": "diverged", "optimizer.lr=0.01": "completed", "optimizer.lr=0": "failed"}
    assert "error: optimizer.lr=1e+20: the loss became" in result.stderr
    assert "error: optimizer.lr=0: invalid optimizer.lr=0.0" in result.stderr
    assert "job 2 of 3: optimizer.lr=0.01 (1 of 2 scheduled jobs done, 1 of them failed, about" in result.stdout
    lines = result.stderr.splitlines()  # each error when it occurs, and again at the end
    assert [sum(job in line for line in lines) for job in ("optimizer.lr=1e+20: the loss", "optimizer.lr=0: inv")] == [
        2,
        2,
    ]
    assert any(line.startswith("error: job 1 of 3: optimizer.lr=1e+20: the loss") for line in lines)

    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    command = [sys.executable, str(ROOT / "run.py"), *overrides]
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    assert again.returncode == 1
    assert "1 rejected as invalid, 1 already completed, 1 failed before" in again.stdout
    assert "0 to run" in again.stdout
    assert "tensorflow" not in again.stderr

    rerun = run(tmp_path, *overrides, "hydra.sweeper.rerun_failed=true")
    assert "1 to run" in rerun.stdout
    assert "job 1 of 3" in rerun.stdout
    assert rows(tmp_path / "sweep")["optimizer.lr=1e+20"]["status"] == "diverged"


def test_in_a_sweep_only_modes_that_use_weights_get_them(tmp_path: Path) -> None:
    overrides = [*TINY, "mode=scratch,finetune", "mode.weights=nowhere,neither", "hydra.sweep.dir=sweep"]
    result = run(tmp_path, "-m", *overrides)
    assert "mode.weights applies to finetune: mode=scratch leaves it out" in result.stdout
    assert "3 jobs, 2 rejected" in result.stdout
    found = {job: row["status"] for job, row in rows(tmp_path / "sweep").items()}
    assert found == {"mode=scratch": "completed", "mode=finetune mode.weights=nowhere": "failed",
                     "mode=finetune mode.weights=neither": "failed"}  # fmt: skip
    (scratch,) = (tmp_path / "sweep").glob("*mode=scratch*/config.yaml")
    assert yaml.safe_load(scratch.read_text())["mode"].get("weights") is None


def test_an_error_in_every_job_is_reported_before_anything_is_written(tmp_path: Path) -> None:
    invalid = ("model.depth=3", "trainer.epoch=1,2", "mode.weights=x", "optimizer.lr=range(0)", "hydra.sweep.subdir=a",
               "hydra.sweep.dir=/proc/a")  # fmt: skip
    for override in invalid:
        result = run(tmp_path, "-m", "seed=0,1", "mode=scratch", override)
        assert result.returncode == 2
        assert len(result.stderr.strip().splitlines()) == 1
        assert list(tmp_path.iterdir()) == []


def test_a_search_requires_a_number_of_trials_and_something_to_choose(tmp_path: Path) -> None:
    interval = run(tmp_path, "-m", "optimizer.lr=interval(0.001,0.1)")
    assert interval.returncode == 2
    assert "hydra.sweeper.trials" in interval.stderr
    nothing = run(tmp_path, "-m", "optimizer.lr=0.1", "hydra.sweeper.trials=3")
    assert nothing.returncode == 2
    assert "no override has several values or an interval" in nothing.stderr


def test_an_error_in_every_trial_is_reported_before_a_search_starts(tmp_path: Path) -> None:
    choices = ["model=cnn,resnet", "optimizer.lr=interval(1e-4,1e-2)", "hydra.sweeper.trials=4"]
    done = run(tmp_path, "-m", *choices, "data=folder", "data.path=nowhere")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "nowhere" in done.stderr and "every combination of this search" in done.stderr
    assert not list(tmp_path.rglob("study*"))


@pytest.mark.slow
def test_a_job_does_not_affect_later_jobs(tmp_path: Path) -> None:
    """A job has bit-identical weights when run alone and after jobs with other precisions."""
    job = [*TINY, "model.dropout=0.3", "augment=light"]
    alone = run(tmp_path, *job, "trainer.precision=float32", "hydra.run.dir=alone")
    assert alone.returncode == 0, alone.stderr
    swept = run(tmp_path, "-m", *job, "trainer.precision=bfloat16,float16,float32", "hydra.sweep.dir=sweep")
    assert swept.returncode == 0, swept.stderr
    (last,) = (tmp_path / "sweep").glob("*precision=float32*")
    assert weights(last) == weights(tmp_path / "alone")


@pytest.mark.slow
def test_memory_does_not_grow_over_9_jobs(tmp_path: Path) -> None:
    process = start(tmp_path, "-m", *TINY, "trainer.epochs=1", "seed=range(9)", "hydra.sweep.dir=sweep")
    resident = {}
    for done in (3, 9):
        wait_for(tmp_path, f"sweep/*seed={done - 1},*/summary.json", 1800)
        resident[done] = psutil.Process(process.pid).memory_info().rss / 2**20
    process.communicate(timeout=120)
    assert process.returncode == 0
    peaks = [summary(path.parent)["peak_memory_mb"] for path in (tmp_path / "sweep").glob("*/summary.json")]
    assert len(peaks) == 9
    assert max(peaks) < 1.1 * min(peaks)  # type: ignore[type-var,operator]
    assert abs(resident[9] - resident[3]) < 20


@pytest.mark.slow
def test_a_killed_job_and_a_killed_sweep_resume(tmp_path: Path) -> None:
    overrides = ["-m", "model.filters=[4]", "model.dense=[8]", "trainer.epochs=12", "seed=0,1", "hydra.sweep.dir=sweep"]
    process = start(tmp_path, *overrides)
    wait_for(tmp_path, "sweep/*seed=0*/checkpoints/epoch-00002*.npz")
    (job,) = psutil.Process(process.pid).children()
    job.kill()
    wait_for(tmp_path, "sweep/*seed=1*/checkpoints/epoch-00002*.npz")
    (job,) = psutil.Process(process.pid).children()
    process.kill()
    process.communicate()
    psutil.wait_procs([job], timeout=60)  # the job notices, writes its checkpoint and stops
    assert not job.is_running()

    result = run(tmp_path, *overrides)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("resumes after epoch") == 2
    assert {row["status"] for row in rows(tmp_path / "sweep").values()} == {"completed"}


@pytest.mark.slow
def test_ctrl_c_stops_the_whole_sweep(tmp_path: Path) -> None:
    process = start(tmp_path, "-m", *TINY, "trainer.epochs=50", "seed=0,1", "hydra.sweep.dir=sweep")
    wait_for(tmp_path, "sweep/*seed=0*/checkpoints/epoch-00002*.npz")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    statuses = {job: row["status"] for job, row in rows(tmp_path / "sweep").items()}
    assert statuses == {"seed=0": "interrupted", "seed=1": "pending"}


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher") is None, reason="needs .[joblib]")
def test_a_sweep_of_two_jobs_at_a_time_survives_a_killed_worker(tmp_path: Path) -> None:
    overrides = ["-m", "model.filters=[4]", "model.dense=[8]", "trainer.epochs=12", "seed=0,1,2",
                 "hydra.sweep.dir=sweep", "hydra/launcher=parallel"]  # fmt: skip
    command = [sys.executable, str(ROOT / "run.py"), *overrides]  # a real process, because workers import its program
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(tmp_path, "sweep/*/checkpoints/epoch-00002*.npz")
    workers = [child for child in psutil.Process(process.pid).children() if child.children()]
    assert len(workers) == 2
    workers[0].kill()
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "the launcher lost a process" in out
    assert {row["status"] for row in rows(tmp_path / "sweep").values()} == {"completed"}


@pytest.mark.slow
def test_a_killed_search_resumes_to_the_requested_number_of_trials(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    overrides = ["-m", "model.filters=[4]", "model.dense=[8]", "trainer.epochs=6", "hydra.sweep.dir=search",
                 "optimizer.lr=tag(log,interval(1e-4,1e-1))", "model.kernel=1,3", "hydra.sweeper.trials=4",
                 "hydra.sweeper.workers=2"]  # fmt: skip
    process = start(tmp_path, *overrides)
    wait_for(tmp_path, "search/*/checkpoints/epoch-00002*.npz")
    descendants = psutil.Process(process.pid).children(recursive=True)
    for one in [psutil.Process(process.pid), *descendants]:
        one.kill()
    process.communicate()
    result = run(tmp_path, *overrides)
    assert result.returncode == 0, result.stderr
    found = list((tmp_path / "search").glob("*/summary.json"))
    assert len(found) == 4
    assert {json.loads(path.read_text())["status"] for path in found} <= {"completed", "pruned"}
    assert len(rows(tmp_path / "search")) == 4
