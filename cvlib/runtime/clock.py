"""Spans of time as people read them, and what remains of long work."""

from __future__ import annotations

import sys
import time


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


class Progress:
    """One line on a terminal that is written over: how many things are done, and how long the rest takes."""

    def __init__(self, doing: str, total: int):
        self._doing, self._total = doing, total
        self._terminal = sys.stderr.isatty()
        self._started = self._shown = time.monotonic()
        self._width = 0

    def show(self, done: int) -> None:
        """Say that `done` of them are through, at most some times a second and not in the first."""
        now = time.monotonic()
        if not self._terminal or now - self._started < 1 or now - self._shown < 0.3:
            return
        self._shown = now
        remaining = (now - self._started) / done * (self._total - done)
        line = f"{self._doing}: {done} of {self._total}, about {about(remaining)} left"
        print("\r" + line.ljust(self._width), end="", file=sys.stderr, flush=True)
        self._width = len(line)

    def clear(self) -> None:
        """Leave the line as if it had never been."""
        if self._width:
            print("\r" + " " * self._width + "\r", end="", file=sys.stderr, flush=True)
