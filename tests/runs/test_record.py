"""Run folders: statuses, atomic files, a single writer, and refusal of other configs."""

from __future__ import annotations

import csv
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from cvlib.runs import record
from cvlib.runs.record import Record
from cvlib.runtime.errors import Diverged, RunFailed, UserError
from cvlib.runtime.output import lasting
from tests.runs.small_config import CONFIG, config_in


def status(folder: Path) -> str:
    return str(json.loads((folder / "summary.json").read_text())["status"])


def test_the_summary_exists_from_the_start_with_the_documented_fields(tmp_path: Path) -> None:
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
def test_an_exception_sets_the_matching_status(tmp_path: Path, error: BaseException, expected: str) -> None:
    with pytest.raises(type(error)), Record(tmp_path / "run", config_in(tmp_path)):
        raise error
    assert status(tmp_path / "run") == expected


def test_a_user_error_leaves_no_files(tmp_path: Path) -> None:
    folder = tmp_path / "outputs/runs/name/time"
    with pytest.raises(UserError), Record(folder, config_in(tmp_path), {".hydra/config.yaml": "a: 1\n"}) as run:
        run.say("something")
        raise UserError("no such file")
    assert list(tmp_path.iterdir()) == []


def test_a_user_error_removes_only_the_runs_own_files(tmp_path: Path) -> None:
    (tmp_path / "mine.log").write_text("kept")
    with pytest.raises(UserError), Record(tmp_path, config_in(tmp_path)):
        raise UserError("no such file")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.log"]


def test_a_folder_with_other_files_is_refused_and_unchanged(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    (tmp_path / "tensorboard").mkdir()
    with pytest.raises(UserError, match=r"holds other files \(photo\.jpg\)"), Record(tmp_path, config_in(tmp_path)):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.jpg", "tensorboard"]


def test_a_run_killed_before_its_summary_starts_again(tmp_path: Path) -> None:
    for name in (".lock", "config.yaml", "summary.json.77.partial", "stdout.log"):
        (tmp_path / name).touch()
    with Record(tmp_path, config_in(tmp_path)) as run:
        assert not run.resumed
        run.update(status="completed")


def test_a_user_error_while_resuming_keeps_the_files_of_the_earlier_process(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    with pytest.raises(KeyboardInterrupt), Record(tmp_path / "run", config):
        raise KeyboardInterrupt
    with pytest.raises(UserError), Record(tmp_path / "run", config):
        raise UserError("the data is gone")
    assert status(tmp_path / "run") == "interrupted"
    assert (tmp_path / "run/config.yaml").exists()


def test_a_folder_of_another_config_is_refused_and_unchanged(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    with Record(tmp_path / "run", config) as run:
        run.update(status="completed")
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.name != ".lock"}
    with (
        pytest.raises(UserError, match=r"seed: 0 in that run, 1 now"),
        Record(tmp_path / "run", config | {"seed": 1}),
    ):
        pass
    after = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.name != ".lock"}
    assert before == after


def test_a_run_without_its_config_file_resumes_only_with_the_same_config(tmp_path: Path) -> None:
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


def test_a_run_has_one_writer_at_a_time(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    with Record(tmp_path / "run", config) as run:
        with pytest.raises(UserError, match="another process"), Record(tmp_path / "run", config):
            pass
        run.update(status="completed")
    assert status(tmp_path / "run") == "completed"


def test_the_lock_ends_with_its_process_and_partial_files_are_removed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from cvlib.runs.record import Record\n"
        f"held = Record(Path(sys.argv[1]), {CONFIG}).__enter__(); print('held', flush=True); time.sleep(60)"
    )
    run = tmp_path / "run"
    holder = subprocess.Popen([sys.executable, "-c", code, str(run)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with pytest.raises(UserError, match="another process is writing this run"), Record(run, CONFIG):
        pass
    holder.kill()
    holder.communicate()
    (run / "checkpoints").mkdir()
    partial_files = [run / "summary.json.77.partial", run / "checkpoints/epoch-00001-step-0000000.npz.partial"]
    for path in partial_files:
        path.touch()
    (run / "mine.partial").touch()
    with Record(run, CONFIG) as second:
        assert second.resumed
        second.update(status="completed")
    assert not any(path.exists() for path in partial_files)
    assert (run / "mine.partial").exists()


def test_a_moved_folder_stops_the_run_and_gets_no_new_files(tmp_path: Path) -> None:
    folder, moved = tmp_path / "run", tmp_path / "moved"
    with pytest.raises(RunFailed, match="was moved or removed"), Record(folder, config_in(tmp_path)) as run:
        folder.rename(moved)
        run.update(epochs=1)
    assert not folder.exists()
    with Record(moved, config_in(tmp_path)) as again:
        assert again.resumed
        again.update(status="completed")


def test_a_full_disk_after_the_end_leaves_the_run_completed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Record(tmp_path / "run", config_in(tmp_path)) as run:
        run.update(status="completed")
        raise OSError(errno.ENOSPC, "No space left on device", "train.log")
    assert status(tmp_path / "run") == "completed"
    assert capsys.readouterr().err == "note: the run is completed, but no space left on the disk for train.log\n"


def test_a_status_that_cannot_be_written_does_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with pytest.raises(OSError, match="No space"), Record(tmp_path / "run", config_in(tmp_path)) as run:
        monkeypatch.setattr(record, "write_atomically", full)
        run.update(status="completed")
    assert (record.read_summary(tmp_path / "run") or {})["status"] == "interrupted"


def test_only_the_place_of_the_same_data_may_change(tmp_path: Path) -> None:
    config = config_in(tmp_path) | {"data": {"name": "folder", "path": "old"}}
    moved = config | {"data": {"name": "folder", "path": "new"}}
    with pytest.raises(KeyboardInterrupt), Record(tmp_path / "run", config) as run:
        run.keep_data("one")
        run.update(data_fingerprint="one")
        raise KeyboardInterrupt
    with pytest.raises(UserError, match=r"data\.path=new has other images"), Record(tmp_path / "run", moved) as run:
        run.keep_data("two")
    with Record(tmp_path / "run", moved) as run:
        run.keep_data("one")
        run.update(status="completed")
    assert "path: new" in (tmp_path / "run/config.yaml").read_text()
    with pytest.raises(UserError, match=r"data\.path: new in that run, old now"), Record(tmp_path / "run", config):
        pass


def test_file_names_that_are_not_utf_8_are_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = os.fsdecode(b"na\xefve.png")
    with Record(tmp_path / "run", config_in(tmp_path)) as run, lasting():
        run.say(name)
        run.write_splits({"train": [name]})
        run.update(status="completed")
    assert capsys.readouterr().out == "na?ve.png\n"
    assert (tmp_path / "run/train.log").read_text() == "na\\udcefve.png\n"
    assert json.loads((tmp_path / "run/splits.json").read_text()) == {"train": [name]}


def test_a_table_is_written_completely(tmp_path: Path) -> None:
    with Record(tmp_path / "run", config_in(tmp_path)) as run:
        run.write_csv("metrics.csv", [{"epoch": 1, "name": "a,b"}, {"epoch": 2, "name": 'say "é"'}])
        run.update(status="completed")
    with (tmp_path / "run/metrics.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [{"epoch": "1", "name": "a,b"}, {"epoch": "2", "name": 'say "é"'}]
    assert not list((tmp_path / "run").glob("*.partial"))


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


def test_a_completed_run_in_a_read_only_folder_stays_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: FileLock) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(tmp_path / "run/.lock"))

    config = config_in(tmp_path)
    with Record(tmp_path / "run", config) as run:
        run.update(status="completed")
    monkeypatch.setattr(FileLock, "acquire", refuse)
    with Record(tmp_path / "run", config) as again:
        assert again.completed
    with pytest.raises(OSError, match="Read-only"), Record(tmp_path / "run", config | {"seed": 1}):
        pass
