"""Typed configs as `conf/` has them, with changes: small ones for tests, without Hydra."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cvlib import tasks
from cvlib.config.schema import Config, ModelConfig
from cvlib.models.options import read_model

CONF = Path(__file__).parents[1] / "conf"


def model_mapping(name: str = "cnn", **changes: Any) -> dict[str, Any]:
    """Return the `model` part of a config: conf/model/NAME.yaml with changes."""
    return {**yaml.safe_load((CONF / "model" / f"{name}.yaml").read_text(encoding="utf-8")), **changes}


def model_config(name: str = "cnn", **changes: Any) -> ModelConfig:
    """Return the typed options of conf/model/NAME.yaml with changes."""
    return read_model(model_mapping(name, **changes))


def mapping(
    name: str = "cnn", *, mode: Mapping[str, Any] | None = None, data: Mapping[str, Any] | None = None,
    trainer: Mapping[str, Any] | None = None, **model_changes: Any,
) -> dict[str, Any]:  # fmt: skip
    """Return a config as nested dicts, in the form of config.yaml; what isn't given has the schema's default.

    `data.tasks` is the model's task unless it is given.
    """
    model = model_mapping(name, **model_changes)
    given = {"mode": mode, "data": {"tasks": [model["task"]], **(data or {})}, "trainer": trainer}
    return {"model": model, **{group: dict(values) for group, values in given.items() if values}}


def config(
    name: str = "cnn", *, mode: Mapping[str, Any] | None = None, data: Mapping[str, Any] | None = None,
    trainer: Mapping[str, Any] | None = None, **model_changes: Any,
) -> Config:  # fmt: skip
    """Return the typed and checked config of `mapping`."""
    return tasks.config_of(mapping(name, mode=mode, data=data, trainer=trainer, **model_changes))
