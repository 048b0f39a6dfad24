"""What labels mean, a folder for each task; `of(name)` finds one. Needs no Keras."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from cvlib.config import answers
from cvlib.config.fields import require
from cvlib.config.schema import Config, ModelConfig
from cvlib.models import backbones, heads
from cvlib.models.options import read_config
from cvlib.runtime.errors import UserError
from cvlib.tasks.base import Task


def names() -> list[str]:
    """Return the names of all tasks: the folders here."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)


def of(name: str) -> Task:
    """Return the task of that name; raise `UserError` where there is none."""
    if name not in names():
        raise UserError(f"invalid task={name}: expected one of {', '.join(names())}")
    task: Task = import_module(f"{__name__}.{name}").TASK
    return task


def of_config(config: Config) -> Task:
    """Return the task of a run."""
    return of(config.model.task)


def config_of(mapping: Any) -> Config:
    """Return the typed config of a composed mapping; raise `UserError` for what can't make a run."""
    config = read_config(mapping)
    check(config)
    return config


def check(config: Config) -> None:
    """Raise `UserError` where network, data and training don't go together."""
    check_labels(config)
    model, task = config.model, of_config(config)
    if model.head not in task.heads:
        raise UserError(_unfit_head(model, task))
    require(monitor(config) in task.monitors(), "trainer.monitor", monitor(config),
            f"for {task.name} one of {', '.join(task.monitors())}")  # fmt: skip
    if config.trainer.patience is not None and config.trainer.kept_epoch == "last":
        raise UserError(f"trainer.patience={config.trainer.patience} waits for a better epoch, but this run keeps the "
                        "last one: add trainer.kept_epoch=best")  # fmt: skip
    _check_support(config, task)
    _check_image_size(config)


def check_labels(config: Config) -> None:
    """Raise `UserError` where the data has no labels for the model's task."""
    task = of_config(config)
    if _has_labels(task, config.data.tasks):
        return
    able = [name for name, served in sorted(answers.datasets().items()) if _has_labels(task, served)]
    choose = f"choose data={' | '.join(able)}, or another model" if able else "choose another dataset or model"
    others = [name for name in names()
              if config.model.head in of(name).heads and _has_labels(of(name), config.data.tasks)]  # fmt: skip
    choose += f", or task={' | '.join(others)}" if others else ""
    raise UserError(f"model={config.model.name} does {task.name}, but data={config.data.name} has labels for "
                    f"{', '.join(config.data.tasks)} only: {choose}")  # fmt: skip


def _has_labels(task: Task, served: Sequence[str]) -> bool:
    """Whether data with labels for the tasks `served` has them for `task`: its own, or such as they are made of."""
    wanted = (task.label_kind, task.label_kind.made_from)
    return any(name == task.name or (name in names() and of(name).label_kind in wanted) for name in served)


def _unfit_head(model: ModelConfig, task: Task) -> str:
    """The message where the model's head doesn't do the task: another model's, or one that `model.head` names."""
    own = answers.value("model", model.name, "task")
    if own in (None, task.name):
        return (f"model.head={model.head} doesn't do {task.name}, the task of model={model.name}: choose one of "
                f"{', '.join(task.heads)}")  # fmt: skip
    able = [name for name in answers.choices("model") if answers.value("model", name, "head") in task.heads]
    return f"task={task.name} doesn't go with model={model.name}, which does {own}: choose model={' | '.join(able)}"


def _check_support(config: Config, task: Task) -> None:
    """Raise `UserError` for what the task can't do."""
    if config.augment.mosaic and not task.mosaic:
        able = ", ".join(name for name in names() if of(name).mosaic)
        raise UserError(f"augment.mosaic={config.augment.mosaic} is for {able}, but model={config.model.name} does "
                        f"{task.name}: set it to 0")  # fmt: skip
    if config.data.class_weights and not task.weighs_classes:
        able = ", ".join(name for name in names() if of(name).weighs_classes)
        raise UserError(f"data.class_weights={config.data.class_weights} is for {able}: leave it out for {task.name}")
    cached = str(getattr(config.mode, "cache_features", "auto")).lower()
    if cached == "true" and not task.caches_features:
        able = ", ".join(name for name in names() if of(name).caches_features)
        raise UserError(f"mode.cache_features=true is for {able}, but model={config.model.name} does {task.name}: "
                        "leave it at auto")  # fmt: skip


def _check_image_size(config: Config) -> None:
    asked, least = _asked_size(config), smallest_side(config)
    if asked is not None and min(asked) < least:
        raise UserError(f"data.image_size={_words(asked)} is too small: model={config.model.name} needs at least "
                        f"{least} pixels; raise it, or leave it out to have images resized")  # fmt: skip


def monitor(config: Config) -> str:
    """Return what the best epoch is chosen by: `trainer.monitor`, or the task's first."""
    return config.trainer.monitor or of_config(config).monitors()[0]


def resize(config: Config) -> str:
    """Return how images are brought to the network's size: `data.resize`, or what suits the task."""
    return config.data.resize or of_config(config).default_resize


def caches_features(config: Config) -> bool:
    """Return whether the task allows to compute a frozen base's features once."""
    return of_config(config).caches_features


def smallest_side(config: Config) -> int:
    """Return the smallest side in pixels that the network takes."""
    model = config.model
    return backbones.get(model.backbone).smallest_side(model.backbone_options, heads.get(model.head).feature_levels)


def input_size(config: Config, own: tuple[int, int]) -> tuple[int, int]:
    """Return height and width that images of `own` height and width are resized to.

    `data.image_size`, or else a square of their longer side, raised to what the backbone needs and to a multiple of
    what the head needs, and at most as large as suits the model or the task.
    """
    asked = _asked_size(config)
    if asked is not None:
        return asked
    step = heads.get(config.model.head).side_step(config.model.head_options)
    side = -(-max(smallest_side(config), *own) // step) * step
    limit = config.model.suited.largest_side or of_config(config).largest_default_side
    if limit is not None:
        side = max(step, min(side, limit // step * step))
    return side, side


def _asked_size(config: Config) -> tuple[int, int] | None:
    """Height and width of `data.image_size`, None where it is left out."""
    size = config.data.image_size
    if size is None:
        return None
    height, width = (size[0], size[-1]) if isinstance(size, list | tuple) else (size, size)
    return int(height), int(width)


def _words(size: tuple[int, int]) -> str:
    return str(size[0]) if size[0] == size[1] else f"[{size[0]},{size[1]}]"
