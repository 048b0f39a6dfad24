"""`trainer.devices` on JAX: the losses, weights and metrics of one device with the same batches."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.killed_runs import kill_within_an_epoch

ROOT = Path(__file__).parents[1]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs the extra jax"),
]

# 126 images in batches of 12: the last batch has 6 images, which 2 devices can share and 4 can't.
CLASSIFIER = ("model=cnn", "model.batch_norm=true", "data.fraction=0.1", "data.batch_size=12", "optimizer.lr=0.1")
# Near ties in a pooling window or between anchors would amplify rounding: hence pooling by averages and the grid head.
SCENES = ("data.samples=50", "data.batch_size=8", "augment=none")
CASES = {
    "classifier": (*CLASSIFIER, "augment=standard", "model.dropout=0.3", "data.class_weights=balanced"),
    "clipped_and_partly_frozen": (*CLASSIFIER, "augment=light", "optimizer.clipnorm=0.1", "mode=finetune",
                                  "mode.weights=1", "mode.freeze=0.5", "mode.head_epochs=0"),
    "detector": (*SCENES, "model=yolo", "model.head=grid", "model.backbone=cnn", "model.filters=[8,16,32]",
                 "data.image_size=64", "optimizer.lr=0.000001"),
    "segmenter": (*SCENES, "model=segmenter", "model.encoder=cnn", "model.filters=[8,16]", "model.convolutions=1",
                  "model.pooling=average", "model.decoder_filters=8", "model.loss={cross_entropy:1,dice:1}",
                  "data.image_size=32", "optimizer.lr=0.003"),
}  # fmt: skip
RUN = (
    "model=cnn",
    "model.batch_norm=true",
    "data.fraction=0.1",
    "data.batch_size=12",
    "trainer.epochs=2",
    "optimizer=sgd",
)


def environment(devices: int) -> dict[str, str]:
    """Return an environment in which JAX has this number of CPU devices."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    return {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT), "XLA_FLAGS": flags}


def python(folder: Path, *arguments: str, devices: int = 4) -> subprocess.CompletedProcess[str]:
    """Run Python on JAX with this number of CPU devices."""
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=environment(devices), text=True,
                          capture_output=True, check=False)  # fmt: skip


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the same run on one device, "1", and on four, "4"."""
    folder = tmp_path_factory.mktemp("devices")
    for number in ("1", "4"):
        done = python(folder, str(ROOT / "run.py"), *RUN, f"trainer.devices={number}", f"hydra.run.dir={number}")
        assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def trained(runs: Path) -> dict[str, np.ndarray]:
    """Return the losses and weights of all cases on 1, 2 and 4 devices."""
    plain = ("trainer.precision=float32", "optimizer=sgd", "optimizer.momentum=0")
    cases = json.dumps({name: [*plain, *overrides] for name, overrides in CASES.items()})
    done = python(runs, "-m", "tests.device_losses", str(runs), cases, str(runs / "trained.npz"))
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(runs / "trained.npz") as file:
        return dict(file)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("devices", [2, 4])
def test_losses_and_weights_equal_those_of_one_device(trained: dict[str, np.ndarray], case: str, devices: int) -> None:
    expected = {key: value for key, value in trained.items() if key.startswith(f"{case}/1/")}
    assert len(set(expected[f"{case}/1/losses"])) == 20
    for key, value in expected.items():
        if value.dtype == np.float32 or key.endswith("losses"):
            found = trained[key.replace("/1/", f"/{devices}/", 1)]
            np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-5, err_msg=key)


def test_rematerialization_keeps_less_and_gives_the_same_losses(trained: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(trained["classifier/remat/losses"], trained["classifier/1/losses"], rtol=1e-5)
    assert trained["classifier/remat/kept"] < 0.7 * trained["classifier/1/kept"]


def test_a_run_has_the_metrics_of_one_device(runs: Path) -> None:
    summaries = [json.loads((runs / name / "summary.json").read_text()) for name in ("1", "4")]
    assert [summary["devices"] for summary in summaries] == [1, 4]
    assert summaries[0]["metrics"] == pytest.approx(summaries[1]["metrics"], abs=1e-4)
    for one, four in zip(rows(runs / "1"), rows(runs / "4"), strict=True):
        for key in set(one) - {"seconds"}:
            assert float(four[key]) == pytest.approx(float(one[key]), abs=1e-4), key


def test_a_run_killed_within_an_epoch_gives_the_same_results(runs: Path) -> None:
    arguments = (str(ROOT / "run.py"), *RUN, "trainer.devices=4", "trainer.checkpoint_every=3", "hydra.run.dir=cut")
    process = subprocess.Popen([sys.executable, *arguments], cwd=runs, env=environment(4), text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    kill_within_an_epoch(process, runs / "cut")
    done = python(runs, *arguments)
    assert "resumes after epoch 1 and" in done.stdout, done.stderr[-2000:]
    whole, cut = ([{**row, "seconds": ""} for row in rows(runs / name)] for name in ("4", "cut"))
    assert cut == whole


def test_devices_that_are_missing_and_batches_that_do_not_divide_are_refused_in_one_line(tmp_path: Path) -> None:
    for arguments, words in (("trainer.devices=3", "trainer.devices=3: JAX finds 2 devices here (cpu)"),
                             ("trainer.devices=2 data.batch_size=31", "choose 30 or 32")):  # fmt: skip
        done = python(tmp_path, str(ROOT / "run.py"), "model=cnn", *arguments.split(), devices=2)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
        assert words in done.stderr and list(tmp_path.iterdir()) == []
