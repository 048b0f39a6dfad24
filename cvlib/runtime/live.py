"""What is redrawn or coloured on a terminal, by rich. On a pipe, with NO_COLOR or in CI, there are only plain lines."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_FIRST, _EVERY = 1.0, 0.2  # seconds until a bar appears, and between its updates
_STYLES = {"completed": "green", "running": "cyan", "pending": "dim", "failed": "red", "diverged": "red",
           "interrupted": "yellow", "pruned": "yellow", "unfinished": "yellow"}  # fmt: skip


def is_live(stream: TextIO) -> bool:
    """Return whether `stream` is a terminal on which text may be redrawn and coloured."""
    plain = any(os.environ.get(name) for name in ("NO_COLOR", "CI")) or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not plain


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(file=stream, force_terminal=True, highlight=False, soft_wrap=True)


class Bar:
    """A line with a bar, the number of items done, a text, and the time left; erased at the end.

    Nothing is shown within the first second, so that short work stays quiet.

    Args:
        doing: what is being done, at the start of the line.
        total: the number of items.
        stream: where the line is drawn, if that is a terminal.
        done: items that were done before.
    """

    def __init__(self, doing: str, total: int, stream: TextIO | None = None, done: int = 0):
        self._stream = stream or sys.stderr
        self._doing, self._total, self._first = doing, total, done
        self._live = is_live(self._stream)
        self._started = self._shown = time.monotonic()
        self._drawn: Any = None  # rich's progress and the id of its task

    def show(self, done: int, text: Callable[[], str] = str) -> None:
        """Show that `done` items are done, at most a few times a second; only then is `text` called."""
        now = time.monotonic()
        if not self._live or done <= self._first or now - self._started < _FIRST or now - self._shown < _EVERY:
            return
        self._shown = now
        left = (now - self._started) / (done - self._first) * (self._total - done)
        values = {"completed": done, "text": text(), "left": _clock(left)}
        if self._drawn is None:
            self._drawn = self._begin(values)
        else:
            progress, task = self._drawn
            progress.update(task, refresh=True, **values)

    def clear(self) -> None:
        """Erase the line."""
        if self._drawn is not None:
            self._drawn[0].stop()
            self._drawn = None

    def _begin(self, values: dict[str, Any]) -> Any:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        # Without its own thread: a run may fork processes.
        progress = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(bar_width=16), MofNCompleteColumn(),
            TextColumn("{task.fields[text]}", markup=False), TextColumn("{task.fields[left]} left", markup=False),
            console=_console(self._stream), transient=True, auto_refresh=False, redirect_stdout=False,
            redirect_stderr=False,
        )  # fmt: skip
        task = progress.add_task(self._doing, total=self._total, **values)
        progress.start()
        return progress, task


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def print_statuses(lines: Iterable[str], stream: TextIO | None = None) -> None:
    """Print lines in which the statuses of runs are coloured, on a terminal."""
    stream = stream or sys.stdout
    if not is_live(stream):
        print("\n".join(lines), file=stream, flush=True)
        return
    from rich.text import Text

    console = _console(stream)
    for line in lines:
        text = Text(line)
        for status, style in _STYLES.items():
            text.highlight_regex(rf"(?<=\s){status}(?=\s|$)", style)
        console.print(text)
