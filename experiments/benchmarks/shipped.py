"""Read the typed configs of conf/, for benchmarks that don't use Hydra."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from cvlib.config.schema import AugmentConfig, ModelConfig
from cvlib.models.options import read_model

CONF = Path(__file__).parents[2] / "conf"


def model_config(name: str, **changes: Any) -> ModelConfig:
    """Return the options of `model=name`, with changes."""
    return read_model({**_values("model", name), **changes})


def augment_config(name: str) -> AugmentConfig:
    """Return the strengths of `augment=name`."""
    values = _values("augment", name)
    return AugmentConfig(**{one.name: values[one.name] for one in fields(AugmentConfig)})


def _values(group: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8"))
    return {key: value for key, value in found.items() if "${" not in str(value)}  # Hydra would resolve the others
