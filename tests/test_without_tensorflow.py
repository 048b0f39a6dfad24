"""Runs and commands where TensorFlow isn't installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.killed_runs import assert_same_results, kill_within_an_epoch

ROOT = Path(__file__).parents[1]
SETTINGS = ("model=cnn", "augment=modern", "data.image_size=16", "trainer.epochs=2", "data.fraction=0.3",
            "trainer.checkpoint_every=2")  # fmt: skip
WITH_TENSORFLOW = ("tensorflow", "keras-cv", "importlib_resources")  # importlib_resources is for tensorflow-datasets
HIDING = """
import importlib.machinery
finder = importlib.machinery.PathFinder
known = finder.find_spec
hidden = {"tensorflow", "tensorflow_datasets", "keras_cv", "keras_core"}
finder.find_spec = lambda name, *others: None if name.split(".")[0] in hidden else known(name, *others)
"""

with_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs the extra jax")


def test_the_list_of_requirements_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    kept = [line for line in project["dependencies"] if not line.startswith(WITH_TENSORFLOW)]
    listed = (ROOT / "requirements-jax.txt").read_text().splitlines()[1:]
    assert listed == [*kept, *project["optional-dependencies"]["jax"]]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start Python in a folder, in an environment in which TensorFlow can't be found."""
    (folder / "hiding").mkdir(exist_ok=True)
    (folder / "hiding/sitecustomize.py").write_text(HIDING)
    places = [str(folder / "hiding"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    environment.pop("KERAS_BACKEND", None)
    return subprocess.Popen([sys.executable, *arguments], cwd=folder, env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def done(folder: Path, *arguments: str, code: int = 0) -> tuple[str, str]:
    process = start(folder, *arguments)
    output, errors = process.communicate(timeout=900)
    assert process.returncode == code, errors[-2000:]
    return output, errors


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("without")
    output, _ = done(folder, str(ROOT / "run.py"), *SETTINGS, "hydra.run.dir=whole")
    assert output.count("TensorBoard shows no graph of the network") == 1
    return folder / "whole"


@with_jax
@pytest.mark.slow
def test_a_run_killed_within_an_epoch_gives_the_same_results(run: Path) -> None:
    cut, arguments = run.with_name("cut"), (str(ROOT / "run.py"), *SETTINGS, "hydra.run.dir=cut")
    kill_within_an_epoch(start(run.parent, *arguments), cut)
    assert "resumes after epoch 1 and" in done(run.parent, *arguments)[0]
    assert_same_results(cut, run)


@with_jax
@pytest.mark.slow
def test_commands_work_on_its_network_or_say_that_they_need_tensorflow(run: Path) -> None:
    stored = EventAccumulator(str(run / "tensorboard/train")).Reload()
    assert {"loss", "augmented_samples", "config", "layers"} <= set(stored.Tags()["tensors"])
    assert [event.step for event in stored.Tensors("loss")] == [1, 2]
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(run.parent / "black.png")
    commands = ["evaluate whole --split test", "predict whole black.png", "visualize whole --steps 0", "report whole",
                "compare .", "export whole --format onnx"]  # fmt: skip
    code = f"from cvlib.cli import main\nprint([main(command.split()) for command in {commands}])"
    output, errors = done(run.parent, "-c", code)
    assert output.splitlines()[-1] == "[0, 0, 0, 0, 0, 2]", output[-2000:] + errors[-2000:]
    assert "cvlib export needs TensorFlow, which is not installed" in errors
    assert (run / "evaluate/test/evaluation.json").exists()
