"""Compose the same config as `python run.py` from overrides, outside a run: for `cvlib inspect` or a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omegaconf import OmegaConf

from cvlib import tasks
from cvlib.cli import messages
from cvlib.config.answers import CONF
from cvlib.config.schema import Config, DataConfig, as_mapping
from cvlib.models.options import read_config
from cvlib.runtime.errors import UserError


def compose(overrides: Sequence[str]) -> Config:
    """Return the config for overrides such as `model=resnet`; raises `UserError` (one line) for invalid overrides."""
    return tasks.config_of(composed(overrides))


def composed(overrides: Sequence[str]) -> Any:
    """Return the config as Hydra composes it (an OmegaConf mapping), before it is checked against the schema."""
    import hydra

    from cvlib.cli import loader
    from cvlib.cli.quoting import quoted

    overrides = quoted(overrides)
    if not (CONF / "config.yaml").is_file():
        raise UserError(f"{CONF} has no config.yaml: this installation of cvlib is incomplete; install it again")
    loader.install()
    try:
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            return hydra.compose("config", list(overrides))
    except Exception as error:
        if not messages.is_hydra_error(error):
            raise
        raise UserError(messages.explain(error, list(overrides))) from None


def other_data(config: Config, overrides: Sequence[str]) -> DataConfig:
    """Return a run's data config changed by `data.…=…`, or the data config that an override `data=…` selects.

    Raises `UserError` for an invalid override, or one that isn't about the data.
    """
    keys = [override.split("=")[0] for override in overrides]
    for key, override in zip(keys, overrides, strict=True):
        if "=" not in override or (key != "data" and not key.startswith("data.")):
            raise UserError(f"{override}: only a run's data can be changed for evaluation, with data=… or data.…=…")
    group = [] if "data" in keys else [f"data={config.data.name}"]
    composed_data = composed([f"model={config.model.name}", *group, *overrides]).data
    chosen: dict[str, Any] = OmegaConf.to_container(composed_data, resolve=True)  # type: ignore[assignment]
    whole = as_mapping(config)
    if group:
        chosen = whole["data"] | {key: chosen[key] for key in (key.removeprefix("data.") for key in keys)}
    # Images are converted to the network's own size and channels.
    whole["data"] = chosen | {"image_size": None, "fraction": 1.0}
    changed = read_config(whole)
    tasks.check_labels(changed)
    return changed.data
