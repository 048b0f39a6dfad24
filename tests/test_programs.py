"""Programs that are forked from the server of tests/programs.py behave as real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import programs

STATE = """
import json, os, sys
print(json.dumps([sys.argv, os.getcwd(), dict(os.environ), __name__, sys.stdin.read(), sys.stdout.isatty()]))
print("é", file=sys.stderr)
sys.exit(3)
"""


def test_arguments_folder_environment_and_output_are_those_of_a_real_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SET_BY_A_TEST", "1")
    found = programs.run(tmp_path, "-c", STATE, "a", "b c", ADDED="2")
    real = subprocess.run([sys.executable, "-c", STATE, "a", "b c"], cwd=tmp_path, env={**os.environ, "ADDED": "2"},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # fmt: skip
    assert json.loads(found.stdout) == json.loads(real.stdout)
    assert (found.stderr, found.returncode) == (real.stderr, real.returncode) == ("é\n", 3)


def test_scripts_and_modules_of_this_clone_are_executed(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("value = 7")
    (tmp_path / "script.py").write_text("import beside, cvlib, sys; print(beside.value, cvlib.__file__, *sys.argv[1:])")
    found = programs.run(Path("/"), str(tmp_path / "script.py"), "x")
    assert found.stdout == f"7 {programs.ROOT / 'cvlib/__init__.py'} x\n"
    assert programs.run(tmp_path, *programs.CVLIB, "compare").stderr.startswith("error: the following arguments are")


def test_an_exception_prints_its_traceback_and_a_signal_is_the_exit_code(tmp_path: Path) -> None:
    failed = programs.run(tmp_path, "-c", "raise KeyError('k')")
    assert failed.returncode == 1
    assert failed.stderr.endswith("KeyError: 'k'\n")
    assert programs.run(tmp_path, "-c", "raise KeyboardInterrupt").returncode == -signal.SIGINT
    with pytest.raises(subprocess.TimeoutExpired):
        programs.run(tmp_path, "-c", "import time; time.sleep(60)", timeout=0.1)


def test_several_programs_run_at_a_time_and_can_be_killed(tmp_path: Path) -> None:
    code = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(float(sys.argv[1]))"
    first, second = (programs.start(tmp_path, "-c", code, seconds) for seconds in ("60", "0"))
    assert second.communicate() == (f"{second.pid}\n", "")
    assert second.returncode == 0 and first.poll() is None
    first.kill()
    first.communicate()
    assert first.returncode == -signal.SIGKILL
    first.kill()  # does nothing


def test_a_variable_that_is_read_on_import_needs_a_real_process(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="KERAS_BACKEND is read when modules are imported"):
        programs.start(tmp_path, "-c", "", KERAS_BACKEND="jax")


def test_tensorflow_is_imported_but_not_started(tmp_path: Path) -> None:
    code = (
        "import sys; found = 'tensorflow' in sys.modules\n"
        "from tensorflow.python.eager import context; print(found, context.context()._initialized)"
    )
    assert programs.run(tmp_path, "-c", code).stdout == "True False\n"
