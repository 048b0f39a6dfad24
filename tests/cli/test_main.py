"""The `cvlib` command: help, one-line errors, exit codes."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from cvlib import cli


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


def test_the_version_is_that_of_the_package_and_of_what_it_builds_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"cvlib {metadata.version('cvlib-experiments')} (python ") and said.count("\n") == 1
    assert f"keras {metadata.version('keras')}" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bogus"], "invalid choice: 'bogus'"),
        (["compare"], "required: DIR; see cvlib compare --help"),
        (["compare", "{}", "--by", "colour"], "invalid choice: 'colour'"),
        (["compare", "{}", "--format", "pdf"], "invalid choice: 'pdf'"),
        (["compare", "{}/absent"], "absent is not a folder"),
        (["compare", "{}/first/empty"], "no runs below"),
        (["compare", "{}", "--metric", "test/mAP"], "no run has this metric; --metric list shows all"),
        (["compare", "{}", "--output", "{}/absent/file.md"], "expected a file in an existing folder"),
        (["compare", "{}", "--output", "{}"], "expected a file in an existing folder"),
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


def test_a_reader_that_stops_early_is_no_error(runs: Path) -> None:
    command = f"{sys.executable} -m cvlib.cli compare {runs} | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_screen_without_our_letters_shows_question_marks(runs: Path) -> None:
    command = [sys.executable, "-m", "cvlib.cli", "compare", str(runs)]
    done = subprocess.run(command, capture_output=True, check=True, env={"PYTHONIOENCODING": "ascii", "PATH": ""})
    assert b"?" in done.stdout


def test_everything_behind_train_is_hydras(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--help"]) == 0
    assert "python run.py model=resnet mode=finetune" in capsys.readouterr().out
    assert cli.main(["train", "model=resnet", "seed=5", "--cfg", "job"]) == 0
    assert "seed: 5\n" in capsys.readouterr().out
    assert cli.main(["train", "-m", "seed=1,2", "trainer.epoch=3"]) == 2
    assert capsys.readouterr().err.startswith("error: trainer.epoch: there is no such key; did you mean trainer.epochs")
    assert cli.main(["train", "seed=1,2"]) == 2  # a sweep needs -m
    assert capsys.readouterr().err.count("\n") == 1
