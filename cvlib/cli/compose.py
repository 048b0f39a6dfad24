"""The config that `python run.py` would make of overrides, for what isn't a run: `cvlib inspect`, a notebook."""

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
    """Return the config of overrides such as `model=resnet`; raises `UserError`, in one line, for a mistake in them."""
    return tasks.config_of(composed(overrides))


def composed(overrides: Sequence[str]) -> Any:
    """Return the same as Hydra makes it (an OmegaConf mapping), before it is checked against the schema."""
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
    """Return a run's data config changed by `data.…=…`, or the one that `data=…` among the overrides names.

    Raises `UserError` for an override of anything but the data, or a mistake in one.
    """
    keys = [override.split("=")[0] for override in overrides]
    for key, override in zip(keys, overrides, strict=True):
        if "=" not in override or (key != "data" and not key.startswith("data.")):
            raise UserError(f"{override}: a run is evaluated as it is, on other data where data=… or data.…=… say so")
    group = [] if "data" in keys else [f"data={config.data.name}"]
    composed_data = composed([f"model={config.model.name}", *group, *overrides]).data
    chosen: dict[str, Any] = OmegaConf.to_container(composed_data, resolve=True)  # type: ignore[assignment]
    whole = as_mapping(config)
    if group:
        chosen = whole["data"] | {key: chosen[key] for key in (key.removeprefix("data.") for key in keys)}
    # The network's own size and channels are what images are brought to.
    whole["data"] = chosen | {"image_size": None, "fraction": 1.0}
    changed = read_config(whole)
    tasks.check_labels(changed)
    return changed.data
