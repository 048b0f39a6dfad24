"""Ctrl-C and SIGTERM while a network trains: the first lets the step end and be saved, the second stops at once.

Validation, which may take minutes, isn't waited for: it is left where it is, and done again when the run goes on.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)  # SIGTERM is how clusters preempt


class Stop:
    """Whether somebody has asked to stop."""

    requested = False
    at_once = False  # whether the first signal raises, too


@contextlib.contextmanager
def held() -> Iterator[Stop]:
    """Within the block the first signal sets `requested` alone, a further one raises `KeyboardInterrupt`.

    Outside of the main thread, where no handler can be set, signals stay as they are.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.requested or stop.at_once:
            raise KeyboardInterrupt
        stop.requested = True
        print("\nstopping after this step; once more stops at once", file=sys.stderr, flush=True)

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
