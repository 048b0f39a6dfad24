"""The `cvlib` command: help, one-line errors, exit codes, files written whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cvlib import cli

SUMMARY = {"status": "completed", "task": "classification", "metrics": {"test/accuracy": 0.9}, "seed": 0}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with one run in it."""
    folder = tmp_path / "runs/first"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(SUMMARY))
    (folder / "config.yaml").write_text("data:\n  name: digits\nseed: 0\n")
    return tmp_path / "runs"


def test_help_lists_the_commands_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    assert "compare " in capsys.readouterr().out
    assert cli.main([]) == 0
    assert "compare " in capsys.readouterr().out


def test_help_waits_for_no_large_library() -> None:
    code = (
        "import sys; from cvlib.cli import main\n"
        "try: main(['compare', '--help'])\n"
        "except SystemExit: print({'tensorflow', 'keras', 'hydra', 'scipy', 'matplotlib', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--metric" in done.stdout
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bogus"], "invalid choice: 'bogus'"),
        (["compare"], "required: DIR; see cvlib compare --help"),
        (["compare", "{}", "--by", "colour"], "invalid choice: 'colour'"),
        (["compare", "{}", "--format", "pdf"], "invalid choice: 'pdf'"),
        (["compare", "{}/absent"], "absent is no folder"),
        (["compare", "{}/first/empty"], "no runs below"),
        (["compare", "{}", "--metric", "test/mAP"], "no run has it; --metric list shows all"),
        (["compare", "{}", "--output", "{}/absent/file.md"], "give a file in a folder that exists"),
        (["compare", "{}", "--output", "{}"], "give a file in a folder that exists"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_2(
    runs: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    (runs / "first/empty").mkdir()
    assert cli.main([argument.replace("{}", str(runs)) for argument in arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("error: ")
    assert words in said.err


def test_compare_writes_to_the_screen(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "foreign").mkdir()
    (runs / "foreign/summary.json").write_text("{}")
    assert cli.main(["compare", str(runs)]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("classification on digits, by test/accuracy: 1 completed run\n")
    assert said.err == f"{runs / 'foreign'}: skipped, its summary.json is not a run's\n"


@pytest.mark.parametrize(("name", "start"), [("a.html", "<!doctype html>"), ("a.md", "### "), ("a.csv", "group,"),
                                             ("a.txt", "classification")])  # fmt: skip
def test_a_files_ending_chooses_the_format(runs: Path, tmp_path: Path, name: str, start: str) -> None:
    (tmp_path / name).write_text("earlier")
    assert cli.main(["compare", str(runs), "--output", str(tmp_path / name)]) == 0
    assert (tmp_path / name).read_text().startswith(start)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, "runs"]


def test_the_format_asked_for_goes_before_the_ending(runs: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.txt"
    assert cli.main(["compare", str(runs), "--format", "md", "--output", str(output)]) == 0
    assert output.read_text().startswith("### ")


def test_a_reader_that_stops_early_is_no_error(runs: Path) -> None:
    command = f"{sys.executable} -m cvlib.cli compare {runs} | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_screen_without_our_letters_shows_question_marks(runs: Path) -> None:
    command = [sys.executable, "-m", "cvlib.cli", "compare", str(runs)]
    done = subprocess.run(command, capture_output=True, check=True, env={"PYTHONIOENCODING": "ascii", "PATH": ""})
    assert b"?" in done.stdout
