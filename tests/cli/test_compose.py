"""Configs composed from overrides: `task=` with each model, and defaults that a model sets in other groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvlib import tasks
from cvlib.cli.compose import compose
from cvlib.config import answers
from cvlib.config.schema import Finetune
from cvlib.models.heads.dense import DenseOptions
from cvlib.runtime.errors import UserError

CLASSIFIERS = [name for name in answers.choices("model") if answers.value("model", name, "head") == "dense"]


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_every_classifier_supports_multilabel(model: str) -> None:
    assert compose([f"model={model}"]).model.task == "classification"
    assert compose([f"model={model}", "task=multilabel"]).model.task == "multilabel"
    assert compose(["task=multilabel", f"model={model}"]) == compose([f"model={model}", "task=multilabel"])


@pytest.mark.parametrize("model", answers.choices("model"))
def test_naming_a_models_own_task_changes_nothing(model: str) -> None:
    own = compose([f"model={model}"])
    assert compose([f"model={model}", f"task={own.model.task}"]) == own


def test_a_user_model_config_supports_multilabel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").write_text(
        "name: cnn\ntask: classification\nhead: dense\nlr: 0.001\nepochs: 2\n"
    )
    monkeypatch.chdir(tmp_path)
    config = compose(["model=mine", "task=multilabel", "data.samples=100"])
    assert config.model.task == "multilabel"
    assert tasks.monitor(config) == "val/mAP"


@pytest.mark.parametrize(("overrides", "words"), [
    (["model=yolo", "task=multilabel"], "task=multilabel is not available for model=yolo, which does detection:"),
    (["task=multilable"], r"task=multilable: there is no such task; did you mean multilabel\?"),
    (["task=multilabel", "task.head=dense"], "task.head: there is no such key"),
    (["task=multilabel", "data=letters"], "data=letters has .* classification only: .*, or task=classification"),
])  # fmt: skip
def test_overrides_that_do_not_fit_the_task_give_a_one_line_error(overrides: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        compose(overrides)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("mode", "epochs"), [("scratch", 30), ("feature_extractor", 20), ("finetune", 6)])
def test_a_model_may_have_epochs_for_each_regime(mode: str, epochs: int) -> None:
    assert compose(["model=efficientnet_lite", f"mode={mode}"]).trainer.epochs == epochs
    assert compose(["model=efficientnet_lite", f"mode={mode}", "trainer.epochs=3"]).trainer.epochs == 3
    assert compose(["model=cnn", f"mode={mode}"]).trainer.epochs == 25


@pytest.mark.parametrize(("mode", "smoothing"), [("scratch", 0.1), ("feature_extractor", 0.0), ("finetune", 0.1)])
def test_a_model_key_may_depend_on_the_regime(mode: str, smoothing: float) -> None:
    options = compose(["model=efficientnet_lite", f"mode={mode}"]).model.head_options
    assert isinstance(options, DenseOptions) and options.label_smoothing == smoothing


def test_a_model_sets_defaults_in_other_groups_unless_overridden() -> None:
    chosen = compose(["model=efficientnet_lite", "mode=finetune", "data=clothing"])
    assert (chosen.augment.name, chosen.optimizer.name) == ("random_crop", "adamw")
    assert isinstance(chosen.mode, Finetune)
    assert (chosen.mode.head_epochs, chosen.mode.backbone_lr, chosen.schedule.warmup_epochs) == (0, 0.3, 0.9)
    given = ["augment=none", "optimizer=sgd", "mode.backbone_lr=0.5", "schedule=constant", "schedule.warmup_epochs=0"]
    custom = compose(["model=efficientnet_lite", "mode=finetune", *given])
    assert (custom.augment.name, custom.optimizer.name, custom.schedule.name) == ("none", "sgd", "constant")
    assert isinstance(custom.mode, Finetune)
    assert (custom.mode.head_epochs, custom.mode.backbone_lr, custom.schedule.warmup_epochs) == (0, 0.5, 0.0)


@pytest.mark.parametrize("data", ["digits", "letters", "mnist"])
def test_images_of_signs_are_not_augmented_unless_asked(data: str) -> None:
    assert compose(["model=efficientnet_lite", f"data={data}"]).augment.name == "none"
    assert compose(["model=efficientnet_lite", f"data={data}", "augment=light"]).augment.name == "light"


def test_a_model_without_such_defaults_uses_those_of_the_groups() -> None:
    chosen = compose(["model=resnet", "mode=finetune"])
    assert (chosen.augment.name, chosen.optimizer.name) == ("none", "adam")
    assert isinstance(chosen.mode, Finetune)
    assert (chosen.mode.head_epochs, chosen.mode.backbone_lr, chosen.mode.head_lr) == (1, 0.1, 10.0)
    assert chosen.schedule.warmup_epochs == 0.0
