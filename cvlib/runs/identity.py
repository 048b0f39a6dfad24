"""The identity of a run: a hash of everything in its config that affects the result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cvlib.runtime import hardware

if TYPE_CHECKING:
    from cvlib.config.schema import Config

# The name and the output folder of a run, which don't belong to the experiment.
NOT_THE_EXPERIMENT = ("name", "output_root")
# Keys that were added later: with this value, a run has the same identity as without the key.
_LATER_DEFAULTS: dict[str, dict[str, Any]] = {
    "model": {"label_smoothing": 0.0, "thresholds": None, "temperature_scaling": True, "size": "n"},
    "data": {
        "range": None,
        "folds": None,
        "fold": 0,
        "group": None,
        "merge": None,
        "sampling": "all",
        "verify": "quick",
        "tiles": None,
        "tile_overlap": 0.25,
    },
    "augment": {
        "rand_operations": 0,
        "rand_magnitude": 0.3,
        "erase": 0.0,
        "mixup": 0.0,
        "cutmix": 0.0,
        "mosaic_until": 1.0,
    },
    "mode": {"keep_classes": True, "layer_decay": 1.0, "unfreeze": None},
    "trainer": {
        "kept_epoch": "best",
        "ema": None,
        "keep_state": True,
        "minutes": None,
        "accumulate": 1,
        "test": True,
        "devices": 1,
        "remat": False,
    },
}
# Renamed keys, as group → name → earlier name. Runs are hashed with the earlier name, so that their identity stays the
# same.
_EARLIER_NAMES: dict[str, dict[str, str]] = {"model": {"neck_channels": "neck"}}
# Keys that change how a run is computed, but not its result.
_IRRELEVANT_KEYS = {
    "data": ("cache", "cache_gb", "verify"),
    "mode": ("cache_gb",),
    "trainer": ("checkpoint_every", "keep_state", "profile_steps", "coordinator", "processes"),
}


def is_later_default(key: str, value: Any) -> bool:
    """Return whether `key`, such as "data.range", was added later and has the value that a run without it had."""
    group, _, name = key.partition(".")
    later = _LATER_DEFAULTS.get(group, {})
    return name in later and later[name] == value


def identity(mapping: Mapping[str, Any]) -> str:
    """Return 16 hex digits that are equal for configs of the same run.

    `mapping` is nested as in config.yaml, with `trainer.precision` resolved, because `auto` depends on the machine.
    """
    content = {key: _relevant(key, value) for key, value in mapping.items() if key not in NOT_THE_EXPERIMENT}
    content = _with_text_keys(content)
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _with_text_keys(value: Any) -> Any:
    """Return the value with all keys as text, because a damaged file may have other keys."""
    if isinstance(value, Mapping):
        return {str(key): _with_text_keys(inner) for key, inner in value.items()}
    return [_with_text_keys(inner) for inner in value] if isinstance(value, list | tuple) else value


def _relevant(group: str, value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    left_out, later = _IRRELEVANT_KEYS.get(group, ()), _LATER_DEFAULTS.get(group, {})
    earlier = _EARLIER_NAMES.get(group, {})
    return {earlier.get(key, key): inner for key, inner in value.items()
            if key not in left_out and not (key in later and inner == later[key])}  # fmt: skip


def identity_of(config: Config) -> str:
    """Return the identity of a typed config, with `precision=auto` resolved on this machine."""
    from cvlib.config.schema import as_mapping  # imports OmegaConf, which reading runs doesn't need

    mapping = as_mapping(config)
    trainer = mapping["trainer"] | {"precision": hardware.precision(config.trainer.precision, config.model.depthwise)}
    return identity(mapping | {"trainer": trainer})
