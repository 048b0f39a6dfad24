"""run.py as users start it: exit codes, one-line errors, and no files after invalid input."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from PIL import Image

from cvlib.runs import record
from cvlib.runtime import hardware
from tests import programs

ROOT = Path(__file__).parents[2]
QUICK = ["model.filters=[4]", "model.dense=[8]", "trainer.epochs=2", "trainer.steps_per_epoch=3"]


def run(folder: Path, *overrides: str, timeout: float = programs.TIMEOUT) -> subprocess.CompletedProcess[str]:
    return programs.run(folder, programs.RUN, *overrides, timeout=timeout)


def summary(folder: Path) -> dict[str, object]:
    loaded: dict[str, object] = json.loads((folder / "summary.json").read_text())
    return loaded


def weights(folder: Path) -> dict[str, bytes]:
    """Return every array of the saved network by its path."""
    found: dict[str, bytes] = {}
    with zipfile.ZipFile(folder / "model.keras") as archive, archive.open("model.weights.h5") as inner:
        h5py.File(inner, "r").visititems(
            lambda name, item: found.__setitem__(name, item[...].tobytes()) if isinstance(item, h5py.Dataset) else None
        )
    assert found
    return found


def error_of(result: subprocess.CompletedProcess[str]) -> str:
    """Return the error message; assert that it is one line and that the exit code is 2."""
    assert result.returncode == 2, result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


@pytest.fixture
def two_classes(tmp_path: Path) -> Path:
    """Create ten images in two classes, dark and light; return their folder."""
    random = np.random.default_rng(0)
    for label, level in (("dark", 40), ("light", 210)):
        (tmp_path / "images" / label).mkdir(parents=True)
        for index in range(5):
            pixels = random.integers(level - 30, level + 30, (20, 24, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / label / f"{index}.png")
    return tmp_path / "images"


def test_a_run_writes_every_documented_file_and_repeating_it_changes_nothing(tmp_path: Path) -> None:
    overrides = [*QUICK, "hydra.run.dir=here"]
    result = run(tmp_path, *overrides)
    assert result.returncode == 0, result.stderr
    commands = ["tensorboard --logdir here", "cvlib compare .", "cvlib predict here IMAGES"]
    assert result.stdout.endswith("\n  ".join(["next:", *commands]) + "\n")
    folder = tmp_path / "here"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    documented = (
        "config.yaml .hydra/overrides.yaml summary.json metrics.csv test_results.csv model.keras labels.json "
        "checkpoints tensorboard/train tensorboard/validation train.log report.html report/by_class.csv"
    )
    assert set(documented.split()) <= found
    content = summary(folder)
    assert content["status"] == "completed"
    values = [content[key] for key in ("model", "mode", "data", "epochs", "steps")]
    assert values == ["cnn", "scratch", "digits", 2, 6]
    with (folder / "metrics.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    assert yaml.safe_load((folder / "config.yaml").read_text())["model"]["filters"] == [4]

    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    again = run(tmp_path, *overrides)
    assert again.returncode == 0
    assert "already completed" in again.stdout
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    other = run(tmp_path, *overrides, "seed=1")
    assert "seed: 0 in that run, 1 now" in error_of(other)
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["trainer.epoch=3"], ["trainer.epoch", "trainer.epochs"]),
        (["trainer.epochs=ten"], ["trainer.epochs", "ten"]),
        (["model=resnett"], ["resnett", "resnet"]),
        (["model=resnet", "data.image_size=8"], ["data.image_size=8", "32"]),
        (["model=resnet", "model.depth=51"], ["model.depth=51", "50"]),
        (["data=folder"], ["data.path"]),
        (["data=folder", "data.path=nowhere"], ["nowhere"]),
        (["data.classes=[0,nine]"], ["nine"]),
        (["mode=finetune", "mode.weights=nothing.h5"], ["nothing.h5"]),
        (["mode=feature_extractor", "data=letters"], ["imagenet", "mode=scratch"]),
        (["data=digits", "model.filters=[8,8,8,8,8]", "model.padding=valid"], ["8"]),
    ],
)
def test_invalid_input_gives_one_line_and_leaves_no_files(
    tmp_path: Path, overrides: list[str], words: list[str]
) -> None:
    message = error_of(run(tmp_path, *overrides))
    assert all(word in message for word in words), message
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_image_is_named(tmp_path: Path, two_classes: Path) -> None:
    (two_classes / "dark" / "torn.png").write_bytes((two_classes / "dark" / "0.png").read_bytes()[:200])
    before = sorted(tmp_path.rglob("*"))
    assert "torn.png" in error_of(run(tmp_path, "data=folder", f"data.path={two_classes}"))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_batch_size_larger_than_the_data_works(tmp_path: Path, two_classes: Path) -> None:
    result = run(tmp_path, "data=folder", "data.path=images", "data.image_size=16", "data.batch_size=64",
                 "trainer.epochs=2", "hydra.run.dir=run")  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert summary(tmp_path / "run")["status"] == "completed"


def test_divergence_fails_and_reports_the_step(tmp_path: Path) -> None:
    result = run(tmp_path, *QUICK, "optimizer=sgd", "optimizer.lr=1e20", "trainer.epochs=8", "hydra.run.dir=run")
    assert result.returncode == 1
    content = summary(tmp_path / "run")
    assert content["status"] == "diverged"
    assert "step" in str(content["error"])
    assert "learning rate" in result.stderr


def start_until(folder: Path, pattern: str, *overrides: str) -> programs.Program:
    """Start a run; return it as soon as a file matches the pattern."""
    program = programs.start(folder, programs.RUN, *overrides)
    deadline = time.monotonic() + 120
    while not list(folder.glob(pattern)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return program


def test_a_run_stopped_in_three_ways_resumes_to_the_same_result_as_a_whole_run(tmp_path: Path) -> None:
    """The whole run is a real process, so this also compares it with the forked ones of tests/programs.py."""
    overrides = ["trainer.deterministic=true", "model.dropout=0.3", "augment=light", "trainer.epochs=8"]
    command = [sys.executable, str(ROOT / "run.py"), *overrides, "hydra.run.dir=whole"]
    whole = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert whole.returncode == 0, whole.stderr

    overrides.append("hydra.run.dir=stopped")
    for epoch, (kind, code) in enumerate([(signal.SIGHUP, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)], start=2):
        program = start_until(tmp_path, f"stopped/checkpoints/epoch-0000{epoch}*.npz", *overrides)
        program.send_signal(kind)
        _, stderr = program.communicate()
        assert program.returncode == code, stderr
        read = record.read_summary(tmp_path / "stopped")
        assert read is not None
        assert read["status"] == "interrupted"

    (tmp_path / "stopped/evaluate").mkdir()
    resumed = run(tmp_path, *overrides)
    assert resumed.returncode == 0, resumed.stderr
    assert "resumes after epoch" in resumed.stdout
    stale = "the results in evaluate were created before this run was completed"
    assert stale in resumed.stdout and stale not in whole.stdout
    assert summary(tmp_path / "stopped")["metrics"] == summary(tmp_path / "whole")["metrics"]
    assert (tmp_path / "stopped/test_results.csv").read_bytes() == (tmp_path / "whole/test_results.csv").read_bytes()
    assert weights(tmp_path / "stopped") == weights(tmp_path / "whole")


@pytest.mark.slow
def test_different_seeds_give_different_weights(tmp_path: Path) -> None:
    for seed in (0, 1):
        assert run(tmp_path, *QUICK, f"seed={seed}", f"hydra.run.dir={seed}").returncode == 0
    assert weights(tmp_path / "0") != weights(tmp_path / "1")


@pytest.mark.parametrize("precision", ["bfloat16", pytest.param("float16", marks=pytest.mark.slow)])
def test_reduced_precisions_train(tmp_path: Path, precision: str) -> None:
    result = run(tmp_path, *QUICK, f"trainer.precision={precision}", "hydra.run.dir=run")
    assert result.returncode == 0, result.stderr
    assert summary(tmp_path / "run")["status"] == "completed"


def test_automatic_precision_is_recorded_as_the_precision_that_it_selects(tmp_path: Path) -> None:
    chosen, why = hardware.native()
    result = run(tmp_path, *QUICK, "trainer.precision=auto", "hydra.run.dir=run")
    assert result.returncode == 0, result.stderr
    assert f"trainer.precision=auto: {chosen}, because {why}" in result.stdout
    assert summary(tmp_path / "run")["precision"] == chosen
    assert yaml.safe_load((tmp_path / "run/config.yaml").read_text())["trainer"]["precision"] == chosen
    again = run(tmp_path, *QUICK, f"trainer.precision={chosen}", "hydra.run.dir=run")
    assert "already completed" in again.stdout
    other = run(tmp_path, *QUICK, "trainer.precision=float16", "hydra.run.dir=run")
    assert f"trainer.precision: {chosen} in that run, float16 now" in error_of(other)


def test_a_frozen_base_keeps_its_offline_pretrained_weights(tmp_path: Path) -> None:
    small = [
        *QUICK,
        "model.batch_norm=false",
        "data.pretrain_samples=200",
        "data.pretrain_epochs=1",
        "mode=feature_extractor",
    ]
    result = run(tmp_path, *small, "hydra.run.dir=run")
    assert result.returncode == 0, result.stderr
    assert "NOTE" in result.stdout
    source = summary(tmp_path / "run")["weights"]["source"]  # type: ignore[index]
    assert source.startswith("letters")
    (pretrained,) = (tmp_path / "outputs/pretrained").iterdir()
    before, after = weights(pretrained), weights(tmp_path / "run")
    base = [name for name in before if before[name] == after.get(name)]
    assert len(base) == 4  # kernel and bias of a convolution and of a dense layer
    again = run(tmp_path, *small, "hydra.run.dir=again", "seed=1")
    assert "already completed" in again.stdout


def test_help_and_a_typo_do_not_import_tensorflow(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    for argument in ("--help", "trainer.epoch=3"):
        command = [sys.executable, str(ROOT / "run.py"), argument]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
        assert "hydra" in result.stderr
        assert "tensorflow" not in result.stderr
