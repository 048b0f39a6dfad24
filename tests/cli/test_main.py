"""The `cvlib` command: help, one-line errors, exit codes."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from cvlib import cli
from cvlib.sweeps import one_job


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main(["--help"])
    assert raised.value.code == 0
    assert "compare " in capsys.readouterr().out
    assert cli.main([]) == 0
    assert "compare " in capsys.readouterr().out


def test_help_imports_no_large_library() -> None:
    code = (
        "import sys; from cvlib.cli import main\n"
        "try: main(['compare', '--help'])\n"
        "except SystemExit: print({'tensorflow', 'keras', 'hydra', 'scipy', 'matplotlib', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--metric" in done.stdout
    assert done.stdout.splitlines()[-1] == "set()"


def test_the_version_lists_the_package_and_its_dependencies(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"cvlib {metadata.version('cvlib-experiments')} (python ") and output.count("\n") == 1
    assert f"keras {metadata.version('keras')}" in output


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
def test_invalid_input_gives_one_line_on_stderr_and_exit_code_2(
    runs: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    (runs / "first/empty").mkdir()
    assert cli.main([argument.replace("{}", str(runs)) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("error: ")
    assert words in captured.err


def test_a_closed_output_pipe_is_not_an_error(runs: Path) -> None:
    command = f"{sys.executable} -m cvlib.cli compare {runs} | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == ""


def test_characters_missing_from_the_encoding_become_question_marks(runs: Path) -> None:
    command = [sys.executable, "-m", "cvlib.cli", "compare", str(runs)]
    done = subprocess.run(command, capture_output=True, check=True, env={"PYTHONIOENCODING": "ascii", "PATH": ""})
    assert b"?" in done.stdout


def test_arguments_after_train_are_passed_to_hydra(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--help"]) == 0
    assert "python run.py model=resnet mode=finetune" in capsys.readouterr().out
    assert cli.main(["train", "model=resnet", "seed=5", "--cfg", "job"]) == 0
    assert "seed: 5\n" in capsys.readouterr().out
    assert cli.main(["train", "-m", "seed=1,2", "trainer.epoch=3"]) == 2
    assert capsys.readouterr().err.startswith("error: trainer.epoch: there is no such key; did you mean trainer.epochs")
    assert cli.main(["train", "seed=1,2"]) == 2  # a sweep needs -m
    assert capsys.readouterr().err.count("\n") == 1


def test_options_may_stand_between_the_values_of_a_list(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    monkeypatch.setattr(cli.compare, "run", lambda chosen: found.append(chosen.folders) or 0)
    assert cli.main(["compare", "a", "--by", "run", "b", "c"]) == 0
    assert [[str(folder) for folder in folders] for folders in found] == [["a", "b", "c"]]
    assert cli.main(["compare", "a", "--bye", "run", "b"]) == 2
    assert "unrecognized arguments: --bye" in capsys.readouterr().err


def test_relative_paths_hold_although_hydra_changes_to_the_runs_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = []

    def run_job(composed: object, folder: Path, provenance: object) -> one_job.Outcome:
        places.append((Path.cwd(), folder))
        return one_job.Outcome(folder, 0, {})

    monkeypatch.setattr(one_job, "run_job", run_job)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "hydra.job.chdir=true", "hydra.run.dir=mine"]) == 0
    assert places == [(tmp_path, tmp_path / "mine")]
    assert Path.cwd() == tmp_path
