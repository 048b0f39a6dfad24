"""Divergence in the last step, and the epoch that a run keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvlib import experiment
from cvlib.config.schema import Config, DataConfig, Sgd, TrainerConfig
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
