"""Divergence in the last step, and the epoch that a run keeps."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import pytest

from cvlib import experiment
from cvlib.config.schema import Config, Constant, DataConfig, Finetune, Sgd, TrainerConfig
from cvlib.runtime.errors import Diverged
from tests.configs import model_config


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # NumPy's warning about these logits
def test_a_run_whose_last_step_gives_nan_has_diverged(tmp_path: Path) -> None:
    config = Config(
        model_config("cnn", filters=[16], dense=[]),
        data=DataConfig("digits", samples=60),
        optimizer=Sgd(lr=1e30),
        trainer=TrainerConfig(epochs=1, steps_per_epoch=1),
    )
    with pytest.raises(Diverged, match="the validation loss became nan after epoch 1"):
        experiment.run(config, tmp_path / "run")


@pytest.mark.parametrize(("kept_epoch", "expected"), [("best", 1), ("last", 3)])
def test_a_run_keeps_the_best_or_the_last_epoch(tmp_path: Path, kept_epoch: str, expected: int) -> None:
    """Without learning, all epochs are equally good, and the first one stays the best."""
    config = Config(
        model_config("cnn", filters=[4], dense=[]),
        data=DataConfig("digits", samples=60),
        optimizer=Sgd(lr=1e-12),
        trainer=TrainerConfig(epochs=3, steps_per_epoch=1, kept_epoch=kept_epoch, bn_momentum=None),
    )
    assert experiment.run(config, tmp_path / "run")["best_epoch"] == expected


@pytest.mark.parametrize("interrupted", [None, 3])
def test_patience_counts_anew_in_each_phase(tmp_path: Path, interrupted: int | None) -> None:
    """Without learning, each phase ends after two epochs without a better one; an interruption changes nothing."""
    data, trainer = DataConfig("digits", samples=60), TrainerConfig(epochs=8, steps_per_epoch=1, patience=2)
    model = model_config("cnn", filters=[4], dense=[])
    first = dataclasses.replace(trainer, epochs=1, patience=None)
    experiment.run(Config(model, data=data, trainer=first), tmp_path / "base")
    mode = Finetune(weights=str(tmp_path / "base"), head_epochs=6, backbone_lr=0.5, freeze=None)
    config = Config(model, mode, data=data, optimizer=Sgd(lr=1e-12), trainer=trainer)

    def stop(epoch: int, _: dict[str, float]) -> None:
        if epoch == interrupted:
            raise KeyboardInterrupt

    if interrupted:
        with pytest.raises(KeyboardInterrupt):
            experiment.run(config, tmp_path / "run", on_epoch=stop)
    assert experiment.run(config, tmp_path / "run")["epochs"] == 5
    with (tmp_path / "run/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["lr_backbone"]) > 0 for row in rows] == [False] * 3 + [True] * 2
    assert float(rows[3]["lr_backbone"]) == pytest.approx(0.5 * float(rows[3]["lr"]))
    log = (tmp_path / "run/train.log").read_text()
    assert "this phase ends early, and the next one begins" in log and "stopped early" in log
    assert "epochs 4 to 8:" in log


def test_a_shortened_phase_and_an_endless_warm_up_are_noted(tmp_path: Path) -> None:
    trainer = TrainerConfig(epochs=2, steps_per_epoch=1)
    model, data = model_config("cnn", filters=[4], dense=[]), DataConfig("digits", samples=60)
    experiment.run(Config(model, data=data, trainer=trainer), tmp_path / "base")
    mode = Finetune(weights=str(tmp_path / "base"), head_epochs=5)
    config = Config(model, mode, data=data, schedule=Constant(warmup_epochs=4), trainer=trainer)
    experiment.run(config, tmp_path / "run")
    log = (tmp_path / "run/train.log").read_text()
    assert "mode.head_epochs=5 is shortened to 1: trainer.epochs=2" in log
    assert "schedule.warmup_epochs=4 is not shorter than trainer.epochs=2" in log
    plain = (tmp_path / "base/train.log").read_text()
    assert "mode.head_epochs" not in plain and "warmup_epochs" not in plain
