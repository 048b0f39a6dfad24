"""Runs of version 0.1.0 can be evaluated, used for predictions, exported, and loaded as initial weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import cvlib
from cvlib.models import backbones
from cvlib.models.restore import open_run
from cvlib.runtime.errors import UserError

FORM_1 = Path(__file__).parents[1] / "fixtures" / "form_1"
RUNS = sorted(path.name for path in (FORM_1 / "runs").iterdir() if path.name != "unfinished")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy, because commands write into a run's folder."""
    return Path(shutil.copytree(FORM_1, tmp_path / "form_1"))


@pytest.mark.parametrize("name", RUNS)
def test_a_run_reproduces_its_recorded_metrics(name: str) -> None:
    run = cvlib.load_run(FORM_1 / "runs" / name)
    found = cvlib.evaluate(run)
    recorded = {key.removeprefix("test/"): value for key, value in run.summary["metrics"].items() if "test/" in key}
    assert {key: found.metrics[key] for key in recorded} == pytest.approx(recorded, abs=1e-5)
    assert len(found.results) == run.summary["samples"]["test"]


@pytest.mark.parametrize("name", [name for name in RUNS if name.endswith("finetune")])
def test_a_run_predicts(name: str) -> None:
    run = cvlib.load_run(FORM_1 / "runs" / name)
    images = np.random.default_rng(0).integers(0, 256, (2, 50, 40, run.channels)).astype(np.uint8)
    assert len(cvlib.predict(run, images)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in RUNS if name.endswith("scratch")])
def test_a_run_is_exported(name: str, folder: Path) -> None:
    from cvlib.export import export_run

    run = open_run(folder / "runs" / name)
    assert export_run.export(run, "saved_model", False, None, 4, None, print) == 0


def test_an_unfinished_run_is_evaluated_at_its_best_epoch_but_not_resumed(folder: Path, tmp_path: Path) -> None:
    from cvlib import experiment

    run = cvlib.load_run(folder / "runs" / "unfinished")
    assert "unfinished: status interrupted" in run.notes[-1]
    assert cvlib.evaluate(run).metrics["accuracy"] > 0.3  # ten classes: chance is 0.1
    with pytest.raises(UserError, match="earlier version"):
        experiment.run(run.config, run.folder)


def test_a_completed_run_is_not_repeated(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from cvlib import experiment

    run = cvlib.load_run(folder / "runs" / "classification-scratch")
    summary = experiment.run(run.config, run.folder)
    assert "already completed" in capsys.readouterr().out
    assert summary["metrics"] == run.summary["metrics"]


def test_a_pretrained_base_is_loaded_into_another_network() -> None:
    from cvlib.models.network import build
    from cvlib.transfer import weights

    (pretrained,) = (FORM_1 / "pretrained").glob("letters-cnn-8px-*")
    run = cvlib.load_run(FORM_1 / "runs" / "classification-finetune")
    network = build(run.config.model, run.spec, len(run.classes))
    loaded = weights.start_from(network, str(pretrained))
    assert loaded.matched == network.base.count_params()
    assert backbones.get(run.config.model.backbone) is network.backbone
