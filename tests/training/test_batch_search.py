"""The search for the largest batch that fits (`data.batch_size=auto`)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cvlib.cli.compose import compose
from cvlib.runs.unrecorded import Unrecorded
from cvlib.runtime.errors import RunFailed, UserError
from cvlib.training import batch_search, batch_trial

ROOT = Path(__file__).parents[2]
AUTO = ("model=cnn", "data.batch_size=auto")


def tried(monkeypatch: pytest.MonkeyPatch, program: str, sizes: list[int]) -> tuple[dict[int, float], str]:
    """Try sizes in a process that runs `program` with the request as `given`, and `tell` to send a result."""
    start = (
        "import json, os, signal, sys\n"
        "given = json.loads(sys.stdin.read())\n"
        "def tell(**result): os.write(given['pipe'], (json.dumps(result) + chr(10)).encode())\n"
    )
    monkeypatch.setattr(batch_search, "_COMMAND", start + program)
    return batch_search._tried(compose(AUTO), sizes)


def test_a_process_that_the_system_kills_leaves_the_sizes_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    program = "tell(size=8, peak_mb=10.0); tell(size=16, peak_mb=15.0); os.kill(os.getpid(), signal.SIGKILL)"
    peaks, reason = tried(monkeypatch, program, [8, 16, 32])
    assert peaks == {8: 10.0, 16: 15.0} and reason == "32 was killed by SIGKILL (out of memory?)"


def test_errors_of_the_process_are_those_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no such folder"):
        tried(monkeypatch, "sys.stderr.write('error: no such folder'); sys.exit(2)", [8])
    with pytest.raises(RunFailed, match="a batch of 8 fail: ValueError: odd"):
        tried(monkeypatch, "raise ValueError('odd')", [8])


def test_smaller_sizes_are_tried_if_the_recommended_size_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fake(config: Any, sizes: list[int]) -> tuple[dict[int, float], str]:
        asked.append(sizes)
        return {size: 1.0 for size in sizes if size <= 4}, f"{sizes[0]} is too large"

    monkeypatch.setattr(batch_search, "_tried", fake)
    assert batch_search.search(compose(AUTO))["batch_size"] == 4
    assert asked[0][:3] == [32, 64, 128] and asked[1] == [1, 2, 4, 8, 16]


def test_a_resumed_run_takes_the_recorded_size() -> None:
    record = Unrecorded(Path("unused"), {})
    record.update(batch_size_search={"batch_size": 24, "reason": "32 runs out of memory", "peak_mb": {}})
    assert batch_search.replace_auto(compose(AUTO), record).data.batch_size == 24


@pytest.mark.parametrize(("limit", "images", "reason"), [
    (900, 10**6, "64 would need about 1.2 GiB of memory, more than 0.9 GiB"),
    (10**6, 100, "the training split has 100 images"),
    (10**6, 10**6, "128 runs out of memory"),
])  # fmt: skip
def test_the_trial_ends_before_the_memory_does(
    monkeypatch: pytest.MonkeyPatch, limit: float, images: int, reason: str
) -> None:
    peaks, told = iter([200.0, 700.0, 800.0, 900.0]), []

    def train(training: Any, dataset: Any, size: int) -> None:
        if size == 128:
            raise MemoryError

    monkeypatch.setattr(batch_trial, "peak_memory_mb", lambda: next(peaks))
    monkeypatch.setattr(batch_trial, "_train", train)
    training, dataset = SimpleNamespace(config=compose(("model=cnn",))), SimpleNamespace(train=range(images))
    batch_trial.run(training, dataset, [32, 64, 128], limit, told.append)  # type: ignore[arg-type]
    assert reason in told[-1]["reason"] and told[0] == {"size": 32, "peak_mb": 700.0}


@pytest.mark.parametrize("value", ["huge", "1.5", "true", "0"])
def test_other_values_are_refused(value: str) -> None:
    with pytest.raises(UserError, match=r"data\.batch_size"):
        compose(("model=cnn", f"data.batch_size={value}"))


@pytest.mark.slow
def test_a_run_records_the_size_and_is_evaluated_with_it(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "run.py"), *AUTO, "data.fraction=0.1", "trainer.epochs=1",
               "hydra.run.dir=run"]  # fmt: skip
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    found = json.loads((tmp_path / "run/summary.json").read_text())
    assert found["batch_size_search"]["batch_size"] == 64 and found["steps"] == 2
    assert "because the training split has 126 images" in (tmp_path / "run/train.log").read_text()
    evaluate = [sys.executable, "-m", "cvlib.cli", "evaluate", "run", "--split", "test"]
    subprocess.run(evaluate, cwd=tmp_path, check=True, capture_output=True)
