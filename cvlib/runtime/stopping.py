"""The signals that ask a program to stop: SIGTERM, as clusters send it, and SIGHUP, when a terminal is closed."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

Handlers = dict[signal.Signals, Any]


def signals() -> list[signal.Signals]:
    """Return the signals that stop this program; with nohup, SIGHUP is ignored and doesn't."""
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    ignored = hangup is None or signal.getsignal(hangup) is signal.SIG_IGN
    return [signal.SIGTERM] if ignored or hangup is None else [signal.SIGTERM, hangup]


def handle(handler: Callable[..., object]) -> Handlers:
    """Let `handler` receive these signals; return the handlers so far, for `restore`."""
    return {number: signal.signal(number, handler) for number in signals()}


def restore(handlers: Handlers) -> None:
    """Set earlier handlers again."""
    for number, handler in handlers.items():
        signal.signal(number, handler)
