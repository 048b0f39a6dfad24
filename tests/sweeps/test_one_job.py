"""The exit code of one job, and the cores that it may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cvlib.sweeps import one_job
from cvlib.sweeps.one_job import Outcome


def test_the_exit_code_is_that_of_the_job(capsys: pytest.CaptureFixture[str]) -> None:
    assert one_job.conclude([]) == 0
    assert one_job.conclude([Outcome(Path("a"), 0, {})]) == 0
    assert one_job.conclude([Outcome(Path("a"), 2, {}, "two\nlines")]) == 2
    assert capsys.readouterr().err == "error: two lines\n"


def test_cores_are_divided_among_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert [one_job.cores_per_job(jobs) for jobs in (1, 2, 3, 16, -1)] == [8, 4, 2, 1, 1]
