"""One run in two processes with one CPU device each: the results of one process; a lost process; what is refused."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.killed_runs import kill_within_an_epoch, rows
from tests.test_devices import CASES, ROOT, RUN

needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs the extra jax")


def start(folder: Path, number: int | None, *arguments: str, engine: str = "jax") -> subprocess.Popen[str]:
    """Start Python as process `number` of a run, in a folder of its own; None: as the only process, in `folder`."""
    environment = {**os.environ, "KERAS_BACKEND": engine, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    environment.pop("XLA_FLAGS", None)
    if number is not None:
        environment["CVLIB_PROCESS"], folder = str(number), folder / f"process{number}"
        folder.mkdir(exist_ok=True)
    return subprocess.Popen([sys.executable, *arguments], cwd=folder, env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def address() -> str:
    """Return a free address for the coordinator."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{trial.getsockname()[1]}"


def pair(folder: Path, *arguments: str) -> list[subprocess.Popen[str]]:
    """Start a run in two processes, each in a folder of its own."""
    shared = (str(ROOT / "run.py"), *RUN, "trainer.devices=all", f"trainer.coordinator={address()}",
              "trainer.processes=2", *arguments)  # fmt: skip
    return [start(folder, number, *shared) for number in (0, 1)]


def ended(processes: Sequence[subprocess.Popen[str]]) -> list[str]:
    """Wait for processes that succeed; return their outputs."""
    results = [(process.communicate(), process.returncode) for process in processes]
    assert all(code == 0 for _, code in results), [error[-2000:] for (_, error), _ in results]
    return [output for (output, _), _ in results]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run in one process."""
    folder = tmp_path_factory.mktemp("one") / "alone"
    ended([start(folder.parent, None, str(ROOT / "run.py"), *RUN, f"hydra.run.dir={folder}")])
    return folder


@needs_jax
@pytest.mark.slow
def test_two_processes_give_the_losses_and_weights_of_one(tmp_path: Path, alone: Path) -> None:
    plain = ("trainer.precision=float32", "optimizer=sgd", "optimizer.momentum=0")
    cases = json.dumps({name: [*plain, *(part.replace("mode.weights=1", f"mode.weights={alone}") for part in parts)]
                        for name, parts in CASES.items()})  # fmt: skip
    module = ("-m", "tests.process_losses", str(tmp_path), cases)
    ended([start(tmp_path, None, *module, "one.npz")])
    coordinator = address()
    ended([start(tmp_path, number, *module, "two.npz", coordinator) for number in (0, 1)])
    with np.load(tmp_path / "one.npz") as one, np.load(tmp_path / "process0/two.npz") as two:
        for name in CASES:
            assert len(set(one[f"{name}/losses"])) == 20
        for key in one.files:
            if one[key].dtype == np.float32 or key.endswith("losses"):
                np.testing.assert_allclose(two[key], one[key], rtol=1e-5, atol=1e-5, err_msg=key)


@needs_jax
@pytest.mark.slow
def test_a_lost_process_ends_the_run_which_resumes_to_the_results_of_one_process(tmp_path: Path, alone: Path) -> None:
    arguments = ("hydra.run.dir=run", "trainer.checkpoint_every=3")
    first, second = pair(tmp_path, *arguments)
    kill_within_an_epoch(second, tmp_path / "process0/run")
    output, errors = first.communicate(timeout=300)
    assert first.returncode == 130, output + errors
    said = [line for line in errors.splitlines() if line.startswith("error:")]
    assert len(said) == 1 and "was lost" in said[0] and "Traceback" not in errors

    outputs = ended(pair(tmp_path, *arguments))
    assert "resumes after epoch 1 and" in outputs[0]
    assert not [line for line in outputs[1].splitlines() if not line.startswith("[Gloo]")]
    assert list((tmp_path / "process1").iterdir()) == []  # process 0 alone writes
    one, two = (json.loads((run / "summary.json").read_text()) for run in (alone, tmp_path / "process0/run"))
    assert two["devices"] == 2 and two["status"] == "completed"
    assert two["metrics"] == pytest.approx(one["metrics"], abs=1e-4)
    for single, shared in zip(rows(alone), rows(tmp_path / "process0/run"), strict=True):
        assert {key: float(value) for key, value in shared.items()} == pytest.approx(
            {key: float(value) for key, value in single.items()}, abs=1e-4
        )


def refused(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    """Return the line with which a run is refused."""
    done = subprocess.run([sys.executable, str(ROOT / "run.py"), "model=cnn", *arguments], cwd=folder, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, capture_output=True,
                          check=False)  # fmt: skip
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and list(folder.iterdir()) == []
    return done.stderr


def test_tensorflow_is_refused_in_one_line_that_names_jax(tmp_path: Path) -> None:
    line = refused(tmp_path, {"KERAS_BACKEND": "tensorflow", "CVLIB_PROCESS": "0"}, "trainer.devices=all",
                   "trainer.coordinator=localhost:9876", "trainer.processes=2")  # fmt: skip
    assert "KERAS_BACKEND=jax" in line
