"""Typed configs for tests: those of conf/, with changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from cvlib.config.schema import Config, ModelConfig
from cvlib.models.options import read_model

CONF = Path(__file__).parents[1] / "conf"


def shipped_model(name: str) -> dict[str, Any]:
    """Return the keys of `model=name` from conf/, without defaults for other groups and regime-dependent values."""
    content: dict[str, Any] = yaml.safe_load((CONF / "model" / f"{name}.yaml").read_text())
    return {key: value for key, value in content.items() if key != "defaults" and "${" not in str(value)}


def model_config(name: str = "cnn", **changes: Any) -> ModelConfig:
    """Return the config of `model=name` from conf/, with changes."""
    return read_model({**shipped_model(name), **changes})


def config(name: str = "cnn", *, mode: Any = None, data: Any = None, augment: Any = None, optimizer: Any = None,
           schedule: Any = None, trainer: Any = None, seed: int = 0, run: str | None = None,
           output_root: str = "outputs",
           **changes: Any) -> Config:  # fmt: skip
    """Return a complete config: the model from `model_config`, other groups as given or with their default values."""
    groups = {"mode": mode, "data": data, "augment": augment, "optimizer": optimizer, "schedule": schedule,
              "trainer": trainer}  # fmt: skip
    given = {key: value for key, value in groups.items() if value is not None}
    return Config(model_config(name, **changes), **given, seed=seed, name=run, output_root=output_root)
