"""`cvlib benchmark`: the saved results, the output, and invalid arguments."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from cvlib import cli
from cvlib.benchmark import benchmark_run
from cvlib.models.restore import SavedRun
from cvlib.runs.benchmark import FILE, Benchmark
from tests.small_runs import write_run

ROW = {"precision": "float32", "metric": 0.5, "latency_ms": 1.0, "latency_p95_ms": 2.0, "images_per_second": 3.0,
       "size_mib": 4.0, "peak_memory_mib": 5.0, "file": None}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Replace the measurement; return the plans that it receives."""
    received: list[Any] = []

    def benchmark(opened: SavedRun, plan: Any, say: Any) -> Benchmark:
        received.append(plan)
        say("measuring")
        conditions = {"processor": "Xeon", "threads": plan.threads, "batch": plan.batch, "image_size": [12, 12],
                      "channels": 1, "metric": "test/accuracy", "data": "digits, test", "images": 269}  # fmt: skip
        return Benchmark(conditions, dict.fromkeys(plan.formats, ROW))

    monkeypatch.setattr(benchmark_run, "benchmark", benchmark)
    return received


def test_results_are_printed_and_saved_with_the_run(
    run: Path, plans: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["benchmark", str(run), "--format", "onnx,keras,onnx", "--threads", "3", "--output-format", "json"]
    assert cli.main(command) == 0
    printed = capsys.readouterr()
    (found,) = json.loads(printed.out)["runs"]
    assert list(found["formats"]) == ["onnx", "keras"]
    assert json.loads((run / FILE).read_text())["formats"] == found["formats"]
    assert (plans[0].batch, plans[0].threads, plans[0].split) == (32, 3, "test")
    assert printed.err == "measuring\n"


def test_a_read_only_run_is_measured_but_not_saved(
    run: Path, plans: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: Benchmark, folder: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(folder))

    monkeypatch.setattr(Benchmark, "write", refuse)
    assert cli.main(["benchmark", str(run), "--format", "keras"]) == 0
    printed = capsys.readouterr()
    assert "keras" in printed.out
    assert printed.err.splitlines()[-1] == f"{run / FILE}: not saved (Read-only file system)"


def test_the_extension_of_the_output_chooses_its_format(run: Path, plans: list[Any], tmp_path: Path) -> None:
    assert cli.main(["benchmark", str(run), "--output", str(tmp_path / "table.md")]) == 0
    assert (tmp_path / "table.md").read_text().startswith("| format |")
    assert cli.main(["benchmark", str(run), "--output", str(tmp_path / "table.csv")]) == 0
    assert (tmp_path / "table.csv").read_text().startswith("run,format,")


@pytest.mark.parametrize(("arguments", "words"), [
    (["--format", "keras,pdf"], "--format keras,pdf: expected some of keras, saved_model, onnx, litert, litert_int8"),
    (["--format", ","], "expected some of"),
    (["--batch", "0"], "--batch 0: expected a number from 1 to 4096"),
    (["--threads", "-1"], "--threads -1: expected a number from 1"),
    (["--split", "all"], "invalid choice: 'all'"),
    (["--output", "table.html"], "html is not available: choose from table, md, csv, json"),
    (["--output", "absent/table.md"], "expected a file in an existing folder"),
])  # fmt: skip
def test_invalid_arguments_give_a_one_line_error(
    run: Path, plans: list[Any], capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert cli.main(["benchmark", str(run), *arguments]) == 2
    message = capsys.readouterr().err
    assert words in message
    assert message.count("\n") == 1
    assert plans == []


def test_a_folder_without_a_finished_run_is_refused_before_any_run_is_measured(
    run: Path, plans: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "unfinished", status="interrupted")
    for name, words in (("unfinished", "status interrupted: cvlib benchmark needs a completed run"),
                        ("absent", "is not a folder"), (".", "is not a run: it has no summary.json")):  # fmt: skip
        assert cli.main(["benchmark", str(run), str(tmp_path / name)]) == 2
        message = capsys.readouterr().err
        assert words in message
        assert message.count("\n") == 1
    assert plans == []
