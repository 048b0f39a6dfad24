"""`cvlib compare`: the destination and the format of the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvlib import cli


def test_the_report_is_printed_and_skipped_folders_are_reported_on_stderr(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / "foreign").mkdir()
    (runs / "foreign/summary.json").write_text("{}")
    assert cli.main(["compare", str(runs)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("classification on digits, by test/accuracy: 1 completed run\n")
    assert captured.err == f"{runs / 'foreign'}: skipped, its summary.json is not a run's summary\n"


@pytest.mark.parametrize(("name", "start"), [("a.html", "<!doctype html>"), ("a.md", "### "), ("a.csv", "group,"),
                                             ("a.txt", "classification")])  # fmt: skip
def test_the_file_extension_selects_the_format(runs: Path, tmp_path: Path, name: str, start: str) -> None:
    (tmp_path / name).write_text("earlier")
    assert cli.main(["compare", str(runs), "--output", str(tmp_path / name)]) == 0
    assert (tmp_path / name).read_text().startswith(start)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, "runs"]


def test_the_format_option_overrides_the_extension(runs: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.txt"
    assert cli.main(["compare", str(runs), "--format", "md", "--output", str(output)]) == 0
    assert output.read_text().startswith("### ")
