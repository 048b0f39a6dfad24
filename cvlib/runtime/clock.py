"""Durations as people read them, and the progress of long work."""

from __future__ import annotations

import sys
import time


def duration(seconds: float) -> str:
    """Return a measured duration as `8.3 s`, `2 min 5 s` or `1 h 12 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def about(seconds: float) -> str:
    """Return an estimated duration, rounded: `40 s`, `5 min`, `2.5 h`."""
    if seconds < 90:
        return f"{max(round(seconds, -1), 10):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


class Progress:
    """A progress line on a terminal: how many items are done, and how long the rest takes."""

    def __init__(self, doing: str, total: int):
        self._doing, self._total = doing, total
        self._terminal = sys.stderr.isatty()
        self._started = self._shown = time.monotonic()
        self._width = 0

    def show(self, done: int) -> None:
        """Show that `done` items are done, a few times a second at most, and not within the first second."""
        now = time.monotonic()
        if not self._terminal or now - self._started < 1 or now - self._shown < 0.3:
            return
        self._shown = now
        remaining = (now - self._started) / done * (self._total - done)
        line = f"{self._doing}: {done} of {self._total}, about {about(remaining)} left"
        print("\r" + line.ljust(self._width), end="", file=sys.stderr, flush=True)
        self._width = len(line)

    def clear(self) -> None:
        """Erase the line."""
        if self._width:
            print("\r" + " " * self._width + "\r", end="", file=sys.stderr, flush=True)
