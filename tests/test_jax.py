"""Runs with KERAS_BACKEND=jax: the same losses as with TensorFlow, exact resume, and networks that both open."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.killed_runs import assert_same_results, kill_within_an_epoch

ROOT = Path(__file__).parents[1]
DIGITS = ("model=cnn", "augment=light", "trainer.epochs=2", "data.fraction=0.3", "trainer.ema=0.9")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs the extra jax"),
]


def start(backend: str, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)  # fmt: skip


def done(backend: str, folder: Path, *arguments: str) -> str:
    """Run Python with these arguments to its end, and return its standard output."""
    process = start(backend, folder, *arguments)
    output, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors[-2000:]
    return output


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a completed run that was trained on JAX."""
    folder = tmp_path_factory.mktemp("jax")
    done("jax", folder, str(ROOT / "run.py"), *DIGITS, "hydra.run.dir=whole")
    return folder / "whole"


# Near ties between anchors, or between the pixels of a pooling window, would amplify rounding: hence these choices.
CASES = {
    "classifier": ("model=cnn", "model.dropout=0", "augment=light"),
    "detector": ("model=yolo", "model.head=grid", "data.samples=40", "data.image_size=64", "data.batch_size=8",
                 "augment=none"),
    "segmenter": ("model=segmenter", "model.decoder=interpolate", "data.samples=40", "data.image_size=64",
                  "data.batch_size=8", "model.dropout=0", "augment=none"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_first_losses_equal_those_of_tensorflow(tmp_path: Path, case: str) -> None:
    rate = "0.000001" if case == "detector" else "0.0001"  # the detector's gradients are large at first
    settings = (*CASES[case], "trainer.precision=float32", "optimizer=sgd", f"optimizer.lr={rate}")
    losses = [json.loads(done(backend, tmp_path, "-m", "tests.first_losses", str(tmp_path), *settings).splitlines()[-1])
              for backend in ("tensorflow", "jax")]  # fmt: skip
    assert len(losses[0]) == 10 and len(set(losses[0])) == 10
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


def test_a_run_killed_within_an_epoch_gives_the_same_results(run: Path) -> None:
    cut = run.with_name("cut")
    arguments = (str(ROOT / "run.py"), *DIGITS, "trainer.checkpoint_every=3", "hydra.run.dir=cut")
    kill_within_an_epoch(start("jax", run.parent, *arguments), cut)
    assert "resumes after epoch 1 and" in done("jax", run.parent, *arguments)
    assert_same_results(cut, run)


def test_tensorflow_opens_the_network_and_finds_the_same_metrics(run: Path) -> None:
    recorded = json.loads((run / "summary.json").read_text())
    assert recorded["versions"]["backend"] == "jax" and "jax" in recorded["versions"]
    done("tensorflow", run.parent, "-m", "cvlib.cli", "evaluate", "whole", "--split", "test")
    found = json.loads((run / "evaluate/test/evaluation.json").read_text())
    assert found["metrics"]["accuracy"] == pytest.approx(recorded["metrics"]["test/accuracy"], abs=1e-6)


def test_an_export_is_made_by_tensorflow(run: Path) -> None:
    output = done("jax", run.parent, "-m", "cvlib.cli", "export", "whole", "--format", "litert")
    assert "compared with Keras" in output and (run / "export/model.tflite").exists()


def test_another_backend_does_not_resume_the_run(run: Path) -> None:
    unfinished = run.with_name("unfinished")
    process = start("jax", run.parent, str(ROOT / "run.py"), *DIGITS, "hydra.run.dir=unfinished", "trainer.epochs=50")
    while not any(unfinished.glob("checkpoints/epoch-*.npz")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    other = start("tensorflow", run.parent, str(ROOT / "run.py"), *DIGITS, "hydra.run.dir=unfinished",
                  "trainer.epochs=50")  # fmt: skip
    assert "was begun with KERAS_BACKEND=jax" in other.communicate()[1]
    assert other.returncode == 2
