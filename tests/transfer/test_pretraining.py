"""The pretraining run that replaces ImageNet weights offline."""

from __future__ import annotations

from typing import Any

import pytest

from cvlib.config.schema import Config, DataConfig, FeatureExtractor, TrainerConfig
from cvlib.transfer.pretraining import pretraining_config, pretraining_folder
from tests.configs import model_config
from tests.networks import network_of


@pytest.mark.parametrize("family", ["cnn", "vgg"])
def test_a_segmenters_base_is_pretrained_as_a_classifier(family: str) -> None:
    run = Config(model_config("segmenter", encoder=family, filters=[4, 6, 8], batch_norm=True, spatial_dropout=0.1),
                 data=DataConfig(pretrain_on="letters"))  # fmt: skip
    pretraining = pretraining_config(run, (64, 64), channels=3)
    assert (pretraining.model.name, pretraining.model.task) == (family, "classification")
    assert (pretraining.data.channels, pretraining.data.image_size) == (3, 64)
    assert pretraining.name == f"letters-{family}-64px"
    base = network_of(pretraining.model, 64, 3, 7).base
    target = network_of(run.model, 64, 3, 7).base
    assert [w.shape for w in target.weights] == [w.shape for w in base.weights][: len(target.weights)]


def test_pretraining_starts_from_random_weights_with_the_networks_settings() -> None:
    run = Config(model_config(), FeatureExtractor(), seed=5, trainer=TrainerConfig(epochs=7, patience=2),
                 data=DataConfig(pretrain_on="letters", pretrain_samples=300, pretrain_epochs=2))  # fmt: skip
    pretraining = pretraining_config(run, (20, 30), channels=1)
    assert pretraining.mode.name == "scratch"
    assert (pretraining.data.name, pretraining.data.samples, pretraining.data.image_size) == ("letters", 300, [20, 30])
    assert (pretraining.trainer.epochs, pretraining.trainer.patience) == (2, None)
    assert (pretraining.optimizer.lr, pretraining.optimizer.clipnorm) == (run.model.suited.lr, 1.0)
    assert pretraining.seed == 0  # all seeds share one pretraining run
    assert pretraining.name == "letters-cnn-20x30px"


def test_runs_share_a_pretraining_run_only_if_their_bases_are_the_same() -> None:
    def folder(epochs: int = 3, filters: list[int] | None = None, **changes: Any) -> str:
        model = model_config(filters=filters or [8])
        run = Config(model, data=DataConfig(pretrain_on="letters", pretrain_epochs=epochs), **changes)
        return str(pretraining_folder(pretraining_config(run, (20, 20), 1)))

    assert folder() == folder(seed=3) == folder(mode=FeatureExtractor(views=2))
    assert folder().startswith("outputs/pretrained/letters-cnn-20px-")
    assert len({folder(), folder(filters=[4]), folder(epochs=9)}) == 3


def test_tasks_with_the_same_head_share_a_pretraining_run() -> None:
    runs = [Config(model_config(task=task), data=DataConfig(pretrain_on="letters"))
            for task in ("classification", "multilabel")]  # fmt: skip
    one, other = (pretraining_config(run, (20, 20), 1) for run in runs)
    assert one == other
    assert other.model.task == "classification"
