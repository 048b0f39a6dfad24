"""A run that is stopped repeatedly within its epochs gives bit-identical results to an uninterrupted run."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests import programs

# Run one experiment to completion. Each stop comes after a number of steps, or in the next validation (v).
SCRIPT = """
import sys
from pathlib import Path

from cvlib import experiment
from cvlib import tasks
from cvlib.config.schema import (
    Adam, AugmentConfig, Config, Cosine, DataConfig, FeatureExtractor, Finetune, Scratch, TrainerConfig)
from cvlib.models.options import read_model

mode, stops = sys.argv[1], [steps for steps in sys.argv[2].split(",") if steps]
data = DataConfig("digits", pretrain_on="letters", pretrain_samples=150, pretrain_epochs=1, fraction=0.15, split_seed=1)
config = Config(
    read_model(dict(name="cnn", filters=[4, 4], dense=[8], dropout=0.4, batch_norm=True)),
    {"scratch": Scratch(), "finetune": Finetune(head_epochs=1, backbone_lr=0.1),
     "feature_extractor": FeatureExtractor(views=2)}[mode],
    data, AugmentConfig(rotation=10, crop=0.8), Adam(lr=0.01), Cosine(),
    TrainerConfig(epochs=3, deterministic=True, checkpoint_every=1, ema=0.9), output_root="outputs",
)
folder = Path(mode + ("-stopped" if stops else "-whole"))
task = tasks.of("classification")
evaluate = task.evaluate


def interrupt(*_):
    raise KeyboardInterrupt


class Killed(BaseException):
    pass


left = None


def run():
    from cvlib.training.callbacks import NonFiniteGuard

    original = NonFiniteGuard.on_train_batch_begin

    def count(self, batch, logs=None):
        global left
        if left is not None and self.model.name.startswith("cnn"):
            if left == 0:
                raise Killed
            left -= 1
        original(self, batch, logs)

    NonFiniteGuard.on_train_batch_begin = count
    try:
        return experiment.run(config, folder)
    finally:
        NonFiniteGuard.on_train_batch_begin = original


for steps in stops:
    left = None if steps == "v" else int(steps)
    if steps == "v":
        task.evaluate = interrupt
    try:
        run()
    except Killed:
        print("stopped after", steps, "steps")
    except KeyboardInterrupt:
        print("stopped after an epoch's last step")
    task.evaluate = evaluate
left = None
assert run()["status"] == "completed"
"""


def finished(folder: Path, mode: str, stops: str) -> Path:
    result = programs.run(folder, "-c", SCRIPT, mode, stops, HOME=str(folder))
    assert result.returncode == 0, result.stdout[-1500:] + result.stderr[-3000:]
    assert result.stdout.count("stopped after") == len([one for one in stops.split(",") if one])
    return folder / (mode + ("-stopped" if stops else "-whole"))


def weights(run: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with zipfile.ZipFile(run / "model.keras") as archive, archive.open("model.weights.h5") as inner:
        h5py.File(inner, "r").visititems(
            lambda name, item: found.__setitem__(name, item[...].tobytes()) if isinstance(item, h5py.Dataset) else None
        )
    return found


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    found = {}
    for part in ("train", "validation"):
        events = EventAccumulator(str(run / "tensorboard" / part), {"tensors": 0}).Reload()
        for tag in events.Tags()["tensors"]:
            points = [(event.step, make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)]
            if tag != "images_per_second" and points[0][1].shape == () and points[0][1].dtype == np.float32:
                found[f"{part}/{tag}"] = [(step, float(value)) for step, value in points]
    return found


MODES = ("scratch", "feature_extractor", "finetune")
SLOWER = [pytest.param(mode, "2,v,v,1,3,6", marks=pytest.mark.slow) for mode in MODES]


@pytest.mark.parametrize(("mode", "stops"), [("feature_extractor", "2,v"), *SLOWER])
def test_a_run_stopped_at_any_step_gives_the_same_results(tmp_path: Path, mode: str, stops: str) -> None:
    whole = finished(tmp_path, mode, "")  # first, because it also pretrains the base of the stopped run
    stopped = finished(tmp_path, mode, stops)
    assert rows(stopped) == rows(whole)
    assert weights(stopped) == weights(whole)
    assert (stopped / "test_results.csv").read_bytes() == (whole / "test_results.csv").read_bytes()
    assert len(curves(whole)["train/loss"]) == 3
    assert curves(stopped) == curves(whole)
