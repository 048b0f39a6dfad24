"""The schema and its cross-checks; every file of conf/ against them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from cvlib.config import checks
from cvlib.config import schema as config
from cvlib.config.schema import Config, limits
from cvlib.runtime.errors import UserError

CONF = Path(__file__).parents[2] / "conf"
GROUPS = ("model", "mode", "data", "augment", "optimizer", "schedule", "trainer")


def group_files() -> list[Path]:
    return [path for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]


@pytest.mark.parametrize("path", group_files(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_key_of_a_config_file_is_in_the_schema(path: Path) -> None:
    section = getattr(Config(), path.parent.name)
    known = {field.name for field in dataclasses.fields(section)}
    keys = set(yaml.safe_load(path.read_text())) - {"defaults"}
    assert keys <= known


@pytest.mark.parametrize("path", group_files(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_config_file_is_named_after_what_it_configures(path: Path) -> None:
    if path.parent.name != "trainer":
        assert yaml.safe_load(path.read_text())["name"] == path.stem


def change(**sections: dict[str, Any]) -> dict[str, Any]:
    return dict(sections)


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        (change(trainer={"epochs": "ten"}), ["trainer.epochs", "ten"]),
        (change(trainer={"epochs": -3}), ["trainer.epochs=-3", "between 1"]),
        (change(trainer={"precision": "float8"}), ["trainer.precision=float8", "bfloat16"]),
        (change(trainer={"monitor": "val/acuracy"}), ["trainer.monitor=val/acuracy", "val/accuracy"]),
        (change(optimizer={"lr": 0}), ["optimizer.lr=0"]),
        (change(optimizer={"lrr": 0.1}), ["lrr"]),
        (change(data={"channels": 2}), ["data.channels=2", "1, 3 or null"]),
        (change(data={"fraction": 1.5}), ["data.fraction=1.5"]),
        (change(data={"val_fraction": 0.6, "test_fraction": 0.5}), ["val_fraction", "test_fraction"]),
        (change(data={"name": "folder"}), ["data.path"]),
        (change(data={"name": "tfds"}), ["data.tfds=", "TensorFlow Datasets"]),
        (change(data={"layout": "vocc"}), ["data.layout=vocc", "voc", "null"]),
        (change(data={"on_error": "ignore"}), ["data.on_error=ignore", "stop", "skip"]),
        (change(data={"tasks": ["segmentation"]}), ["classification", "segmentation"]),
        (change(data={"image_size": 8}, model={"minimum_size": 32}), ["data.image_size=8", "32"]),
        (change(mode={"weights": "imagenet"}), ["mode=scratch", "finetune"]),
        (change(mode={"name": "finetune"}), ["mode=finetune", "mode.weights"]),
        (change(mode={"name": "fine_tune"}), ["mode.name=fine_tune", "feature_extractor"]),
        (change(trainer={"profile_steps": [5, 2]}), ["trainer.profile_steps=[5, 2]", "first and the last"]),
        ({"seed": -1}, ["seed=-1"]),
        (change(data={"split_seed": -1}), ["data.split_seed=-1"]),
        (change(data={"batch_size": 10**12}), ["data.batch_size=1000000000000", "1e+06"]),
        (change(trainer={"steps_per_epoch": 10**12}), ["trainer.steps_per_epoch=1000000000000", "1e+06"]),
        (change(trainer={"epochs": 2**20 + 1}), ["trainer.epochs=1048577", "1e+06"]),
        (change(model={"minimum_size": 0}), ["model.minimum_size=0", "8192"]),
        ({"name": "../up"}, ["name=../up"]),
        (
            {"model": {"name": "yolo", "task": "detection", "filters": []}, "data": {"tasks": ["detection"]}},
            ["model.filters=[]", "model=yolo"],
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_that_names_it(sections: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        checks.from_composed(sections)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_values_are_converted_to_the_types_of_the_schema() -> None:
    built = checks.from_composed({"optimizer": {"lr": 1}, "model": {"filters": [8]}})
    assert isinstance(built.optimizer.lr, float)
    assert built.model.filters == [8]


def test_identity_depends_on_what_decides_the_result_only() -> None:
    base = Config()
    assert config.identity(base) == config.identity(dataclasses.replace(base, name="other", output_root="elsewhere"))
    assert config.identity(base) != config.identity(dataclasses.replace(base, seed=1))


@pytest.mark.parametrize(
    ("task", "asked", "own", "side"),
    [
        ("classification", None, (300, 200), 300),
        ("detection", None, (96, 96), 96),
        ("detection", None, (270, 360), 384),
        ("detection", None, (2000, 3000), 448),
        ("detection", None, (8, 8), 32),
        ("detection", 100, (96, 96), 100),
        ("segmentation", None, (8, 8), 32),
    ],
)
def test_a_detectors_input_is_a_multiple_of_its_strides(task, asked, own, side) -> None:
    changed = Config()
    changed.model.task, changed.model.minimum_size, changed.data.image_size = task, 32, asked
    assert config.input_side(changed, own) == side


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_the_datasets_that_an_error_lists_are_those_that_have_the_labels(task: str) -> None:
    having = [path.stem for path in (CONF / "data").glob("*.yaml") if task in yaml.safe_load(path.read_text())["tasks"]]
    assert sorted(having) == list(limits.DATASETS[task])
    with pytest.raises(UserError, match=r"data=coco \| digits"):
        checks.check(Config(config.ModelConfig(task=task), data=config.DataConfig(tasks=["classification"])))
