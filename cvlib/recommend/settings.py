"""The numbers behind a recommendation, read from conf/recommend/default.yaml."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import yaml

from cvlib.config import answers
from cvlib.config.fields import Options, option, typed
from cvlib.runtime.errors import UserError


@dataclass
class Settings(Options):
    """The numbers of one recommendation; conf/recommend/default.yaml explains them."""

    minutes: float = option(30.0, low=0.1, high=1e5)
    rank_share: float = option(0.25, low=0, high=1)
    rank_images: int = option(2000, low=10)
    rank_images_per_second: float = option(60.0, low=0.01)
    folds: int = option(5, low=2)
    neighbours: int = option(5, low=1)
    race_share: float = option(0.35, low=0, high=1)
    shortest: float = option(20.0, low=1)
    overhead: float = option(15.0, low=0)
    keep: int = option(3, low=2)
    small: int = option(48, low=0)
    epochs: int = option(20, low=1)
    race_epochs: int = option(6, low=0)
    smallest_side: int = option(128, low=32)
    finalists: int = option(2, low=1)
    most_seeds: int = option(5, low=1)
    alpha: float = option(0.05, low=1e-6, high=0.5)
    reserve: float = option(0.07, low=0, high=0.5)
    tasks: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Templates:
    """The candidates of a task, as overrides with placeholders."""

    base: tuple[str, ...]
    frozen: tuple[str, ...]
    trained: tuple[tuple[str, ...], ...]


def read() -> Settings:
    """Return the settings; raise `UserError` for a file that can't be read or has a value out of bounds."""
    file = next(folder / "default.yaml" for folder in answers.folders("recommend")
                if (folder / "default.yaml").is_file())  # fmt: skip
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{file} can't be read: {str(error).splitlines()[0]}") from None
    if not isinstance(content, dict):
        raise UserError(f"{file}: expected keys and values")
    known = {item.name for item in dataclasses.fields(Settings)}
    if unknown := set(content) - known:
        raise UserError(f"{file}: unknown key {sorted(unknown)[0]}; the keys are {', '.join(sorted(known))}")
    return typed(Settings, content, "recommend")


def templates(settings: Settings, task: str) -> Templates:
    """Return the candidates of a task; raise `UserError` if there are none."""
    found = settings.tasks.get(task)
    if not isinstance(found, dict) or not found.get("trained"):
        raise UserError(f"conf/recommend/default.yaml has no candidates for task={task}")
    return Templates(
        tuple(found["base"]), tuple(found.get("frozen") or ()), tuple(tuple(one) for one in found["trained"])
    )
