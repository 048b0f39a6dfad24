"""Which signals stop a program."""

from __future__ import annotations

import os
import signal

import pytest

from cvlib.runtime import stopping


@pytest.fixture(autouse=True)
def hangup():
    """Keep the handlers of these signals."""
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    stopping.restore(before)


def test_a_closed_terminal_and_a_cluster_stop_a_program():
    received = []
    before = stopping.handle(lambda number, frame: received.append(number))
    for number in (signal.SIGHUP, signal.SIGTERM):
        os.kill(os.getpid(), number)
    assert received == [signal.SIGHUP, signal.SIGTERM]
    stopping.restore(before)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_with_nohup_a_program_goes_on():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert stopping.signals() == [signal.SIGTERM]
    stopping.restore(stopping.handle(lambda *_: None))
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
