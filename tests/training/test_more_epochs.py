"""More epochs for a completed run: the learning rate that is announced, and the result of the whole run."""

from __future__ import annotations

import csv
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cvlib import experiment
from cvlib.config.schema import Adam, AugmentConfig, Config, Constant, Cosine, DataConfig, Step, TrainerConfig
from cvlib.models.run_state import RunState
from cvlib.training.more_epochs import announce
from tests.configs import model_config

CNN = model_config("cnn", filters=[4], dense=[], dropout=0.3)


@pytest.mark.parametrize(("schedule", "expected"), [
    (Constant(), "schedule=constant: the learning rate continues at 0.5, as in a run of 4 epochs"),
    (Step(every=1, factor=0.5), "schedule=step: the learning rate continues at 0.125, as in a run of 4 epochs"),
    (Cosine(), "schedule=cosine now spans 4 epochs: the learning rate continues at 0.25, after 0.0335; "),
])  # fmt: skip
def test_it_says_how_the_learning_rate_continues(schedule: Any, expected: str) -> None:
    config = Config(CNN, optimizer=Adam(lr=0.5), schedule=schedule, trainer=TrainerConfig(epochs=4))
    said: list[str] = []
    state = RunState(epoch=2, step=6, phase=1, planned_epochs=2)
    announce(config, state, 3, said.append)
    assert said[0] == "continues from epoch 2 to 4; the result of 2 epochs stays until then"
    assert said[1].startswith(expected) and len(said) == 2
    assert (state.planned_epochs, state.phases_over) == (4, 1)
    announce(config, state, 3, said.append)  # after an interruption
    assert len(said) == 2


@pytest.mark.parametrize(("until", "lines"), [(0.6, 3), (1.0, 2)])
def test_it_says_that_epochs_without_mosaics_are_counted_anew(until: float, lines: int) -> None:
    augment = AugmentConfig(mosaic=0.5, mosaic_until=until)
    config = Config(CNN, augment=augment, schedule=Constant(), trainer=TrainerConfig(epochs=4))
    said: list[str] = []
    announce(config, RunState(epoch=2, step=6, phase=1, planned_epochs=2), 3, said.append)
    assert len(said) == lines
    assert ("augment.mosaic_until=0.6 now spans 4 epochs, too: " in said[-1]) == (until < 1)


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def weights(run: Path) -> bytes:
    with zipfile.ZipFile(run / "model.keras") as archive:
        return archive.read("model.weights.h5")


@pytest.mark.slow
def test_more_epochs_with_a_constant_rate_give_the_result_of_one_long_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = TrainerConfig(epochs=3, steps_per_epoch=2, deterministic=True, kept_epoch="last")
    config = Config(CNN, data=DataConfig("digits", samples=100), augment=AugmentConfig(rotation=10), trainer=trainer)
    experiment.run(config, tmp_path / "whole")
    run = tmp_path / "parts"
    experiment.run(replace(config, trainer=replace(trainer, epochs=1)), run)
    first = (run / "model.keras").read_bytes(), (run / "summary.json").read_bytes()

    def stop(epoch: int, _: dict[str, Any]) -> None:
        assert ((run / "model.keras").read_bytes(), (run / "summary.json").read_bytes()) == first
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiment.run(config, run, on_epoch=stop)
    assert ((run / "model.keras").read_bytes(), (run / "summary.json").read_bytes()) == first
    summary = experiment.run(config, run)
    assert (summary["status"], summary["epochs"], summary["steps"]) == ("completed", 3, 6)
    assert json.loads((run / "summary.json").read_text())["config_hash"] == summary["config_hash"]
    assert rows(run) == rows(tmp_path / "whole")
    assert weights(run) == weights(tmp_path / "whole")
    output = capsys.readouterr().out
    assert (
        f"the same command with hydra.run.dir={run} resumes" in output and f"recorded in {run}; report.html" in output
    )
    assert "continued" not in output
