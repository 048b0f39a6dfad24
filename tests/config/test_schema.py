"""The schema compared with every file of conf/, and the content of config.yaml."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from cvlib.config import schema
from cvlib.config.fields import Options
from cvlib.config.schema import Config, DataConfig, Finetune, Scratch, TrainerConfig, as_mapping
from cvlib.models.options import read_config, read_model
from cvlib.runs.identity import identity
from tests.configs import CONF, model_config

GROUPS = ("model", "mode", "data", "augment", "optimizer", "schedule", "trainer")
SINGLE = {"data": schema.DataConfig, "augment": schema.AugmentConfig, "trainer": schema.TrainerConfig}
CHOICES: dict[str, Any] = {"mode": schema.MODES, "optimizer": schema.OPTIMIZERS, "schedule": schema.SCHEDULES}


def group_files() -> list[Path]:
    return [path for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]


def content(path: Path) -> dict[str, Any]:
    return {key: value for key, value in yaml.safe_load(path.read_text()).items() if key != "defaults"}


@pytest.mark.parametrize("path", group_files(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_key_of_a_config_file_is_in_the_schema(path: Path) -> None:
    group, values = path.parent.name, content(path)
    if group == "model":
        plain = {key: value for key, value in values.items() if "${" not in str(value)}
        model = read_model(plain)  # refuses keys that neither the backbone nor the head has
        suited = {one.name for one in dataclasses.fields(schema.Suited)}
        assert set(values) - set(plain) <= set(as_mapping(Config(model))["model"]) | suited
        return
    kind: type[Options] = SINGLE[group] if group in SINGLE else CHOICES[group][path.stem]
    assert set(values) <= {field.name for field in dataclasses.fields(kind)}


@pytest.mark.parametrize("path", group_files(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_name_in_a_config_file_is_its_file_name(path: Path) -> None:
    if path.parent.name != "trainer":
        assert content(path)["name"] == path.stem


@pytest.mark.parametrize("group", ["mode", "optimizer", "schedule"])
def test_every_choice_of_the_schema_has_a_file_of_the_same_name(group: str) -> None:
    assert sorted(path.stem for path in (CONF / group).glob("*.yaml")) == sorted(CHOICES[group])
    assert [kind().name for kind in CHOICES[group].values()] == list(CHOICES[group])


@pytest.mark.parametrize("group", CHOICES)
def test_a_file_and_the_schema_have_the_same_defaults(group: str) -> None:
    for name, kind in CHOICES[group].items():
        values = {key: value for key, value in content(CONF / group / f"{name}.yaml").items() if "${" not in str(value)}
        default = dataclasses.asdict(kind())
        assert values == {key: default[key] for key in values}


def test_a_config_becomes_a_mapping_of_plain_values() -> None:
    mapping = as_mapping(
        Config(model_config(), data=DataConfig(image_size=[12, 20]), seed=4, name="some", output_root="there")
    )
    assert list(mapping) == [*GROUPS, "seed", "name", "output_root"]
    assert mapping["mode"] == {"name": "scratch"}
    assert mapping["schedule"] == {"name": "constant", "warmup_epochs": 0.0}
    assert mapping["data"]["image_size"] == [12, 20]
    assert (mapping["seed"], mapping["name"], mapping["output_root"]) == (4, "some", "there")
    assert yaml.safe_load(yaml.safe_dump(mapping)) == mapping


def test_identity_depends_only_on_keys_that_affect_the_result() -> None:
    def of(filters: list[int] | None = None, **changes: Any) -> str:
        return identity(as_mapping(Config(model_config(filters=filters or [8]), **changes)))

    base = of()
    assert len(base) == 16 and int(base, 16) >= 0
    assert base == of(name="other", output_root="elsewhere")
    assert base == of(trainer=TrainerConfig(checkpoint_every=5), data=DataConfig(cache="memory"))
    others = [of(seed=1), of(filters=[4]), of(mode=Finetune()), of(data=DataConfig(fraction=0.5)),
              of(trainer=TrainerConfig(epochs=3)), of(mode=Finetune(freeze="all"))]  # fmt: skip
    assert len({base, *others}) == len(others) + 1


def test_unused_keys_do_not_change_the_identity() -> None:
    base = as_mapping(Config(model_config(), Scratch()))
    more = {**base, "mode": {"name": "scratch", "backbone_lr": 0.5}, "model": {**base["model"], "depth": 50}}
    assert identity(as_mapping(read_config(more))) == identity(base)
