"""The config that `python run.py` would make of overrides, for what isn't a run: `cvlib inspect`, a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cvlib.cli import jobs as command
from cvlib.config import checks
from cvlib.config.schema import Config
from cvlib.runtime.errors import UserError

CONF = Path(__file__).resolve().parents[2] / "conf"  # lies beside run.py


def compose(overrides: Sequence[str]) -> Config:
    """The config of overrides such as `model=resnet`; raises `UserError` in one line for what can't be."""
    return checks.from_composed(composed(overrides))


def composed(overrides: Sequence[str]) -> Any:
    """The same as Hydra makes it (an OmegaConf mapping), before it is checked against the schema."""
    import hydra

    if not (CONF / "config.yaml").is_file():
        raise UserError(f"{CONF} has no config.yaml: overrides are understood in a checkout, where conf/ lies beside "
                        "run.py (pip install -e)")  # fmt: skip
    try:
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            return hydra.compose("config", list(overrides))
    except Exception as error:
        if not command.is_hydra_error(error):
            raise
        raise UserError(command.explain(error, CONF, list(overrides))) from None
