"""A completed run that is given more epochs keeps its result until the new one is complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cvlib.runs.config_file import read_config, to_yaml
from cvlib.runs.identity import identity
from cvlib.runs.more_epochs import continued, continues
from cvlib.runtime.errors import UserError
from tests.runs.small_config import CONFIG


def with_epochs(epochs: int, **trainer: Any) -> dict[str, Any]:
    return CONFIG | {"trainer": {"epochs": epochs, "precision": "float32", **trainer}}


def completed_run(folder: Path, epochs: int = 2, stopped: bool = False) -> dict[str, bytes]:
    """Write the files of a completed run; return the content of those that are its result."""
    files = {
        "summary.json": json.dumps({"form": 2, "task": "classification", "status": "completed", "metrics": {"a": 1},
                                    "config_hash": identity(with_epochs(epochs))}),
        "config.yaml": to_yaml(with_epochs(epochs)), "model.keras": "old", "metrics.csv": "epoch\n1\n2\n",
        "checkpoints/epoch-00002-step-0000000.npz": "state", "tensorboard/train/events": "curve",
        "checkpoints/completed.json": json.dumps({"stopped": stopped}), "train.log": "log\n", "evaluate/a.json": "{}",
    }  # fmt: skip
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return {name: text.encode() for name, text in files.items()}


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and path.name != ".lock" and "continued" not in path.parts}  # fmt: skip


@pytest.mark.parametrize(("now", "expected"), [
    (with_epochs(3), True), (with_epochs(2), False), (with_epochs(1), False),
    (with_epochs(3, patience=4), False), (with_epochs(3) | {"seed": 5}, False),
    (with_epochs(3, keep_state=True), True),
])  # fmt: skip
def test_only_more_epochs_continue_a_completed_run(tmp_path: Path, now: dict[str, Any], expected: bool) -> None:
    assert not continues(tmp_path / "none", now)
    completed_run(tmp_path)
    assert continues(tmp_path, now) is expected
    summary = json.loads((tmp_path / "summary.json").read_text())
    (tmp_path / "summary.json").write_text(json.dumps(summary | {"status": "interrupted"}))
    assert not continues(tmp_path, now)


def test_the_old_result_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    before = completed_run(tmp_path)
    with pytest.raises(KeyboardInterrupt), continued(tmp_path, with_epochs(4), {".hydra/overrides.yaml": "x"}) as own:
        summary = json.loads((own / "summary.json").read_text())
        assert (summary["status"], summary["config_hash"]) == ("interrupted", identity(with_epochs(4)))
        assert read_config(own / "config.yaml")["trainer"]["epochs"] == 4
        for name in ("checkpoints/epoch-00002-step-0000000.npz", "metrics.csv", "tensorboard/train/events"):
            assert (own / name).read_bytes() == before[name]
        with (own / "train.log").open("a") as log:
            log.write("more\n")
        (own / "model.keras").write_text("half")
        raise KeyboardInterrupt
    assert content(tmp_path) == before
    with pytest.raises(UserError, match=r"its continuation to trainer\.epochs=4 is unfinished"):  # noqa: SIM117
        with continued(tmp_path, with_epochs(5)):
            pass
    with continued(tmp_path, with_epochs(4)) as own:
        assert (own / "model.keras").read_text() == "half"
        (own / "model.keras").write_text("new")
        (own / "summary.json").write_text('{"status": "completed"}')
    after = content(tmp_path)
    assert not (tmp_path / "continued").exists()
    assert after["model.keras"] == b"new" and after["train.log"] == b"log\nmore\n"
    assert after["summary.json"] == b'{"status": "completed"}' and after["evaluate/a.json"] == b"{}"
    assert b"epochs: 4" in after["config.yaml"] and after[".hydra/overrides.yaml"] == b"x"


def test_a_process_killed_while_replacing_the_result_can_repeat_it(tmp_path: Path) -> None:
    completed_run(tmp_path)
    with pytest.raises(KeyboardInterrupt), continued(tmp_path, with_epochs(4)) as own:
        raise KeyboardInterrupt
    summary = json.loads((own / "summary.json").read_text())
    (own / "summary.json").write_text(json.dumps(summary | {"status": "completed"}))
    (own / "metrics.csv").replace(tmp_path / "metrics.csv")  # the first file was replaced, then the process was killed
    with continued(tmp_path, with_epochs(4)):
        pass
    assert json.loads((tmp_path / "summary.json").read_text())["config_hash"] == identity(with_epochs(4))
    assert not own.exists()


@pytest.mark.parametrize("stopped", [True, False])
def test_a_run_without_its_last_state_or_stopped_by_patience_is_refused(tmp_path: Path, stopped: bool) -> None:
    before = completed_run(tmp_path, stopped=stopped)
    if not stopped:
        (tmp_path / "checkpoints/epoch-00002-step-0000000.npz").unlink()
        del before["checkpoints/epoch-00002-step-0000000.npz"]
    expected = "trainer.patience stopped it" if stopped else "its last state was not kept"
    with pytest.raises(UserError, match=expected) as caught, continued(tmp_path, with_epochs(3)):
        pass
    assert "\n" not in str(caught.value)
    assert content(tmp_path) == before and not (tmp_path / "continued").exists()


def test_a_run_that_left_the_test_unread_continues_with_it(tmp_path: Path) -> None:
    unread = with_epochs(2, test=False, minutes=1.0)
    completed_run(tmp_path)
    (tmp_path / "config.yaml").write_text(to_yaml(unread))
    (tmp_path / "checkpoints/completed.json").write_text(json.dumps({"stopped": True}))  # minutes end a run like this
    summary = json.loads((tmp_path / "summary.json").read_text())
    (tmp_path / "summary.json").write_text(json.dumps(summary | {"config_hash": identity(unread)}))
    assert continues(tmp_path, with_epochs(2, test=True, minutes=1.0))
    assert continues(tmp_path, with_epochs(2, minutes=1.0))
    assert not continues(tmp_path, unread)
    assert not continues(tmp_path, with_epochs(2, test=True, minutes=2.0))
    with continued(tmp_path, with_epochs(2, minutes=1.0)):
        pass
    assert read_config(tmp_path / "config.yaml") == with_epochs(2, minutes=1.0)
    (tmp_path / "checkpoints/epoch-00002-step-0000000.npz").unlink()
    (tmp_path / "summary.json").write_text(json.dumps(summary | {"config_hash": identity(unread)}))
    with pytest.raises(UserError, match=r"can't continue to trainer\.test=true"), continued(
        tmp_path, with_epochs(2, minutes=1.0)
    ):  # fmt: skip
        pass
