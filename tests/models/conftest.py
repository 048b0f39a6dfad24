"""One config per architecture, as conf/ has it, small where size doesn't matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cvlib.config.schema import ModelConfig

CONF = Path(__file__).parents[2] / "conf" / "model"


def config_of(name: str, **changes: Any) -> ModelConfig:
    """The shipped config of an architecture, with changes."""
    return ModelConfig(**{**yaml.safe_load((CONF / f"{name}.yaml").read_text()), **changes})


@pytest.fixture(autouse=True)
def fresh_session() -> None:
    import keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
