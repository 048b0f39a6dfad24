"""Typed configs as conf/ has them, with changes, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from cvlib.config.schema import Config, ModelConfig
from cvlib.models.options import read_model

CONF = Path(__file__).parents[1] / "conf"


def shipped_model(name: str) -> dict[str, Any]:
    """Return the keys of `model=name` as they ship, without what it chooses among other groups or by regime."""
    content: dict[str, Any] = yaml.safe_load((CONF / "model" / f"{name}.yaml").read_text())
    return {key: value for key, value in content.items() if key != "defaults" and "${" not in str(value)}


def model_config(name: str = "cnn", **changes: Any) -> ModelConfig:
    """Return the shipped options of `model=name`, with changes."""
    return read_model({**shipped_model(name), **changes})


def config(name: str = "cnn", *, mode: Any = None, data: Any = None, augment: Any = None, optimizer: Any = None,
           schedule: Any = None, trainer: Any = None, seed: int = 0, run: str | None = None,
           output_root: str = "outputs",
           **changes: Any) -> Config:  # fmt: skip
    """Return a whole config: the model as `model_config`, other groups as given or by their dataclasses' defaults."""
    groups = {"mode": mode, "data": data, "augment": augment, "optimizer": optimizer, "schedule": schedule,
              "trainer": trainer}  # fmt: skip
    given = {key: value for key, value in groups.items() if value is not None}
    return Config(model_config(name, **changes), **given, seed=seed, name=run, output_root=output_root)
