"""The line that says how long a phase will take."""

from __future__ import annotations

import pytest

from cvlib.training import callbacks
from cvlib.training.callbacks import Estimate


def said(monkeypatch: pytest.MonkeyPatch, steps: float, times: list[float]) -> list[str]:
    """What is said of `steps` steps where they end at these seconds."""
    lines: list[str] = []
    estimate = Estimate(steps, lines.append)
    for batch, now in enumerate(times):
        monkeypatch.setattr(callbacks.time, "monotonic", lambda now=now: now)
        estimate.on_train_batch_end(batch)
    return lines


def test_an_estimate_goes_by_the_steps_after_the_first_and_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first step ends at 30 s, with the graph compiled; from then on one takes 2 s: 300 of them are 10 minutes.
    assert said(monkeypatch, 300, [30, 32, 34, 36, 38, 40]) == ["these epochs take about 10 min"]


def test_what_takes_less_than_a_minute_is_not_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, 29, [30, 32, 34, 36]) == []
    assert said(monkeypatch, 10_000, [30, 30.1, 30.2]) == []  # not yet timed for long enough
