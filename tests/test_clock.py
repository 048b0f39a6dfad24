"""Spans of time in words."""

from __future__ import annotations

import pytest

from cvlib.clock import about, duration


@pytest.mark.parametrize(("seconds", "text"), [(8.31, "8.3 s"), (125, "2 min 5 s"), (4320, "1 h 12 min")])
def test_what_was_measured(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "10 s"), (44, "40 s"), (91, "2 min"), (3000, "50 min"), (9000, "2.5 h")]
)
def test_an_estimate_is_no_finer_than_it_can_be(seconds: float, text: str) -> None:
    assert about(seconds) == text
