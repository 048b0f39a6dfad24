"""A run's folder: statuses, atomic files, one writer, another config refused."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cvlib.runs import record
from cvlib.runs.metric_specs import MetricSpec
from cvlib.runs.record import Record
from cvlib.runs.run import read_run
from cvlib.runs.summary import read_summary
from cvlib.runtime.errors import Diverged, RunFailed, UserError

ASKED: dict[str, Any] = {
    "model": {"name": "cnn", "task": "classification"}, "mode": {"name": "scratch"}, "data": {"name": "digits"},
    "trainer": {"precision": "float32"}, "seed": 0, "name": None, "output_root": "outputs",
}  # fmt: skip


def config_in(root: Path) -> dict[str, Any]:
    return ASKED | {"output_root": str(root / "outputs")}


def status(folder: Path) -> str:
    return str(json.loads((folder / "summary.json").read_text())["status"])


def test_the_summary_exists_from_the_start_and_holds_the_contracts_fields(tmp_path: Path) -> None:
    with Record(tmp_path / "run", config_in(tmp_path), {".hydra/overrides.yaml": "[]\n"}) as run:
        summary = json.loads((tmp_path / "run/summary.json").read_text())
        assert summary["status"] == "running"
        assert (tmp_path / "run/.hydra/overrides.yaml").read_text() == "[]\n"
        run.update(status="completed")
    expected = (
        "status task model mode data seed metrics epochs steps parameters weights data_fingerprint timing "
        "peak_memory_mb versions git error"
    )
    assert set(expected.split()) <= set(summary)
    assert summary["versions"]["python"].startswith("3.")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (Diverged("loss became nan"), "diverged"),
        (RunFailed("moved"), "failed"),
        (MemoryError("no room"), "failed"),
    ],
)
def test_an_exception_leaves_the_status_it_means(tmp_path: Path, error: BaseException, expected: str) -> None:
    with pytest.raises(type(error)), Record(tmp_path / "run", config_in(tmp_path)):
        raise error
    assert status(tmp_path / "run") == expected


def test_a_mistake_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "outputs/runs/name/time"
    with pytest.raises(UserError), Record(folder, config_in(tmp_path), {".hydra/config.yaml": "a: 1\n"}) as run:
        run.say("something")
        raise UserError("no such file")
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_removes_only_its_own_files(tmp_path: Path) -> None:
    (tmp_path / "mine.log").write_text("kept")
    with pytest.raises(UserError), Record(tmp_path, config_in(tmp_path)):
        raise UserError("no such file")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.log"]


def test_a_folder_of_other_things_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    (tmp_path / "tensorboard").mkdir()
    with pytest.raises(UserError, match=r"holds other things \(photo\.jpg\)"), Record(tmp_path, config_in(tmp_path)):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.jpg", "tensorboard"]


def test_a_run_killed_before_its_summary_is_begun_again(tmp_path: Path) -> None:
    for name in (".lock", "config.yaml", "summary.json.77.partial", "stdout.log"):
        (tmp_path / name).touch()
    with Record(tmp_path, config_in(tmp_path)) as run:
        assert not run.resumed
        run.update(status="completed")


def test_a_mistake_while_going_on_keeps_what_an_earlier_process_wrote(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    with pytest.raises(KeyboardInterrupt), Record(tmp_path / "run", config):
        raise KeyboardInterrupt
    with pytest.raises(UserError), Record(tmp_path / "run", config):
        raise UserError("the data is gone")
    assert status(tmp_path / "run") == "interrupted"
    assert (tmp_path / "run/config.yaml").exists()


def test_a_folder_of_another_config_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    with Record(tmp_path / "run", config) as run:
        run.update(status="completed")
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.name != ".lock"}
    with (
        pytest.raises(UserError, match=r"seed: 0 there, 1 now"),
        Record(tmp_path / "run", config | {"seed": 1}),
    ):
        pass
    after = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.name != ".lock"}
    assert before == after


def test_a_run_whose_config_is_gone_goes_on_with_the_same_and_refuses_another(tmp_path: Path) -> None:
    config, file = config_in(tmp_path), tmp_path / "run/config.yaml"
    with pytest.raises(KeyboardInterrupt), Record(tmp_path / "run", config):
        raise KeyboardInterrupt
    before = file.read_bytes()
    for damaged in (None, b"seed: [", b"\xff"):
        file.unlink() if damaged is None else file.write_bytes(damaged)
        with (
            pytest.raises(UserError, match="another config"),
            Record(tmp_path / "run", config | {"seed": 1}),
        ):
            pass
    file.unlink()
    with Record(tmp_path / "run", config) as run:
        assert run.resumed
        assert file.read_bytes() == before
        run.update(status="completed")


@pytest.mark.parametrize("pid", [None, "x", -1, 10**30, {}])
@pytest.mark.parametrize(
    ("timing", "expected"), [(None, {}), ("x", {}), ({"setup": None, "train": 1.5}, {"train": 1.5})]
)
def test_odd_fields_of_a_summary_keep_no_run_from_going_on(
    tmp_path: Path, pid: object, timing: object, expected: dict[str, float]
) -> None:
    with pytest.raises(KeyboardInterrupt), Record(tmp_path, config_in(tmp_path)):
        raise KeyboardInterrupt
    summary = json.loads((tmp_path / "summary.json").read_text())
    (tmp_path / "summary.json").write_text(json.dumps(summary | {"status": "running", "pid": pid, "timing": timing}))
    read = read_summary(tmp_path)
    assert read is not None
    assert read["status"] == "interrupted"
    with Record(tmp_path, config_in(tmp_path)) as run:
        assert run.summary["timing"] == expected
        run.update(status="completed")


def test_a_run_has_one_writer_at_a_time(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    with Record(tmp_path / "run", config) as run:
        with pytest.raises(UserError, match="another process"), Record(tmp_path / "run", config):
            pass
        run.update(status="completed")
    assert status(tmp_path / "run") == "completed"


def test_the_lock_dies_with_its_process_and_what_it_left_half_written_goes(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from cvlib.runs.record import Record\n"
        f"held = Record(Path(sys.argv[1]), {ASKED}).__enter__(); print('held', flush=True); time.sleep(60)"
    )
    run = tmp_path / "run"
    holder = subprocess.Popen([sys.executable, "-c", code, str(run)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with pytest.raises(UserError, match="another process is writing this run"), Record(run, ASKED):
        pass
    holder.kill()
    holder.communicate()
    (run / "checkpoints").mkdir()
    left = [run / "summary.json.77.partial", run / "checkpoints/epoch-00001-step-0000000.npz.partial"]
    for path in left:
        path.touch()
    (run / "mine.partial").touch()
    with Record(run, ASKED) as second:
        assert second.resumed
        second.update(status="completed")
    assert not any(path.exists() for path in left)
    assert (run / "mine.partial").exists()


def test_a_run_whose_process_is_gone_reads_as_interrupted(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from cvlib.runs.record import Record\n"
        f"Record(Path(sys.argv[1]), {ASKED}).__enter__(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], check=False)
    assert status(tmp_path / "run") == "running"
    summary = read_summary(tmp_path / "run")
    assert summary is not None
    assert summary["status"] == "interrupted"
    with Record(tmp_path / "run", ASKED) as run:
        assert run.resumed
        run.update(status="completed")


def test_a_table_is_written_whole(tmp_path: Path) -> None:
    with Record(tmp_path / "run", config_in(tmp_path)) as run:
        run.write_csv("metrics.csv", [{"epoch": 1, "name": "a,b"}, {"epoch": 2, "name": 'say "é"'}])
        run.update(status="completed")
    with (tmp_path / "run/metrics.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [{"epoch": "1", "name": "a,b"}, {"epoch": "2", "name": 'say "é"'}]
    assert not list((tmp_path / "run").glob("*.partial"))


def test_a_summary_that_is_no_json_is_said(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text('{"status": "run')
    with pytest.raises(UserError, match=r"summary\.json"):
        read_summary(tmp_path)
    (tmp_path / "summary.json").write_text("[1]")
    with pytest.raises(UserError, match="is not a run's summary"):
        read_summary(tmp_path)


def test_only_empty_folders_within_the_root_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "root/a/b"
    folder.mkdir(parents=True)
    record.remove_if_empty(folder, tmp_path / "root")
    assert tmp_path.exists()
    assert not (tmp_path / "root").exists()
    (tmp_path / "x/y").mkdir(parents=True)
    record.remove_if_empty(tmp_path / "x/y", tmp_path / "elsewhere")
    assert (tmp_path / "x").exists()
    assert not (tmp_path / "x/y").exists()


def test_which_samples_are_in_which_split_is_kept(tmp_path: Path) -> None:
    splits = {"train": ["a/1.png", "é.png"], "val": [], "test": ["a/2.png"]}
    with Record(tmp_path / "run", config_in(tmp_path)) as run:
        assert read_run(tmp_path / "run").splits is None
        run.write_splits(splits)
        run.update(status="completed")
    assert read_run(tmp_path / "run").splits == splits
    (tmp_path / "run/splits.json").write_text('{"train": [')
    with pytest.raises(UserError, match=r"splits\.json can't be read as JSON"):
        read_run(tmp_path / "run").splits  # noqa: B018


def test_a_run_names_its_form_and_describes_its_metrics(tmp_path: Path) -> None:
    specs = (MetricSpec("mAP", column="ap", sample="own"), MetricSpec("loss", higher_is_better=False, high=math.inf))
    with Record(tmp_path / "run", config_in(tmp_path), specs=specs) as run:
        run.update(status="completed")
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["form"] == 2
    assert summary["metric_specs"][1] == {"name": "loss", "higher_is_better": False, "low": 0.0, "high": None,
                                          "column": None, "sample": None, "sample_name": None}  # fmt: skip
    read = read_run(tmp_path / "run")
    assert (read.metric_specs, read.headline) == (specs, "test/mAP")
    assert read.metric_spec("val/loss") == specs[1]
    assert read.metric_spec("test/AP/cat") == MetricSpec("AP/cat")
    assert read.metric_spec("train/box_loss") == MetricSpec("box_loss", higher_is_better=False, high=math.inf)


@pytest.mark.parametrize(("size", "expected"), [(32, (32, 32)), ([64, 96], (64, 96))])
def test_the_size_of_a_run_is_height_and_width(tmp_path: Path, size: Any, expected: tuple[int, int]) -> None:
    with Record(tmp_path / "run", config_in(tmp_path)) as run:
        with pytest.raises(UserError, match=r"this run \(running\) stopped before its data was read"):
            read_run(tmp_path / "run").require_data()
        run.update(status="completed", classes=["a", "b"], channels=3, image_size=size)
        read = read_run(tmp_path / "run")
        read.require_data()
        assert (read.size, read.channels, read.classes) == (expected, 3, ["a", "b"])


@pytest.mark.parametrize("size", [0, True, "32", [32], [0, 1], {"height": 1}])
def test_a_damaged_size_is_refused(tmp_path: Path, size: Any) -> None:
    with Record(tmp_path / "run", config_in(tmp_path)) as run:
        run.update(status="completed", classes=["a", "b"], channels=3, image_size=size)
    with pytest.raises(UserError, match=r"image_size can't be|stopped before its data"):
        read_run(tmp_path / "run").require_data()
