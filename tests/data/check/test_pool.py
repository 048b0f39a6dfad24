"""Several processes give the same results as one, and Ctrl-C ends them all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.data.check import pool
from cvlib.data.check.pool import Job, Labelled, do_all
from cvlib.data.labels import BOXES
from cvlib.data.labels.raw_boxes import raw
from cvlib.runtime import hardware


def _write_photographs(folder: Path, number: int, side: int = 40) -> list[Path]:
    random = np.random.default_rng(0)
    paths = [folder / f"{i:05}.jpg" for i in range(number)]
    for path in paths:
        Image.fromarray(random.integers(0, 256, (side, side, 3), np.uint8)).save(path)
    return paths


def test_several_processes_find_the_same_as_one(tmp_path):
    paths = _write_photographs(tmp_path, 100)
    paths[7].write_bytes(b"")
    box = raw([(-5.0, 0.0, 90.0, 90.0)], [0], [False], ["object 1"])
    jobs = [Job(path, {0: Labelled(box, BOXES, path.name, "")}) for path in paths]
    serial, parallel = do_all(jobs, workers=1), do_all(jobs, workers=2, patience=0)
    assert set(serial) == set(parallel) == set(paths)
    for path in paths:
        assert serial[path].scan == parallel[path].scan
        assert [f.kind for result in parallel[path].labels.values() for f in result.findings] == (
            [] if path == paths[7] else ["box outside"])  # fmt: skip
    assert [fault.kind for fault in parallel[paths[7]].scan.faults] == ["empty file"]


def test_short_jobs_start_no_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "_by_processes", lambda *_: pytest.fail("processes were started"))
    jobs = [Job(path) for path in _write_photographs(tmp_path, 5)]
    assert len(pool.do_all(jobs, workers=2, patience=60)) == 5
    assert len(pool.do_all(jobs, workers=1, patience=0)) == 5


@pytest.mark.skipif(hardware.usable_cores() < 2, reason="no processes are started on a single core")
def test_ctrl_c_ends_all_processes(tmp_path):
    paths = _write_photographs(tmp_path, 30, side=800)
    for i in range(9000):  # enough links to keep the check busy for seconds
        (tmp_path / f"link{i:05}.jpg").symlink_to(paths[i % len(paths)])
    command = [sys.executable, "-m", "cvlib.cli", "check", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    while not _children(process.pid):
        assert process.poll() is None, "the check ended before it could be interrupted"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # to the whole group, as a terminal does
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert b"Traceback" not in errors
    deadline = time.monotonic() + 60
    while _group_exists(process.pid):  # the resource tracker of the processes ends last
        assert time.monotonic() < deadline, "some processes are still running"
        time.sleep(0.05)


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if Path(f"/proc/{pid}").is_dir() else []


def _group_exists(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True
