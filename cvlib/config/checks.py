"""A composed config made a typed one, and what in it can't be, in words; imports neither Hydra nor TensorFlow."""

from __future__ import annotations

from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cvlib.config.schema import Config, caches_features, limits, monitor
from cvlib.runtime.errors import UserError


def from_composed(composed: Any) -> Config:
    """The typed config of a composed (Hydra or plain) mapping.

    Raises `UserError` naming the key for an unknown key, a wrong type or a value that can't be.
    """
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Config), _with_mode_defaults(composed))
        config = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        first_line = str(error).splitlines()[0]
        key = getattr(error, "full_key", None) or "config"
        raise UserError(f"{key}: {first_line}") from None
    assert isinstance(config, Config)
    check(config)
    return config


def _with_mode_defaults(composed: Any) -> Any:
    """Add what a mode means by itself and conf/mode/NAME.yaml doesn't list."""
    # CORE: replace by the defaults of a dataclass for each mode.
    if OmegaConf.select(OmegaConf.create(composed), "mode.name") != "feature_extractor":
        return composed
    return OmegaConf.merge({"mode": {"freeze": "all", "batch_norm": "frozen"}}, composed)


def check(config: Config) -> None:
    """Raise `UserError` at the first value, or set of values, that can't make a run."""
    _check_values(config)
    _check_task(config)
    _check_model(config)
    _check_mode(config)
    _check_data(config)
    _check_trainer(config)
    if config.name is not None and (config.name.startswith(".") or set(config.name) & set("/\\\0")):
        raise UserError(f"name={config.name} becomes a folder's name: leave out slashes and a dot in front")


def _check_values(config: Config) -> None:
    for key, allowed in limits.CHOICES.items():
        _require(_value(config, key) in allowed, key, _value(config, key), "one of " + ", ".join(map(_word, allowed)))
    for key, (low, high) in limits.RANGES.items():
        value = _value(config, key)
        if value is not None:
            _require(low <= value <= high, key, value, f"between {low:g} and {high:g}")


def _check_task(config: Config) -> None:
    """The task is the model's; the data must have labels for it, and nothing else may be of another one."""
    model, data = config.model, config.data
    if model.task not in data.tasks:
        others = limits.DATASETS.get(model.task)
        raise UserError(
            f"model={model.name} does {model.task}, but data={data.name} has labels for {', '.join(data.tasks)} only: "
            + (f"choose data={' | '.join(others)}, or another model" if others else "choose another dataset or model")
        )
    monitors = limits.MONITORS[model.task]
    _require(monitor(config) in monitors, "trainer.monitor", monitor(config),
             f"for {model.task} one of {', '.join(monitors)}")  # fmt: skip
    if model.task != "detection" and config.augment.mosaic:
        raise UserError(f"augment.mosaic={config.augment.mosaic} is for detection, but model={model.name} does "
                        f"{model.task}: set it to 0")  # fmt: skip


def _check_model(config: Config) -> None:
    model = config.model
    for key in ("model.filters", "model.dense"):
        widths = _value(config, key)
        _require(all(width >= 1 for width in widths), key, widths, "a list of whole numbers from 1 on")
    if not model.filters and model.task != "classification":
        raise UserError(f"model.filters=[] leaves the base of model={model.name} without a layer: give a width for "
                        "each stage, such as [16,32,64]")  # fmt: skip
    unknown = [name for name in model.loss if name not in limits.SEGMENTATION_LOSSES]
    if unknown:
        raise UserError(f"model.loss.{unknown[0]} can't be: a loss is a sum of {', '.join(limits.SEGMENTATION_LOSSES)}")
    if min(model.loss.values(), default=0) < 0 or not any(model.loss.values()):
        raise UserError(f"model.loss={model.loss} can't be: no weight may be below 0, and one must be above")


def _check_mode(config: Config) -> None:
    mode = config.mode
    if mode.name == "scratch" and mode.weights is not None:
        raise UserError(
            f"mode=scratch starts from random weights, so mode.weights={mode.weights} can't apply: "
            "use mode=finetune or mode=feature_extractor"
        )
    if mode.name != "scratch" and mode.weights is None:
        raise UserError(
            f"mode={mode.name} needs weights to start from: mode.weights=imagenet, a weights file or a "
            "run's folder; to train from random weights use mode=scratch"
        )
    if mode.cache_features.lower() == "true" and not caches_features(config):
        raise UserError(
            f"mode.cache_features=true needs a base that stays frozen whole, in classification, but this is "
            f"mode={mode.name} with mode.freeze={mode.freeze}, doing {config.model.task}: leave it at auto"
        )


def _check_data(config: Config) -> None:
    model, data = config.model, config.data
    _require(data.channels in (None, 1, 3), "data.channels", data.channels, "1, 3 or null")
    _require(
        data.val_fraction + data.test_fraction < 1,
        "data.val_fraction + data.test_fraction",
        data.val_fraction + data.test_fraction,
        "under 1, so that something is left to train on",
    )
    if data.image_size is not None and data.image_size < model.minimum_size:
        raise UserError(
            f"data.image_size={data.image_size} is too small: model={model.name} needs at least "
            f"{model.minimum_size} pixels; raise it, or leave it out to have images resized"
        )
    if data.name == "folder" and not data.path:
        raise UserError("data=folder needs data.path=…, the folder that holds the images")
    if data.name == "tfds" and not (data.tfds or data.path):
        raise UserError("data=tfds needs data.tfds=…, a dataset's name in TensorFlow Datasets, such as data.tfds=beans")


def _check_trainer(config: Config) -> None:
    steps = config.trainer.profile_steps
    if steps is not None:
        _require(len(steps) == 2 and 1 <= steps[0] <= steps[-1], "trainer.profile_steps", steps,
                 "the first and the last step, such as [20, 30]")  # fmt: skip


def _value(config: Config, key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _require(holds: bool, key: str, value: Any, allowed: str) -> None:
    if not holds:
        raise UserError(f"{key}={value} can't be: it must be {allowed}")


def _word(value: str | int | None) -> str:
    return "null" if value is None else str(value)
