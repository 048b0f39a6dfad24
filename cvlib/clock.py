"""Spans of time as people read them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """What was measured: `8.3 s`, `2 min 5 s` or `1 h 12 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def about(seconds: float) -> str:
    """An estimate, no finer than it can be: `40 s`, `5 min`, `2.5 h`."""
    if seconds < 90:
        return f"{max(round(seconds, -1), 10):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
