"""Find the choices for each group of the config, without Hydra.

A choice is called an answer: the file `conf/GROUP/ANSWER.yaml`, selected with `GROUP=ANSWER`, such as `model=resnet`.
A `conf/` in the user's working directory adds the user's own answers, which take precedence over those of cvlib.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

_PACKAGE = Path(__file__).resolve().parents[1]
STUDY = "experiment"  # the group of the studies


def _beside_or_within(name: str) -> Path:
    """Return a folder of cvlib: next to run.py in a checkout, inside the package if it is installed."""
    within = _PACKAGE / name
    return within if within.is_dir() else _PACKAGE.parent / name


CONF = _beside_or_within("conf")
EXPERIMENTS = _beside_or_within("experiments")


def own() -> Path | None:
    """Return the user's own `conf/` in the working directory, or None if there is none."""
    folder = Path.cwd() / "conf"
    return folder if folder.is_dir() and folder.resolve() != CONF else None


def folders(group: str) -> list[Path]:
    """Return the folders with the answers of a group, the user's own first."""
    candidates = [conf / group for conf in (own(), CONF) if conf is not None]
    return [folder for folder in [*candidates, *([EXPERIMENTS] if group == STUDY else [])] if folder.is_dir()]


def choices(group: str) -> list[str]:
    """Return the names of a group's answers, sorted."""
    return sorted({path.stem for folder in folders(group) for path in folder.glob("*.yaml")})


def keys(group: str, answer: str) -> list[str]:
    """Return the keys that an answer's files list, and the keys common to all answers of its group."""
    files = [folder / f"{answer}.yaml" for folder in folders(group)] + [CONF / "common" / f"{group}.yaml"]
    return list(dict.fromkeys(key for file in files if file.is_file() for key in _read(file) if key != "defaults"))


def owners(group: str, key: str) -> list[str]:
    """Return the answers of a group that have a key."""
    return [answer for answer in choices(group) if key in keys(group, answer)]


@cache
def datasets() -> dict[str, tuple[str, ...]]:
    """Return the values of `data=`, each with the tasks that it has labels for."""
    found: dict[str, tuple[str, ...]] = {}
    for folder in reversed(folders("data")):
        found |= {file.stem: tuple(_read(file).get("tasks", ())) for file in folder.glob("*.yaml")}
    return found


def value(group: str, answer: str, key: str) -> Any:
    """Return the value of a key in an answer's own file, or None if the file doesn't have the key."""
    file = next((folder / f"{answer}.yaml" for folder in folders(group) if (folder / f"{answer}.yaml").is_file()), None)
    return None if file is None else _read(file).get(key)


def defaults() -> dict[str, Any]:
    """Return the content of config.yaml."""
    return _read(CONF / "config.yaml")


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return content
