"""The run that `mode.weights` names: which images it was trained and tested on."""

from __future__ import annotations

from collections.abc import Mapping
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
    return earlier.splits if same_data(as_mapping(config)["data"], earlier.config.get("data") or {}) else None


def same_data(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Return whether two data configs name the same images, however their path is written."""

    def place(data: Mapping[str, Any]) -> list[Any]:
        path = data.get("path")
        return [data.get("name"), Path(path).expanduser().resolve() if path else None, data.get("tfds")]

    return place(first) == place(second)
