"""Bars and colours appear only on a terminal that may be redrawn."""

from __future__ import annotations

import io
import re
import time

import pytest

from cvlib.runtime.live import Bar, is_live, print_statuses

CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch):
    for name in ("NO_COLOR", "CI", "TERM"):
        monkeypatch.delenv(name, raising=False)
    return Terminal()


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("CI", "true"), ("TERM", "dumb")])
def test_the_environment_can_ask_for_plain_lines(terminal, monkeypatch, name, value):
    assert is_live(terminal)
    monkeypatch.setenv(name, value)
    assert not is_live(terminal)
    assert not is_live(io.StringIO())


def shown(stream, monkeypatch, times, **begin):
    """Return the lines of a bar of 400 items that shows 100, 101 and 300 items done at these times in seconds."""
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    bar = Bar("checking files", 400, stream, **begin)
    for now, done, text in zip(times, (100, 101, 300), ("loss 0.5", "", ""), strict=True):
        monkeypatch.setattr(time, "monotonic", lambda now=now: now)
        bar.show(done, lambda text=text: text)
    bar.clear()
    return [line for line in re.split(r"[\r\n]", CODES.sub("", stream.getvalue())) if line.strip()]


def test_a_bar_shows_how_much_is_done_and_the_time_left(terminal, monkeypatch):
    # 100 items in 10 s leave 30 s for 300 items. The second call comes too soon. 300 items in 20 s leave 7 s.
    lines = shown(terminal, monkeypatch, [10.0, 10.1, 20.0])
    assert lines[0].startswith("checking files") and "100/400 loss 0.5 0:30 left" in lines[0]
    assert "300/400" in lines[-1] and "0:07 left" in lines[-1]
    assert not any("101/400" in line for line in lines)
    assert terminal.getvalue().endswith("\x1b[2K")  # the line is erased


def test_items_done_before_do_not_count_for_the_time_left(terminal, monkeypatch):
    # 50 items in 10 s leave 60 s for 300 items.
    assert "100/400 loss 0.5 1:00 left" in shown(terminal, monkeypatch, [10.0, 10.1, 20.0], done=50)[0]


def test_short_work_and_other_streams_show_nothing(terminal, monkeypatch):
    assert shown(terminal, monkeypatch, [0.3, 0.6, 0.9]) == []
    assert shown(io.StringIO(), monkeypatch, [10.0, 20.0, 30.0]) == []


def test_only_the_status_of_a_run_is_coloured(terminal):
    print_statuses(["running  completed  0.9", "next     failed"], terminal)
    written = terminal.getvalue()
    assert CODES.sub("", written) == "running  completed  0.9\nnext     failed\n"
    assert re.findall(r"\x1b\[3([12])m(\w+)", written) == [("2", "completed"), ("1", "failed")]


def test_a_pipe_gets_plain_lines():
    stream = io.StringIO()
    print_statuses(["a  completed"], stream)
    assert stream.getvalue() == "a  completed\n"
