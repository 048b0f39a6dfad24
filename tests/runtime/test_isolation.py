"""Jobs in processes of their own: their answer comes back, their end is told, nothing of theirs stays."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from cvlib.runtime import isolation


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the child is a fresh process")
def test_what_is_prepared_is_there_in_every_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    done: list[int] = []
    assert isolation.call_all(lambda: len(done), [(), ()], prepare=lambda: done.append(os.getpid())) == [1, 2]
    assert set(done) == {os.getpid()}


def test_the_answer_comes_back_from_another_process() -> None:
    assert isolation.call(lambda a, b: (a + b, os.getpid()), 1, 2)[0] == 3
    assert isolation.call(os.getpid) != os.getpid()


def test_what_a_job_changes_stays_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVLIB_TEST", "before")
    isolation.call(os.environ.__setitem__, "CVLIB_TEST", "changed")
    assert os.environ["CVLIB_TEST"] == "before"


def test_a_killed_job_says_what_killed_it() -> None:
    with pytest.raises(isolation.Killed, match="SIGKILL"):
        isolation.call(lambda: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(isolation.Killed, match="exit code 3"):
        isolation.call(os._exit, 3)


def test_one_killed_call_leaves_the_others() -> None:
    answers = isolation.call_all(lambda code: os._exit(code) if code else "well", [(0,), (3,), (0,)])
    assert [answers[0], answers[2]] == ["well", "well"]
    assert isinstance(answers[1], isolation.Killed)


def test_an_interruption_ends_the_child_before_it_goes_up(tmp_path: pytest.TempPathFactory) -> None:
    started, stopped = tmp_path / "started", tmp_path / "stopped"  # type: ignore[operator]

    def job() -> None:
        started.touch()
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            stopped.touch()
            raise

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            isolation.call(job)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert started.exists()
    assert stopped.exists()


def test_quiet_jobs_print_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    isolation.call(print, "loud")
    isolation.call(print, "silent", quiet=True)
    out = capfd.readouterr().out
    assert "loud" in out
    assert "silent" not in out
