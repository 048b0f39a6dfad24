"""The sweeper and the resolvers, in the package where Hydra looks for plugins. `cvlib.sweeps` implements them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from omegaconf import OmegaConf

from cvlib.sweeps import folder_names, one_job, sweeper


def _by_mode(values: dict[str, Any], default: Any, *, _root_: Any) -> Any:
    """Return the value for the chosen regime: `${by_mode:{scratch:30},6}` is 30 with mode=scratch, otherwise 6."""
    return values.get(_root_.mode.name, default)


# Registered here because the processes of every launcher import this module.
_RESOLVERS: dict[str, Callable[..., Any]] = {
    "first": lambda *values: next(value for value in values if value is not None),
    "folder_name": folder_names.folder_name,
    "by_mode": _by_mode,
    "cores_per_job": one_job.cores_per_job,
}
for name, resolver in _RESOLVERS.items():
    OmegaConf.register_new_resolver(name, resolver, replace=True)


class ResumableSweeper(sweeper.ResumableSweeper):
    """`cvlib.sweeps.sweeper.ResumableSweeper`, as a subclass: Hydra accepts only classes defined in `hydra_plugins`."""
