"""Functions that find a task by name and check that a config fits its task. Needs no Keras."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from cvlib.config import answers
from cvlib.config.fields import require
from cvlib.config.schema import Config, ModelConfig
from cvlib.data.input_spec import STRETCH, InputSpec
from cvlib.models import backbones, heads
from cvlib.models.options import read_config
from cvlib.runtime.errors import UserError
from cvlib.tasks.base import Task
from cvlib.tasks.thresholds import Rule, rule_of


def names() -> list[str]:
    """Return the names of all tasks. Each task is a folder of this package."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)


def of(name: str) -> Task:
    """Return the task with this name; raise `UserError` if it does not exist."""
    if name not in names():
        raise UserError(f"invalid task={name}: expected one of {', '.join(names())}")
    task: Task = import_module(f"{__name__}.{name}").TASK
    return task


def of_config(config: Config) -> Task:
    """Return the task of a run."""
    return of(config.model.task)


def config_of(mapping: Any) -> Config:
    """Return the typed and checked config of a composed mapping; raise `UserError` if it is invalid."""
    config = read_config(mapping)
    check(config)
    return config


def check(config: Config) -> None:
    """Raise `UserError` if the settings for network, data and training are incompatible."""
    check_labels(config)
    model, task = config.model, of_config(config)
    if model.head not in task.heads:
        raise UserError(_unsupported_head(model, task))
    require(monitor(config) in task.monitors(), "trainer.monitor", monitor(config),
            f"one of {', '.join(task.monitors())} for {task.name}")  # fmt: skip
    if config.trainer.patience is not None and config.trainer.kept_epoch == "last":
        raise UserError(f"trainer.patience={config.trainer.patience} waits for a better epoch, but this run keeps the "
                        "last one: add trainer.kept_epoch=best")  # fmt: skip
    threshold_rule(config)
    _check_support(config, task)
    _check_image_size(config)


def check_labels(config: Config) -> None:
    """Raise `UserError` if the data has no labels for the model's task."""
    task = of_config(config)
    if _has_labels(task, config.data.tasks):
        return
    suitable = [name for name, labelled in sorted(answers.datasets().items()) if _has_labels(task, labelled)]
    choose = f"choose data={' | '.join(suitable)}, or another model" if suitable else "choose another dataset or model"
    others = [name for name in names()
              if config.model.head in of(name).heads and _has_labels(of(name), config.data.tasks)]  # fmt: skip
    choose += f", or task={' | '.join(others)}" if others else ""
    raise UserError(f"model={config.model.name} does {task.name}, but data={config.data.name} has labels for "
                    f"{', '.join(config.data.tasks)} only: {choose}")  # fmt: skip


def _has_labels(task: Task, labelled: Sequence[str]) -> bool:
    """Return whether data labelled for the tasks `labelled` has labels for `task`, or can derive them from others."""
    kinds = (task.label_kind, task.label_kind.made_from)
    return any(name == task.name or (name in names() and of(name).label_kind in kinds) for name in labelled)


def _unsupported_head(model: ModelConfig, task: Task) -> str:
    """Return the message for a head that does not support the task; it names the cause, `task` or `model.head`."""
    own = answers.value("model", model.name, "task")
    if own in (None, task.name):
        return (f"model.head={model.head} doesn't support {task.name}, the task of model={model.name}: choose one of "
                f"{', '.join(task.heads)}")  # fmt: skip
    suitable = [name for name in answers.choices("model") if answers.value("model", name, "head") in task.heads]
    return (f"task={task.name} is not available for model={model.name}, which does {own}: choose "
            f"model={' | '.join(suitable)}")  # fmt: skip


def _check_support(config: Config, task: Task) -> None:
    """Raise `UserError` for settings that the task does not support."""
    if config.augment.mosaic and not task.mosaic:
        supported = ", ".join(name for name in names() if of(name).mosaic)
        raise UserError(f"augment.mosaic={config.augment.mosaic} is only for {supported}, but "
                        f"model={config.model.name} does {task.name}: set it to 0")  # fmt: skip
    if config.data.tiles is not None and not task.tiles:
        supported = ", ".join(name for name in names() if of(name).tiles)
        raise UserError(f"data.tiles={config.data.tiles} is only for {supported}, but model={config.model.name} does "
                        f"{task.name}: remove it")  # fmt: skip
    mixing = [name for name in ("mixup", "cutmix") if getattr(config.augment, name)]
    if mixing and not task.mixes:
        supported = ", ".join(name for name in names() if of(name).mixes)
        raise UserError(f"augment.{mixing[0]}={getattr(config.augment, mixing[0])} is only for {supported}, but "
                        f"model={config.model.name} does {task.name}: set {' and '.join(mixing)} to 0")  # fmt: skip
    cached = str(getattr(config.mode, "cache_features", "auto")).lower()
    if cached == "true" and not task.caches_features:
        supported = ", ".join(name for name in names() if of(name).caches_features)
        raise UserError(f"mode.cache_features=true is only for {supported}, but model={config.model.name} does "
                        f"{task.name}: set it to auto")  # fmt: skip
    if cached == "true" and mixing and config.augmentation is not None:
        raise UserError(f"mode.cache_features=true doesn't work with augment.{mixing[0]}, which mixes two images: set "
                        "it to auto")  # fmt: skip


def _check_image_size(config: Config) -> None:
    size, minimum = _configured_size(config), smallest_side(config)
    if size is not None and min(size) < minimum:
        key = "data.tiles" if config.data.tiles else "data.image_size"
        raise UserError(f"{key}={_format_size(size)} is too small: model={config.model.name} needs at least "
                        f"{minimum} pixels; increase it, or leave it out to choose the size automatically")  # fmt: skip


def monitor(config: Config) -> str:
    """Return the metric that selects the best epoch: `trainer.monitor`, or the task's default."""
    return config.trainer.monitor or of_config(config).monitors()[0]


def threshold_rule(config: Config) -> Rule | None:
    """Return how thresholds are chosen on validation; None: the task's own rule. Raise `UserError` if it is invalid."""
    text = getattr(config.model.head_options, "thresholds", None)
    return None if text is None else rule_of(text)


def check_classes(config: Config, classes: int) -> None:
    """Raise `UserError` if a setting does not support this number of classes."""
    if threshold_rule(config) and not of_config(config).chooses_thresholds(classes):
        raise UserError(f"model.thresholds is only for two classes, or for task=multilabel, but there are {classes} "
                        "classes: leave it out")  # fmt: skip
    if monitor(config).endswith("top5_accuracy") and classes <= 5:
        raise UserError(f"trainer.monitor={monitor(config)} is always 1, because there are {classes} classes: choose "
                        "val/accuracy")  # fmt: skip


def scales_temperature(config: Config) -> bool:
    """Return whether a temperature is fitted on validation."""
    return bool(getattr(config.model.head_options, "temperature_scaling", False))


def resize(config: Config) -> str:
    """Return how images are resized to the network's size: `data.resize`, or the task's default."""
    default = STRETCH if config.data.tiles is not None else of_config(config).default_resize
    return config.data.resize or default


def caches_features(config: Config) -> bool:
    """Return whether the features of a frozen base may be computed once for this task."""
    return of_config(config).caches_features


def smallest_side(config: Config) -> int:
    """Return the smallest side in pixels that the network accepts."""
    model = config.model
    return backbones.get(model.backbone).smallest_side(model.backbone_options, heads.get(model.head).feature_levels)


def input_size(config: Config, own: tuple[int, int]) -> tuple[int, int]:
    """Return the height and width to which images with the height and width `own` are resized.

    This is `data.tiles` or `data.image_size` if set, or else the size that a classifier's backbone wants. Otherwise it
    is a square of the images' longer side, at least the backbone's smallest side, rounded up to a multiple of the
    head's step, and limited to the largest side for the model or task.
    """
    configured = _configured_size(config)
    if configured is None and not config.model.feature_levels:
        configured = backbones.get(config.model.backbone).default_size(config.model.backbone_options)
    if configured is not None:
        return configured
    step = heads.get(config.model.head).side_step(config.model.head_options)
    side = -(-max(smallest_side(config), *own) // step) * step
    limit = config.model.suited.largest_side or of_config(config).largest_default_side
    if limit is not None:
        side = max(step, min(side, limit // step * step))
    return side, side


def input_spec(
    config: Config, own: tuple[int, int], channels: int, span: tuple[float, float] | None = None
) -> InputSpec:  # fmt: skip
    """Return the network's input for images with the height and width `own`; for `span`, see `InputSpec`."""
    overlap = None if config.data.tiles is None else config.data.tile_overlap
    return InputSpec(*input_size(config, own), channels, resize(config), span=span, overlap=overlap)


def _configured_size(config: Config) -> tuple[int, int] | None:
    """Return the height and width of `data.image_size` or `data.tiles`, or None if neither is set."""
    size = config.data.tiles or config.data.image_size
    if size is None:
        return None
    height, width = (size[0], size[-1]) if isinstance(size, list | tuple) else (size, size)
    return int(height), int(width)


def _format_size(size: tuple[int, int]) -> str:
    return str(size[0]) if size[0] == size[1] else f"[{size[0]},{size[1]}]"
