"""A composed mapping becomes a typed config, or is refused in one line."""

from __future__ import annotations

from typing import Any

import pytest
from omegaconf import OmegaConf

from cvlib import tasks
from cvlib.config.schema import AdamW, Config, Cosine, FeatureExtractor, Finetune, Scratch, Sgd, as_mapping
from cvlib.models.options import read_config
from cvlib.runtime.errors import UserError
from tests.configs import model_config

CNN = {"name": "cnn"}


def change(**sections: Any) -> dict[str, Any]:
    return dict(sections)


REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    (change(trainer={"epochs": "ten"}), ["trainer.epochs", "ten"]),
    (change(trainer={"epochs": -3}), ["trainer.epochs=-3", "between 1"]),
    (change(trainer={"precision": "float8"}), ["trainer.precision=float8", "bfloat16"]),
    (change(optimizer={"lr": 0}), ["optimizer.lr=0"]),
    (change(optimizer={"lrr": 0.1}), ["optimizer.lrr", "did you mean optimizer.lr?"]),
    (change(optimizer={"name": "adamm"}), ["optimizer=adamm", "did you mean adam"]),
    (change(schedule={"name": "linear"}), ["schedule=linear", "constant, cosine, step"]),
    (change(data={"channels": 2}), ["data.channels=2", "one of null, 1, 3"]),
    (change(data={"fraction": 1.5}), ["data.fraction=1.5"]),
    (change(data={"frction": 0.5}), ["data.frction", "did you mean data.fraction?"]),
    (change(data={"val_fraction": 0.6, "test_fraction": 0.5}), ["val_fraction", "test_fraction"]),
    (change(data={"name": "folder"}), ["data.path"]),
    (change(data={"name": "tfds"}), ["data.tfds=", "TensorFlow Datasets"]),
    (change(data={"on_error": "ignore"}), ["data.on_error=ignore", "stop", "skip"]),
    (change(mode={"name": "finetune", "weights": None}), ["mode=finetune", "mode.weights"]),
    (change(mode={"name": "finetune", "layer_decay": 0}), ["mode.layer_decay=0", "between 0.01 and 1"]),
    (
        change(mode={"name": "finetune", "layer_decay": 0.5, "freeze": "all"}),
        ["mode.layer_decay=0.5", "mode.freeze=all"],
    ),
    (change(mode={"name": "finetune", "unfreeze": "slowly"}), ["mode.unfreeze=slowly", "one of null, gradual"]),
    (
        change(mode={"name": "finetune", "unfreeze": "gradual"}, trainer={"minutes": 1.0}),
        ["trainer.minutes=1.0", "mode.unfreeze"],
    ),
    (
        change(mode={"name": "finetune", "unfreeze": "gradual", "freeze": "all"}),
        ["mode.unfreeze=gradual", "freeze=all"],
    ),
    (change(trainer={"ema": 1.0}), ["trainer.ema=1.0", "between 0 and 0.99999"]),
    (change(mode={"name": "fine_tune"}), ["mode=fine_tune", "did you mean finetune?"]),
    (change(mode={"name": "finetune", "frezze": 3}), ["mode.frezze", "did you mean mode.freeze?"]),
    (change(trainer={"profile_steps": [5, 2]}), ["trainer.profile_steps=[5,2]", "first and the last"]),
    (change(trainer={"profile_steps": [5]}), ["trainer.profile_steps=[5]", "first and the last"]),
    (change(trainer={"epoch": 5}), ["trainer.epoch", "did you mean trainer.epochs?"]),
    (change(augment={"rotate": 5}), ["augment.rotate", "did you mean augment.rotation?"]),
    (change(augment={"rand_operations": 9}), ["augment.rand_operations=9", "between 0 and 4"]),
    (change(augment={"mixup": -0.1}), ["augment.mixup=-0.1"]),
    (change(augment={"erase": 1.5}), ["augment.erase=1.5", "between 0 and 1"]),
    ({"seed": -1}, ["seed=-1"]),
    ({"seed": 2**32}, ["seed=4294967296"]),
    ({"seed": "one"}, ["invalid seed=one"]),
    ({"output_root": None}, ["invalid output_root=null"]),
    ({"output_root": 3}, ["invalid output_root=3"]),
    (change(data={"split_seed": -1}), ["data.split_seed=-1"]),
    (change(data={"batch_size": 10**12}), ["data.batch_size=1000000000000", "1e+06"]),
    (change(trainer={"steps_per_epoch": 10**12}), ["trainer.steps_per_epoch=1000000000000", "1e+06"]),
    (change(trainer={"epochs": 2**20 + 1}), ["trainer.epochs=1048577", "1e+06"]),
    (change(data={"image_size": 0}), ["data.image_size=0", "8192"]),
    (change(data={"image_size": [64, 8193]}), ["data.image_size=[64,8193]", "8192"]),
    (change(data={"image_size": [64, 64, 3]}), ["data.image_size=[64,64,3]"]),
    (change(data={"image_size": "big"}), ["data.image_size=big"]),
    ({"name": "../up"}, ["name=../up"]),
    ({"name": ".hidden"}, ["name=.hidden"]),
    (
        {"model": {"name": "segmenter", "head": "decoder", "encoder": "cnn", "loss": {"focal": float("nan")}}},
        ["model.loss=", "weights of 0 or more"],
    ),
    ({"model": [1]}, ["model=[1]"]),
    ({"modle": {}}, ["modle", "model, mode, data"]),
    (
        {"model": {"name": "yolo", "task": "detection", "backbone": "darknet", "head": "grid", "filters": []}},
        ["model.filters=[]"],
    ),
]


@pytest.mark.parametrize(("sections", "words"), REFUSED)
def test_an_invalid_value_is_refused_in_one_line_that_names_it(sections: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        read_config({"model": CNN, **sections})
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


# Values that only the task can check.
@pytest.mark.parametrize(("sections", "words"), [
    (change(trainer={"monitor": "val/acuracy"}), ["trainer.monitor=val/acuracy", "val/accuracy"]),
    (change(data={"tasks": ["segmentation"]}), ["classification", "segmentation"]),
    (change(data={"image_size": 8}, model={"name": "resnet"}), ["data.image_size=8", "32"]),
])  # fmt: skip
def test_a_value_that_the_task_does_not_support_is_refused_in_one_line_that_names_it(
    sections: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        tasks.config_of({"model": CNN, **sections})
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize("content", [None, "x", [1]])
def test_a_config_without_keys_is_refused(content: Any) -> None:
    with pytest.raises(UserError, match="the config has no keys"):
        read_config(content)


def test_a_config_without_a_model_is_refused() -> None:
    with pytest.raises(UserError, match=r"invalid model\.name=null"):
        read_config({"seed": 1})


def test_values_are_converted_to_the_types_of_the_schema() -> None:
    built = read_config({"optimizer": {"lr": 1}, "model": {**CNN, "filters": [8]}})
    assert isinstance(built.optimizer.lr, float)
    assert built.model.backbone_options.filters == [8]


def test_each_choice_has_its_own_dataclass() -> None:
    chosen = {"mode": {"name": "finetune", "freeze": 0.5}, "optimizer": {"name": "sgd", "momentum": 0.5},
              "schedule": {"name": "cosine", "warmup_epochs": 2}}  # fmt: skip
    built = read_config({"model": CNN, **chosen})
    assert built.mode == Finetune(freeze=0.5)
    assert built.optimizer == Sgd(momentum=0.5)
    assert built.schedule == Cosine(warmup_epochs=2.0)
    assert read_config({"model": CNN, "optimizer": {"name": "adamw"}}).optimizer == AdamW(weight_decay=0.01)
    assert read_config({"model": CNN, "mode": {"name": "feature_extractor"}}).mode == FeatureExtractor()
    assert read_config({"model": CNN}).mode == Scratch()


def test_keys_of_another_choice_are_left_out() -> None:
    built = read_config(
        {"model": CNN, "mode": {"name": "scratch", "backbone_lr": 0.5}, "schedule": {"name": "cosine", "every": 3}}
    )
    mapping = as_mapping(built)
    assert mapping["mode"] == {"name": "scratch"}
    assert "every" not in mapping["schedule"]


def test_interpolations_of_omegaconf_configs_are_resolved() -> None:
    composed = OmegaConf.create({"model": {**CNN, "lr": 0.5}, "optimizer": {"lr": "${model.lr}"}, "seed": 3})
    built = read_config(composed)
    assert (built.optimizer.lr, built.seed) == (0.5, 3)
    with pytest.raises(UserError, match=r"optimizer.lr: ") as caught:
        read_config(OmegaConf.create({"optimizer": {"lr": "${model.nothing}"}}))
    assert "\n" not in str(caught.value)


def test_a_written_config_is_read_back_unchanged() -> None:
    before = Config(
        model_config("yolo"), Finetune(weights="a/run", freeze="stage2", batch_norm="frozen"), seed=7,
        optimizer=Sgd(lr=0.5, momentum=0.25), schedule=Cosine(warmup_epochs=1.5), name="some",
    )  # fmt: skip
    assert read_config(as_mapping(before)) == before
