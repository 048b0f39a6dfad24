"""`cvlib runs`: options and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cvlib import cli


def test_the_list_is_printed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["runs", str(runs)]) == 0
    assert "first  completed" in capsys.readouterr().out


def test_the_list_is_printed_as_json(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["runs", str(runs), "--format", "json", "--status", "completed"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["metrics"] == {"test/accuracy": 0.9}


def test_a_folder_without_runs_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["runs"]) == 2
    assert capsys.readouterr().err.startswith("error: outputs is not a folder")
