"""Jobs in separate processes: results are returned, crashes are reported, and the parent is unaffected."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from cvlib.runtime import isolation


@pytest.mark.skipif(sys.platform != "linux", reason="on other platforms, the child is a new process")
def test_preparations_in_the_parent_are_visible_in_every_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    prepared: list[int] = []
    assert isolation.call_all(lambda: len(prepared), [(), ()], prepare=lambda: prepared.append(os.getpid())) == [1, 2]
    assert set(prepared) == {os.getpid()}


def test_the_result_comes_from_another_process() -> None:
    assert isolation.call(lambda a, b: (a + b, os.getpid()), 1, 2)[0] == 3
    assert isolation.call(os.getpid) != os.getpid()


def test_changes_in_a_job_do_not_affect_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVLIB_TEST", "before")
    isolation.call(os.environ.__setitem__, "CVLIB_TEST", "changed")
    assert os.environ["CVLIB_TEST"] == "before"


def test_the_error_of_a_killed_job_names_the_cause() -> None:
    with pytest.raises(isolation.Killed, match="SIGKILL"):
        isolation.call(lambda: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(isolation.Killed, match="exit code 3"):
        isolation.call(os._exit, 3)


def test_a_killed_call_does_not_affect_the_others() -> None:
    results = isolation.call_all(lambda code: os._exit(code) if code else "well", [(0,), (3,), (0,)])
    assert [results[0], results[2]] == ["well", "well"]
    assert isinstance(results[1], isolation.Killed)


def test_an_interruption_ends_the_child_before_it_is_raised(tmp_path: pytest.TempPathFactory) -> None:
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
