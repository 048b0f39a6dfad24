"""Messages for external failures, and a disk that becomes full during a run."""

from __future__ import annotations

import errno
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvlib.runtime.errors import user_message
from tests import programs


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.npz"), "no space left on the disk for a.npz"),
        (RuntimeError("write failed: No space left on device [Op:WriteImageSummary]"), "no space left on the disk:"),
        (PermissionError(errno.EACCES, "Permission denied", "runs/a"), "runs/a: can't be written (Permission denied)"),
        (MemoryError(), "smaller data.batch_size"),
        (type("JaxRuntimeError", (RuntimeError,), {})("RESOURCE_EXHAUSTED: Out of memory"), "trainer.remat=true"),
        (RuntimeError("{{function_node x}} UserError: a/b.png: can't be opened [[{{node y}}]]"), "a/b.png: can't be"),
    ],
)  # fmt: skip
def test_external_failures_give_one_line(error: Exception, words: str) -> None:
    message = user_message(error)
    assert message is not None
    assert words in message
    assert "\n" not in message
    assert "[[" not in message


def test_internal_errors_keep_their_traceback() -> None:
    assert user_message(TypeError("unhashable")) is None
    assert user_message(OSError(errno.EIO, "Input/output error")) is None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of one megabyte in memory, which needs permission to mount."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small disk can't be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
def test_a_run_resumes_once_the_disk_has_space(small_disk: Path) -> None:
    command = [programs.RUN, "trainer.epochs=3", f"hydra.run.dir={small_disk / 'run'}"]
    full = programs.run(small_disk, *command)
    assert full.returncode == 1, full.stdout + full.stderr
    assert full.stderr.count("\n") == 1
    assert "no space left on the disk" in full.stderr
    assert json.loads((small_disk / "run/summary.json").read_text())["status"] in ("running", "failed")
    assert not list(small_disk.rglob("*.partial"))
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    again = programs.run(small_disk, *command)
    assert again.returncode == 0, again.stderr
    assert "resumes after epoch 1" in again.stdout
    assert json.loads((small_disk / "run/summary.json").read_text())["status"] == "completed"
