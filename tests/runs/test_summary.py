"""Reading summary.json: damaged files, unexpected values, and runs whose process is gone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cvlib.runs.record import Record
from cvlib.runs.summary import overridden, read_summary
from cvlib.runtime.errors import UserError
from tests.runs.small_config import CONFIG, config_in


@pytest.mark.parametrize("pid", [None, "x", -1, 10**30, {}])
@pytest.mark.parametrize(
    ("timing", "expected"), [(None, {}), ("x", {}), ({"setup": None, "train": 1.5}, {"train": 1.5})]
)
def test_unexpected_values_in_a_summary_do_not_prevent_resuming(
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


def test_a_run_whose_process_is_gone_counts_as_interrupted(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from cvlib.runs.record import Record\n"
        f"Record(Path(sys.argv[1]), {CONFIG}).__enter__(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], check=False)
    assert json.loads((tmp_path / "run/summary.json").read_text())["status"] == "running"
    summary = read_summary(tmp_path / "run")
    assert summary is not None
    assert summary["status"] == "interrupted"
    with Record(tmp_path / "run", CONFIG) as run:
        assert run.resumed
        run.update(status="completed")


def test_a_run_killed_on_another_host_is_interrupted_and_a_locked_one_is_running(tmp_path: Path) -> None:
    with Record(tmp_path, CONFIG) as run:
        run.update(host="another machine", pid=2**22 + 1)
        during = read_summary(tmp_path)
    after = read_summary(tmp_path)
    assert during is not None and during["status"] == "running"
    assert after is not None and after["status"] == "interrupted"


def test_an_invalid_summary_is_refused(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text('{"status": "run')
    with pytest.raises(UserError, match=r"summary\.json"):
        read_summary(tmp_path)
    (tmp_path / "summary.json").write_text("[1]")
    with pytest.raises(UserError, match="is not a run's summary"):
        read_summary(tmp_path)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("- model=cnn\n- '+experiment=x'\n- ~augment=y\n- data.fraction=0.1\n",
         {"model", "experiment", "augment", "data.fraction"}),
        ("[]\n", set()),
    ],
)  # fmt: skip
def test_overridden_keys_are_read_from_hydras_file(tmp_path: Path, text: str, keys: set[str]) -> None:
    assert overridden(tmp_path) == frozenset()
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra/overrides.yaml").write_text(text)
    assert overridden(tmp_path) == keys
