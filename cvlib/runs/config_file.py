"""Write the config.yaml of a run's folder, and read it quickly, because a comparison reads it for every run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml


def read_config(path: Path) -> dict[str, Any]:
    """Return the nested mapping in a run's config.yaml; callers must not change it, because parts of it are shared.

    Raises `OSError`, `UnicodeDecodeError`, `yaml.YAMLError` or `ValueError` if the file can't be read as a mapping.
    """
    config = _load_yaml(regular(path).read_text(encoding="utf-8"))
    if not isinstance(config, dict) or not all(isinstance(key, str) for key in config):
        raise ValueError(f"{path} is not a mapping")
    return config


def to_yaml(mapping: Mapping[str, Any]) -> str:
    """Return the text of config.yaml for a nested mapping."""
    return str(yaml.safe_dump(plain(mapping), sort_keys=False))


def plain(value: Any) -> Any:
    """Return mappings and sequences as plain dicts and lists, for YAML."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def regular(path: Path) -> Path:
    """Return the path; raise `OSError` if it isn't a regular file, because reading a pipe or a device may never end."""
    if not path.is_file():
        raise OSError(f"{path} is not a regular file")
    return path


def _load_yaml(text: str) -> Any:
    """Parse YAML block by block and cache the blocks, because the runs of a sweep share most of them."""
    try:
        merged: dict[str, Any] = {}
        for block in re.split(r"^(?=[A-Za-z_])", text, flags=re.MULTILINE):
            merged.update(_load_block(block) or {})
        return merged
    except (yaml.YAMLError, ValueError, TypeError):
        return yaml.load(text, _yaml_loader())


@lru_cache(maxsize=4096)
def _load_block(text: str) -> Any:
    return yaml.load(text, _yaml_loader())


def _yaml_loader() -> Any:
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C loader takes a tenth of the time
