"""The exit code of one job, the cores that it may use, and the folder that it waits for."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from cvlib import experiment, tasks
from cvlib.runs.record import Record
from cvlib.runs.summary import LOCK
from cvlib.sweeps import one_job
from cvlib.sweeps.one_job import Outcome
from tests.runs.small_config import CONFIG


def test_the_exit_code_is_that_of_the_job(capsys: pytest.CaptureFixture[str]) -> None:
    assert one_job.conclude([]) == 0
    assert one_job.conclude([Outcome(Path("a"), 0, {})]) == 0
    assert one_job.conclude([Outcome(Path("a"), 2, {}, "two\nlines")]) == 2
    assert capsys.readouterr().err == "error: two lines\n"


def test_cores_are_divided_among_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert [one_job.cores_per_job(jobs) for jobs in (1, 2, 3, 16, -1)] == [8, 4, 2, 1, 1]


def test_an_isolated_job_waits_for_the_rest_of_a_killed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(config: object, folder: Path, provenance: dict[str, str], wait: float, on_epoch: None) -> dict[str, bool]:
        with Record(folder, CONFIG, provenance, wait):
            return {"written": True}

    monkeypatch.setattr(experiment, "run", run)
    monkeypatch.setattr(tasks, "config_of", lambda composed: composed)
    rest = FileLock(tmp_path / LOCK, thread_local=False)
    rest.acquire()
    threading.Timer(1.0, rest.release).start()
    outcome = one_job.run_isolated({"output_root": str(tmp_path)}, tmp_path, {})
    assert outcome == Outcome(tmp_path, 0, {"written": True})
