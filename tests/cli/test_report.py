"""`cvlib report`: pages of several runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvlib import cli


def test_every_run_gets_its_page(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", str(runs / "first")]) == 0
    assert capsys.readouterr().out == f"written: {runs / 'first/report.html'}\n"
    assert "test/accuracy 90.0 %" in (runs / "first/report.html").read_text()


def test_a_folder_without_a_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
