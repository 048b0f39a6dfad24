"""Limits and tick marks of axes."""

from __future__ import annotations

import pytest

from cvlib.viz import axes


def test_marks_are_round_numbers() -> None:
    assert axes.marks(0, 100) == [0, 20, 40, 60, 80, 100]
    assert axes.marks(0.113, 0.187) == [0.12, 0.14, 0.16, 0.18]
    assert axes.marks(1, 3, 6, whole=True) == [1, 2, 3]
    assert axes.marks(5, 5) == [5]


def test_widely_different_costs_have_a_logarithmic_axis() -> None:
    axis = axes.cost("parameters", [1e6, 1e8], axes.plain)
    assert axis.log
    assert axis.low < 1e6 and axis.high > 1e8
    assert list(axis.marks(9)) == [1e6, 2e6, 5e6, 1e7, 2e7, 5e7, 1e8]
    assert list(axis.marks(4)) == [1e6, 1e7, 1e8]
    place = axis.over(0, 100)
    assert place(1e7) == pytest.approx(50)  # the geometric mean is in the middle
    assert not axes.cost("parameters", [1e6, 9e6], axes.plain).log
    assert axes.cost("parameters", [0, 9e6], axes.plain).low == 0


def test_times_are_marked_at_round_durations() -> None:
    linear = axes.elapsed("time", [[20, 400], [30, 300]])
    assert not linear.log
    assert [linear.text(value) for value in linear.marks(6)] == ["0 s", "2 min", "4 min", "6 min"]
    log = axes.elapsed("time", [[0.5, 5], [50, 4000]])
    assert log.log
    assert [log.text(value) for value in log.marks(6)] == ["1 s", "10 s", "1 min", "10 min", "1 h"]
    assert [axes.seconds(value) for value in (0.002, 0.5, 90, 7200, 172800)] == [
        "2 ms",
        "500 ms",
        "1.5 min",
        "2 h",
        "2 d",
    ]


@pytest.mark.parametrize("last", [1e-5, 0.03, 1, 59, 61, 3e3, 9e4, 1e7])
def test_every_length_of_time_has_some_marks(last: float) -> None:
    for first in (0.0, last / 20):
        axis = axes.elapsed("time", [[first, last / 10], [first, last]])
        assert 1 <= len(axis.marks(6)) <= 8
        assert all(axis.low <= value <= axis.high * (1 + 1e-9) for value in axis.marks(6))


def test_latencies_below_a_millisecond_have_marks() -> None:
    axis = axes.cost("latency", [4e-5, 1.3e-4], axes.seconds)
    assert [axis.text(value) for value in axis.marks(6)] == ["0.04 ms", "0.06 ms", "0.08 ms", "0.1 ms", "0.12 ms"]
