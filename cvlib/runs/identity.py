"""Which runs are the same: a hash of everything in a config that decides a run's result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cvlib.runtime import hardware

if TYPE_CHECKING:
    from cvlib.config.schema import Config

# Where a run goes and what it is called; they don't belong to the experiment.
NOT_THE_EXPERIMENT = ("name", "output_root")
# Keys that came later: with this value a run is the same as without the key.
_AS_WITHOUT: dict[str, dict[str, Any]] = {
    "model": {"label_smoothing": 0.0},
    "data": {"range": None, "folds": None, "fold": 0, "group": None, "merge": None, "sampling": "all"},
    "trainer": {"kept_epoch": "best"},
}
# Keys that had another name, under which runs are hashed as before: group → name → earlier name.
_EARLIER_NAMES: dict[str, dict[str, str]] = {"model": {"neck_channels": "neck"}}
# What changes how a run is computed, but not what comes out.
_NO_RESULT = {"data": ("cache", "cache_gb"), "mode": ("cache_gb",), "trainer": ("checkpoint_every", "profile_steps")}


def identity(mapping: Mapping[str, Any]) -> str:
    """Return 16 hex digits that are equal for configs that ask for the same run.

    `mapping` is nested as in config.yaml, with `trainer.precision` resolved: `auto` depends on the machine.
    """
    content = _named({key: _deciding(key, value) for key, value in mapping.items() if key not in NOT_THE_EXPERIMENT})
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _named(value: Any) -> Any:
    """Return the value with text for every key, whatever a damaged file has there."""
    if isinstance(value, Mapping):
        return {str(key): _named(inner) for key, inner in value.items()}
    return [_named(inner) for inner in value] if isinstance(value, list | tuple) else value


def _deciding(group: str, value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    left_out, later = _NO_RESULT.get(group, ()), _AS_WITHOUT.get(group, {})
    earlier = _EARLIER_NAMES.get(group, {})
    return {earlier.get(key, key): inner for key, inner in value.items()
            if key not in left_out and not (key in later and inner == later[key])}  # fmt: skip


def identity_of(config: Config) -> str:
    """Return the identity of a typed config, with what `auto` comes to on this machine."""
    from cvlib.config.schema import as_mapping  # brings OmegaConf, which reading runs does without

    mapping = as_mapping(config)
    trainer = mapping["trainer"] | {"precision": hardware.precision(config.trainer.precision, config.model.depthwise)}
    return identity(mapping | {"trainer": trainer})
