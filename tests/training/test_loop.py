"""What ends a training before its time."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvlib import experiment
from cvlib.config.schema import Config, DataConfig, Sgd, TrainerConfig
from cvlib.runtime.errors import Diverged
from tests.configs import model_config


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # NumPy, of such logits
def test_a_network_that_the_last_step_spoiled_has_diverged(tmp_path: Path) -> None:
    config = Config(
        model_config("cnn", filters=[16], dense=[]),
        data=DataConfig("digits", samples=60),
        optimizer=Sgd(lr=1e30),
        trainer=TrainerConfig(epochs=1, steps_per_epoch=1),
    )
    with pytest.raises(Diverged, match="the validation loss became nan after epoch 1"):
        experiment.run(config, tmp_path / "run")
