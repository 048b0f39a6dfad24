"""Finding runs at any depth, among damaged and unrelated files."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cvlib.compare import runs
from cvlib.runs.run import Run
from cvlib.runtime.errors import UserError

MakeRun = Callable[..., Path]


def found(*folders: Path) -> tuple[dict[str, Run], list[str]]:
    messages: list[str] = []
    return {run.name: run for run in runs.find(list(folders), messages.append)}, messages


def test_each_run_is_found_once_at_any_depth(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("sweeps/a/seed=1")
    make_run("runs/b")
    by_name, messages = found(tmp_path, tmp_path / "runs")
    assert set(by_name) == {"runs/b", "sweeps/a/seed=1"}
    assert messages == [f"{tmp_path / 'runs'}: no further runs in this folder"]
    assert set(found(tmp_path / "runs/b")[0]) == {"b"}


def test_a_symbolic_link_to_a_parent_folder_adds_no_runs(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("runs/a")
    (tmp_path / "runs/loop").symlink_to(tmp_path, target_is_directory=True)
    assert set(found(tmp_path)[0]) == {"runs/a"}


def test_partial_and_unrelated_files_are_skipped_and_reported(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("good")
    (make_run("no_config") / "config.yaml").unlink()
    (make_run("bad_config") / "config.yaml").write_text("a: [1,\n")
    for name, text in {
        "half": '{"status": "comp',
        "foreign": "[1, 2]",
        "other": '{"status": "ok"}',
        "deep": "[" * 100_000,
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "summary.json").write_text(text)
    (tmp_path / "binary").mkdir()
    (tmp_path / "binary/summary.json").write_bytes(b"\xff\xfe\x00")
    by_name, messages = found(tmp_path)
    assert set(by_name) == {"good"}
    assert len(messages) == 7
    assert f"{tmp_path / 'half'}: skipped, its summary.json can't be read (half-written?)" in messages
    assert f"{tmp_path / 'foreign'}: skipped, its summary.json is not a run's summary" in messages
    assert f"{tmp_path / 'no_config'}: skipped, its config.yaml is missing or can't be read" in messages


def test_pipes_and_devices_are_not_read(tmp_path: Path, make_run: MakeRun) -> None:
    for name in ("summary.json", "config.yaml", "test_results.csv", "metrics.csv", ".hydra/overrides.yaml"):
        path = make_run(Path(name).stem) / name
        path.unlink()
        os.mkfifo(path)
    (make_run("device") / "summary.json").unlink()
    (tmp_path / "device/summary.json").symlink_to("/dev/zero")
    code = f"from cvlib.cli import main; main(['compare', {str(tmp_path)!r}, '--format', 'html'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20)
    skipped = [line.split(": skipped, its ")[0].split("/")[-1] for line in done.stderr.splitlines()]
    assert skipped == ["config", "device", "summary"]


def test_pretraining_runs_are_left_out_unless_named(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("runs/a")
    make_run("pretrained/letters")
    by_name, messages = found(tmp_path)
    assert set(by_name) == {"runs/a"}
    assert "pretraining runs are left out" in messages[0]
    assert set(found(tmp_path / "pretrained")[0]) == {"letters"}


def test_a_missing_folder_and_a_folder_without_runs_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        found(tmp_path / "absent")
    with pytest.raises(UserError, match="no runs below"):
        found(tmp_path)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"pid": os.getpid(), "host": socket.gethostname()}, "running"),
        ({"pid": os.getpid()}, "running"),
        ({"pid": 2**22 + 5, "host": socket.gethostname()}, "interrupted"),  # above the largest process id of Linux
        ({"pid": 2**22 + 5, "host": "another machine"}, "interrupted"),  # a copy: nothing holds its lock
        ({"pid": "?"}, "interrupted"),
        ({}, "interrupted"),
    ],
)
def test_a_running_run_whose_process_is_gone_counts_as_interrupted(make_run: MakeRun, fields: dict[str, object],
                                                                   status: str) -> None:  # fmt: skip
    folder = make_run("a", status="running", **fields)
    assert found(folder)[0]["a"].status == status


def test_the_config_is_flattened_and_the_overridden_keys_are_known(make_run: MakeRun) -> None:
    run = found(make_run("a", {"mode.name": "finetune", "data.fraction": 0.1, "seed": 3}))[0]["a"]
    assert run.settings["data.fraction"] == 0.1
    assert run.settings["model.filters"] == (32, 64)
    assert run.settings["data.path"] is None
    assert run.overridden == {"mode", "data.fraction", "seed"}
    assert run.repeat == (3, 0, None)
    assert "output_root" not in run.settings


def test_a_config_with_yaml_anchors_is_read_correctly(make_run: MakeRun) -> None:
    folder = make_run("a")
    (folder / "config.yaml").write_text("base: &b\n  x: 1\nother: *b\nlist:\n- 1\n- 2\n")
    run = found(folder)[0]["a"]
    assert run.settings == {"base.x": 1, "other.x": 1, "list": (1, 2)}


def test_metrics_that_are_not_finite_numbers_count_as_missing(make_run: MakeRun) -> None:
    folder = make_run("a", metrics={"test/loss": float("nan"), "test/accuracy": 0.5, "note": "x", "on": True})
    run = found(folder)[0]["a"]
    assert [run.metric(name) for name in ("test/loss", "test/accuracy", "note", "on")] == [None, 0.5, None, None]


def test_sample_values_are_1_if_correct_and_sorted_by_name(make_run: MakeRun) -> None:
    folder = make_run("a", right=[1, 0, 1])
    lines = (folder / "test_results.csv").read_text().splitlines()
    (folder / "test_results.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]))
    run = found(folder)[0]["a"]
    assert runs.sample_values(run, "test/accuracy") == (
        (("0000.png", "a"), ("0001.png", "a"), ("0002.png", "a")), (1.0, 0.0, 1.0),
    )  # fmt: skip
    assert runs.sample_values(run, "val/accuracy") is None
    assert runs.sample_values(run, "test/macro_f1") is None


def test_other_metrics_are_read_from_their_own_column(make_run: MakeRun) -> None:
    folder = make_run("a", {"model.task": "segmentation"})
    (folder / "test_results.csv").write_text("name,mIoU,mIoU_share,loss\nb,0.5,0.7,2\na,0.25,0.1,1\n")
    run = found(folder)[0]["a"]
    assert runs.sample_values(run, "test/loss") == ((("a", ""), ("b", "")), (1, 2))
    assert runs.sample_values(run, "test/mIoU") == ((("a", ""), ("b", "")), (0.1, 0.7))  # from column mIoU_share


_DUPLICATE = "name,truth,prediction\na,x,x\na,x,x\n"


@pytest.mark.parametrize("content", ["", "name,truth\n", "name,truth,prediction\na\n", _DUPLICATE])
def test_unusable_results_give_none(make_run: MakeRun, content: str) -> None:
    folder = make_run("a")
    (folder / "test_results.csv").write_text(content)
    assert runs.sample_values(found(folder)[0]["a"], "test/accuracy") is None
