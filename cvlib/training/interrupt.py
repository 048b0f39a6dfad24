"""Signals to stop, such as Ctrl-C, during training: the first saves after this step, the second stops immediately.

Validation can take minutes, so a signal stops it immediately. A resumed run repeats it.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from cvlib.runtime import stopping


class Stop:
    """Whether a stop has been requested."""

    requested = False
    at_once = False  # whether the first signal also raises `KeyboardInterrupt`


@contextlib.contextmanager
def deferred() -> Iterator[Stop]:
    """Handle signals within the block: the first one sets `requested`, a second one raises `KeyboardInterrupt`.

    Outside the main thread, no handler can be set, so signals keep their handlers.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.requested or stop.at_once:
            raise KeyboardInterrupt
        stop.requested = True
        print("\nstopping after this step; a second Ctrl-C stops immediately", file=sys.stderr, flush=True)

    before = stopping.handle(handle) | {signal.SIGINT: signal.signal(signal.SIGINT, handle)}
    try:
        yield stop
    finally:
        stopping.restore(before)
