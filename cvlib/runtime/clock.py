"""Durations as text, and announcements of how long a computation takes."""

from __future__ import annotations

import time
from collections.abc import Callable

_MIN_TIMED = 3  # seconds of steps after which the total is estimated
_MIN_ANNOUNCED = 60  # seconds; a shorter total is not announced


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


def ago(seconds: float) -> str:
    """Return how long ago something happened, in its largest unit: `3 days ago`, or `just now` below a minute."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {unit}{'s' * (number > 1)} ago"
    return "just now"


class Announcement:
    """Announce once, after the first seconds of steps, how long all steps will take, if it is a minute or more.

    The first step isn't timed, because it compiles the graph.

    Args:
        doing: the subject and the verb of the sentence, such as "these epochs take".
        steps: the number of steps.
        say: a function that prints the line.
    """

    def __init__(self, doing: str, steps: float, say: Callable[[str], None]):
        self._doing, self._steps, self._say = doing, steps, say
        self._started, self._done, self._said = 0.0, 0, False

    def step(self) -> None:
        """Count a step that has just ended."""
        now = time.monotonic()
        if self._done == 0:
            self._started = now
        elif not self._said and now - self._started >= _MIN_TIMED:
            self._said = True
            seconds = (now - self._started) / self._done * self._steps
            if seconds >= _MIN_ANNOUNCED:
                self._say(f"{self._doing} about {about(seconds)}")
        self._done += 1
