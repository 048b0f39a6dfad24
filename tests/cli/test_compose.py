"""What overrides compose to: a model's own choices among the other groups, unless others are given."""

from __future__ import annotations

import pytest

from cvlib.cli.compose import compose
from cvlib.config.schema import Finetune
from cvlib.models.heads.dense import DenseOptions


@pytest.mark.parametrize(("mode", "epochs"), [("scratch", 30), ("feature_extractor", 20), ("finetune", 6)])
def test_a_model_may_have_epochs_for_each_regime(mode: str, epochs: int) -> None:
    assert compose(["model=efficientnet_lite", f"mode={mode}"]).trainer.epochs == epochs
    assert compose(["model=efficientnet_lite", f"mode={mode}", "trainer.epochs=3"]).trainer.epochs == 3
    assert compose(["model=cnn", f"mode={mode}"]).trainer.epochs == 25


@pytest.mark.parametrize(("mode", "smoothing"), [("scratch", 0.1), ("feature_extractor", 0.0), ("finetune", 0.1)])
def test_a_key_of_a_model_may_depend_on_the_regime(mode: str, smoothing: float) -> None:
    options = compose(["model=efficientnet_lite", f"mode={mode}"]).model.head_options
    assert isinstance(options, DenseOptions) and options.label_smoothing == smoothing


def test_a_model_chooses_what_suits_it_unless_something_is_given() -> None:
    chosen = compose(["model=efficientnet_lite", "mode=finetune"])
    assert (chosen.augment.name, chosen.optimizer.name) == ("random_crop", "adamw")
    assert isinstance(chosen.mode, Finetune)
    assert (chosen.mode.head_epochs, chosen.mode.backbone_lr, chosen.schedule.warmup_epochs) == (0, 0.3, 0.9)
    others = ["augment=none", "optimizer=sgd", "mode.backbone_lr=0.5", "schedule=constant", "schedule.warmup_epochs=0"]
    given = compose(["model=efficientnet_lite", "mode=finetune", *others])
    assert (given.augment.name, given.optimizer.name, given.schedule.name) == ("none", "sgd", "constant")
    assert isinstance(given.mode, Finetune)
    assert (given.mode.head_epochs, given.mode.backbone_lr, given.schedule.warmup_epochs) == (0, 0.5, 0.0)


def test_a_model_without_choices_leaves_them_to_the_groups() -> None:
    chosen = compose(["model=resnet", "mode=finetune"])
    assert (chosen.augment.name, chosen.optimizer.name) == ("none", "adam")
    assert isinstance(chosen.mode, Finetune)
    assert (chosen.mode.head_epochs, chosen.mode.backbone_lr, chosen.mode.head_lr) == (1, 0.1, 10.0)
    assert chosen.schedule.warmup_epochs == 0.0
