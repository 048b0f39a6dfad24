"""Spans of time in words, and the line of what remains."""

from __future__ import annotations

import sys
import time

import pytest

from cvlib.runtime.clock import Announcement, Progress, about, duration


@pytest.mark.parametrize(("seconds", "text"), [(8.31, "8.3 s"), (125, "2 min 5 s"), (4320, "1 h 12 min")])
def test_what_was_measured(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "10 s"), (44, "40 s"), (91, "2 min"), (3000, "50 min"), (9000, "2.5 h")]
)
def test_an_estimate_is_no_finer_than_it_can_be(seconds: float, text: str) -> None:
    assert about(seconds) == text


def test_progress_tells_what_remains_on_a_terminal_only(monkeypatch, capsys):
    clock = iter([0.0, 0.5, 10.0, 10.1, 20.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    progress = Progress("looking at the files", 400)
    progress.show(1)  # too early to tell
    progress.show(100)  # 10 s for 100: 30 s for the other 300
    progress.show(101)  # just said
    progress.show(300)
    progress.clear()
    said = capsys.readouterr().err
    assert said.split("\r")[1].strip() == "looking at the files: 100 of 400, about 30 s left"
    assert said.split("\r")[2].strip() == "looking at the files: 300 of 400, about 10 s left"
    assert said.endswith("\r") and said.split("\r")[-2].strip() == ""


def announced(monkeypatch: pytest.MonkeyPatch, steps: float, times: list[float]) -> list[str]:
    """What is said of `steps` steps where they end at these seconds."""
    lines: list[str] = []
    announcement = Announcement("these epochs take", steps, lines.append)
    for now in times:
        monkeypatch.setattr(time, "monotonic", lambda now=now: now)
        announcement.step()
    return lines


def test_an_announcement_goes_by_the_steps_after_the_first_and_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first step ends at 30 s, with the graph compiled; from then on one takes 2 s: 300 of them are 10 minutes.
    assert announced(monkeypatch, 300, [30, 32, 34, 36, 38, 40]) == ["these epochs take about 10 min"]


def test_what_takes_less_than_a_minute_is_not_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    assert announced(monkeypatch, 29, [30, 32, 34, 36]) == []
    assert announced(monkeypatch, 10_000, [30, 30.1, 30.2]) == []  # not yet timed for long enough
