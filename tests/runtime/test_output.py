"""Output that can't be written: closed pipes, full disks, terminals without some letters, closed streams."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cvlib.cli import main
from cvlib.cli.output import write_output
from cvlib.cli.train import train
from cvlib.runtime.output import lasting, lost_by_error

ROOT = Path(__file__).parents[2]


def ascii_stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="ascii")


def written(stream: io.TextIOWrapper) -> bytes:
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue()


def break_stdout(monkeypatch: pytest.MonkeyPatch) -> io.TextIOWrapper:
    """Make stdout a pipe whose reader has closed it."""
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w", encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    return stream


def test_a_closed_pipe_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    broken_pipe = break_stdout(monkeypatch)
    with lasting():
        for _ in range(3):
            print("a line", flush=True)
        assert not sys.stdout.isatty()
        assert lost_by_error() is None
    assert sys.stdout is broken_pipe
    broken_pipe.close()  # Python would fail here, when it flushes the stream at exit


@pytest.mark.parametrize("command", [["--version"], ["cache"], ["train", "--hydra-help"]])
def test_no_command_fails_because_of_a_closed_pipe(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    broken_pipe = break_stdout(monkeypatch)
    assert main(command) == 0
    broken_pipe.close()


def test_a_logging_handler_of_absl_does_not_close_the_stream_below(monkeypatch: pytest.MonkeyPatch) -> None:
    from absl.logging import PythonHandler

    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    handler = PythonHandler(stream)
    with lasting():
        handler.close()  # Hydra's configuration of logging closes all handlers
    assert not stream.closed


def test_training_alone_lasts_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    broken_pipe = break_stdout(monkeypatch)
    assert train(["--hydra-help"]) == 0
    broken_pipe.close()


@pytest.mark.parametrize(("command", "code"), [(["cache"], 1), (["train", "--hydra-help"], 0)])
def test_a_full_disk_below_stdout_fails_commands_whose_result_is_lost(
    command: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(command) == code
    assert "output is incomplete: stdout can't be written (No space left on device)" in capsys.readouterr().err


def test_letters_that_the_terminal_lacks_become_question_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = ascii_stream()
    monkeypatch.setattr(sys, "stdout", stream)
    with lasting():
        print("8×8, na\udcefve")
    assert written(stream) == b"8?8, na?ve\n"


def test_json_stays_the_same_on_a_terminal_without_some_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = ascii_stream()
    monkeypatch.setattr(sys, "stdout", stream)
    with lasting():
        write_output('{"size": "8×8"}\n', None)
    assert written(stream) == b'{\n  "size": "8\\u00d78"\n}\n'


def test_closed_streams_get_no_other_file(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from cvlib.runtime.output import lasting\n"
        "with lasting():\n"
        "    file = Path(sys.argv[1]).open('w')\n"
        "    print('lost'); print('lost', file=sys.stderr)\n"
        "    file.write(f'{file.fileno() > 2} {sys.stdout.isatty()}')\n"
    )
    command = f'"{sys.executable}" -c "$0" "$1" <&- >&- 2>&-'
    subprocess.run(["bash", "-c", command, code, str(tmp_path / "file")], cwd=ROOT, check=True)
    assert (tmp_path / "file").read_text() == "True False"
