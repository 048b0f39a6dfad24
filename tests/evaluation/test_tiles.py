"""Runs with `data.tiles`, from training to prediction, on scenes of digits that are larger than a tile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cvlib
from cvlib import cli, experiment, tasks
from cvlib.cli.compose import compose
from cvlib.data.make_feed import make_feed
from cvlib.evaluation import evaluate_run
from cvlib.models import restore
from cvlib.tasks import saved

OPTIONS = {
    "detection": ["model=yolo", "model.neck_channels=8", "model.filters=[8,8,8,8,8]"],
    "segmentation": ["model=segmenter", "model.filters=[4,8]"],
}
QUICK = ["trainer.epochs=1", "trainer.steps_per_epoch=2", "data.samples=40", "data.batch_size=8"]


def trained(task: str, folder: Path, tiles: int) -> Path:
    experiment.run(compose([*OPTIONS[task], *QUICK, f"data.tiles={tiles}"]), folder / "run")
    return folder / "run"


@pytest.mark.slow
@pytest.mark.parametrize("task", list(OPTIONS))
def test_a_run_with_tiles_predicts_whole_images(task: str, tmp_path: Path) -> None:
    folder = trained(task, tmp_path, 64)
    opened = restore.open_run(folder)
    images = np.asarray(saved.dataset(opened).test.images[:2])
    found = cvlib.predict(folder, images)
    assert len(found) == 2
    if task == "segmentation":  # the results of the evaluation are those of the saved network
        assert [mask.shape for mask in found] == [(96, 96)] * 2
        evaluated = evaluate_run.predictions(opened, evaluate_run.network_of(opened), saved.dataset(opened).test)
        accuracy = [float((mask == truth).mean()) for mask, truth in
                    zip(found, saved.dataset(opened).test.labels, strict=False)]  # fmt: skip
        assert [one[1] for one in evaluated.samples[:2]] == pytest.approx(accuracy)  # type: ignore[attr-defined]
    model = cvlib.network(folder)
    assert model.input_shape == (None, 64, 64, 3)
    with pytest.raises(ValueError, match="shape"):  # a whole image is never shrunk to a tile silently
        model(images.astype(np.float32))


@pytest.mark.parametrize("task", [pytest.param("detection", marks=pytest.mark.slow), "segmentation"])
def test_an_image_of_one_tile_gives_the_plain_results(task: str) -> None:
    from cvlib.models.network import build

    config = compose([*OPTIONS[task], *QUICK, "data.tiles=96"])
    dataset = cvlib.load_data(*OPTIONS[task], *QUICK)
    spec = tasks.input_spec(config, dataset.size, dataset.channels)
    assert spec.size == dataset.size and spec.tiled
    chosen, split = tasks.of_config(config), dataset.test.take([0, 1, 2])
    network = chosen.validated(build(config.model, spec, len(dataset.classes)))
    rows = [chosen.evaluate(network, make_feed(split, one, dataset.kind, 2, 0), dataset.classes).results(split.names)
            for one in (spec, replace(spec, overlap=None))]  # fmt: skip
    assert rows[0] == rows[1]


@pytest.mark.parametrize(("overrides", "words"), [
    (["model=cnn", "data.tiles=64"], "data.tiles=64 is only for detection, segmentation, but model=cnn does"),
    (["model=yolo", "data.tiles=64", "data.image_size=96"], "data.tiles=64 is the network's input size, at full"),
    (["model=yolo", "data.tiles=64", "data.resize=stretch"], "remove data.resize"),
    (["model=yolo", "data.tiles=8"], "invalid data.tiles=8"),
])  # fmt: skip
def test_invalid_settings(overrides: list[str], words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["train", *overrides, f"hydra.run.dir={tmp_path}/run"]) == 2
    assert words in capsys.readouterr().err
