"""The run that `mode.weights` names: which images it was trained and tested on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cvlib.config.schema import Config, as_mapping
from cvlib.runs.run import read_run
from cvlib.transfer import regimes, sources


def splits(config: Config) -> dict[str, list[str]] | None:
    """Return the splits of the run that `mode.weights` names, if it was trained on the same images."""
    weights = regimes.initial_weights(config.mode)
    if weights in (None, sources.IMAGENET) or not Path(str(weights)).expanduser().is_dir():
        return None
    earlier = read_run(Path(str(weights)).expanduser())
    own = as_mapping(config)["data"]
    theirs = earlier.config.get("data", {})
    same = all(_resolved_path(own.get(key)) == _resolved_path(theirs.get(key)) for key in ("name", "path", "tfds"))
    return earlier.splits if same else None


def _resolved_path(value: Any) -> Any:
    return Path(value).expanduser().resolve() if isinstance(value, str) and "/" in value else value
