"""Start Python programs such as run.py without importing TensorFlow, Keras and cvlib again.

A program is forked from a server process that has imported the modules and has run no TensorFlow operation, as
`cvlib.runtime.isolation` forks the jobs of a sweep. Otherwise each program spends 6 seconds on its imports. There is
one server for each pytest process; it starts at the first use. Tests of imports, of Python's own settings and of the
environment variables that are read on import start a real process instead.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import types
import warnings
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RUN = str(ROOT / "run.py")
CVLIB = ("-m", "cvlib.cli")
TIMEOUT = 900  # seconds; also enough on a machine that is busy with other work
_READ_ON_IMPORT = ("CUDA_", "KERAS_", "MKL_", "OMP_", "PYTHON", "TF_")
_ENVIRONMENT = dict(os.environ)  # of the server: without what a test sets
_LATE = ("sklearn.datasets", "scipy.stats", "tensorboard.plugins.hparams.api", "hydra._internal.utils",
         "hydra._internal.core_plugins.basic_launcher")  # fmt: skip


class Program:
    """A program that was started; like `subprocess.Popen`.

    Attributes:
        pid: its process ID.
        returncode: None while it runs, then its exit code, or minus the number of the signal that killed it.
    """

    def __init__(self, folder: Path, arguments: tuple[str, ...], environment: dict[str, str]):
        self._arguments = arguments
        self._files = [tempfile.NamedTemporaryFile() for _ in range(2)]  # noqa: SIM115
        names = [file.name for file in self._files]
        self.pid: int = _ask(
            {"start": arguments, "folder": str(folder.absolute()), "files": names, "environment": environment}
        )
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, or None while the program runs."""
        if self.returncode is None:
            self.returncode = _ask({"poll": self.pid})
        return self.returncode

    def communicate(self, timeout: float = TIMEOUT) -> tuple[str, str]:
        """Wait for the end and return stdout and stderr, once. Raise `subprocess.TimeoutExpired` after `timeout` s."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self._arguments, timeout)
            time.sleep(0.02)
        output, errors = (file.read().decode() for file in self._files)
        for file in self._files:
            file.close()
        return output, errors

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the program has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def start(folder: Path, *arguments: str, **environment: str) -> Program:
    """Start `python *arguments` in a folder: a script's path, or `-m` and a module, or `-c` and code, and arguments.

    Modules of cvlib come from this clone. `environment` is added to this process's own.
    """
    if read := [name for name in environment if name.startswith(_READ_ON_IMPORT)]:
        raise ValueError(f"{read[0]} is read when modules are imported: start a real process")
    return Program(folder, arguments, {**os.environ, **environment})


def run(
    folder: Path, *arguments: str, timeout: float = TIMEOUT, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `python *arguments` as in `start` and wait; kill it after `timeout` seconds."""
    program = start(folder, *arguments, **environment)
    try:
        output, errors = program.communicate(timeout)
    except subprocess.TimeoutExpired:
        program.kill()
        program.communicate()
        raise
    assert program.returncode is not None
    return subprocess.CompletedProcess(arguments, program.returncode, output, errors)


@cache
def _server() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.programs"]
    server = subprocess.Popen(command, cwd=ROOT, env=_ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    atexit.register(server.communicate)  # the end of its input ends it
    return server


def _ask(question: dict[str, Any]) -> Any:
    """Send a question to the server; return its answer."""
    server = _server()
    assert server.stdin is not None and server.stdout is not None
    server.stdin.write(json.dumps(question).encode() + b"\n")
    server.stdin.flush()
    answer = server.stdout.readline()
    assert answer, "the server of tests/programs.py has ended; its error is above"
    return json.loads(answer)


def _serve() -> dict[str, Any]:
    """Answer questions until the input ends; return the question only in the child process that it starts."""
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal reaches this process as well
    answers = os.dup(1)
    os.dup2(2, 1)  # what an import prints is no answer
    _import_modules()
    while line := sys.stdin.buffer.readline():
        question: dict[str, Any] = json.loads(line)
        answer = _exit_code(question["poll"]) if "poll" in question else _fork()
        if answer == 0 and "start" in question:
            os.close(answers)
            signal.signal(signal.SIGINT, interrupt)
            return question
        os.write(answers, json.dumps(answer).encode() + b"\n")
    os._exit(0)


def _import_modules() -> None:
    import cvlib
    from cvlib.training.devices import import_frameworks

    gc.disable()
    import_frameworks()
    own = [module.name for module in pkgutil.walk_packages(cvlib.__path__, "cvlib.")]
    for name in (*own, *_LATE):
        if not name.endswith("__main__"):
            importlib.import_module(name)
    gc.enable()
    gc.freeze()  # as after the imports of a run
    from tensorflow.python.eager import context

    assert not context.context()._initialized, "an import has started TensorFlow, so a fork is unsafe"


def _exit_code(child: int) -> int | None:
    found, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # see `isolation._start`
        return os.fork()


def _become(question: dict[str, Any]) -> None:
    """Execute the program in this process as `python` does. Errors go to the interpreter."""
    for descriptor, name in enumerate((os.devnull, *question["files"])):
        opened = os.open(name, os.O_RDWR)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(question["folder"])
    os.environ.clear()
    os.environ.update(question["environment"])
    first, *rest = question["start"]
    sys.path[0:0] = [str(Path(first).parent) if first not in ("-c", "-m") else str(Path.cwd())]
    if first == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv = ["-c", *rest[1:]]
        sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), vars(sys.modules["__main__"]))
    else:
        sys.argv = [first, *rest]
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    _become(_serve())
