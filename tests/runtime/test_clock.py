"""Durations as text, and announcements."""

from __future__ import annotations

import time

import pytest

from cvlib.runtime.clock import Announcement, about, duration


@pytest.mark.parametrize(("seconds", "text"), [(8.31, "8.3 s"), (125, "2 min 5 s"), (4320, "1 h 12 min")])
def test_durations_are_formatted(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "10 s"), (44, "40 s"), (91, "2 min"), (3000, "50 min"), (9000, "2.5 h")]
)
def test_estimates_are_rounded(seconds: float, text: str) -> None:
    assert about(seconds) == text


def announced(monkeypatch: pytest.MonkeyPatch, steps: float, times: list[float]) -> list[str]:
    """Return the announcements for `steps` steps, of which the first end at these times in seconds."""
    lines: list[str] = []
    announcement = Announcement("these epochs take", steps, lines.append)
    for now in times:
        monkeypatch.setattr(time, "monotonic", lambda now=now: now)
        announcement.step()
    return lines


def test_the_estimate_excludes_the_first_step_and_is_announced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first step ends at 30 s, because it compiles the graph. Later steps take 2 s each: 300 steps take 10 minutes.
    assert announced(monkeypatch, 300, [30, 32, 34, 36, 38, 40]) == ["these epochs take about 10 min"]


def test_less_than_a_minute_is_not_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    assert announced(monkeypatch, 29, [30, 32, 34, 36]) == []
    assert announced(monkeypatch, 10_000, [30, 30.1, 30.2]) == []  # not yet timed for long enough
