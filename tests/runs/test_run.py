"""Reading a run from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cvlib.runs.record import Record
from cvlib.runs.run import UnreadableRun, read_run
from cvlib.runtime.errors import UserError
from tests.runs.small_config import config_in


def test_the_samples_of_each_split_are_recorded(tmp_path: Path) -> None:
    splits = {"train": ["a/1.png", "é.png"], "val": [], "test": ["a/2.png"]}
    with Record(tmp_path / "run", config_in(tmp_path)) as run:
        assert read_run(tmp_path / "run").splits is None
        run.write_splits(splits)
        run.update(status="completed")
    assert read_run(tmp_path / "run").splits == splits
    (tmp_path / "run/splits.json").write_text('{"train": [')
    with pytest.raises(UserError, match=r"splits\.json can't be read as JSON"):
        read_run(tmp_path / "run").splits  # noqa: B018


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
    with pytest.raises(UserError, match=r"invalid image_size=|stopped before its data"):
        read_run(tmp_path / "run").require_data()


def test_an_unreadable_run_gives_a_one_line_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableRun, match="no run is here") as unreadable:
        read_run(tmp_path / "absent")
    assert str(unreadable.value) == f"{tmp_path / 'absent'}: {unreadable.value.reason}"
    with Record(tmp_path / "run", config_in(tmp_path)) as run:
        run.update(status="completed")
    assert read_run(tmp_path / "run").name == "run"
    assert read_run(tmp_path / "run", "sweep/run").name == "sweep/run"
    (tmp_path / "run/config.yaml").write_text("[1]")
    with pytest.raises(UnreadableRun, match=r"config\.yaml is missing or can't be read"):
        read_run(tmp_path / "run")
    (tmp_path / "run/summary.json").write_text('{"status": "completed"}')
    with pytest.raises(UnreadableRun, match="is not a run's"):
        read_run(tmp_path / "run")
