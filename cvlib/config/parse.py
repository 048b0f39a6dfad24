"""Convert a composed mapping to a typed config. Imports neither Hydra nor Keras."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cvlib.config import schema
from cvlib.config.fields import Options, require, typed, word
from cvlib.config.schema import Config, ModelConfig
from cvlib.runtime.errors import UserError

ReadModel = Callable[[Mapping[str, Any]], ModelConfig]
_MAX_BANDS = 512
_TOP = ("model", "mode", "data", "augment", "optimizer", "schedule", "trainer", "seed", "name", "output_root")


def parse(composed: Any, read_model: ReadModel) -> Config:
    """Return the typed config of a composed mapping, a dict or an OmegaConf mapping.

    Keys that the chosen answers don't use are left out. Raises a `UserError` that names the key for a wrong type, a
    value out of bounds, an invalid combination of values, or an answer that doesn't exist.
    """
    mapping = plain(composed)
    unknown = [key for key in mapping if key not in _TOP]
    if unknown:
        raise UserError(f"{unknown[0]}: there is no such key; choose from {', '.join(_TOP)}")
    groups = {key: _group(mapping, key) for key in _TOP[:7]}
    refuse_unknown("data", groups["data"], [schema.DataConfig])
    refuse_unknown("augment", groups["augment"], [schema.AugmentConfig])
    refuse_unknown("trainer", groups["trainer"], [schema.TrainerConfig])
    check_top(mapping)
    _refuse_values_as_names(groups["data"])
    config = Config(
        model=read_model(groups["model"]),
        mode=_answer("mode", groups["mode"], schema.MODES),
        data=typed(schema.DataConfig, groups["data"], "data"),
        augment=typed(schema.AugmentConfig, groups["augment"], "augment"),
        optimizer=_answer("optimizer", groups["optimizer"], schema.OPTIMIZERS),
        schedule=_answer("schedule", groups["schedule"], schema.SCHEDULES),
        trainer=typed(schema.TrainerConfig, groups["trainer"], "trainer"),
        seed=mapping.get("seed", 0),
        name=mapping.get("name"),
        output_root=mapping.get("output_root", "outputs"),
    )
    check(config)
    return config


def _refuse_values_as_names(values: Mapping[str, Any]) -> None:
    """Refuse class names that YAML reads as booleans, null or floats, because their spelling is lost."""
    names = values.get("classes")
    odd = [name for name in names if name is None or isinstance(name, bool | float)] if isinstance(names, list) else []
    if odd:
        shown = ", ".join("null" if name is None else str(name).lower() for name in odd)
        raise UserError(f"data.classes: {shown} is read as a value, not as a name: quote class names such as true, no, "
                        "null or 1e3: \"data.classes=['true','null','1e3']\"")  # fmt: skip


def plain(composed: Any) -> dict[str, Any]:
    """Return a composed config, a dict or an OmegaConf mapping, as nested dicts with interpolations resolved."""
    try:
        mapping: Any = OmegaConf.to_container(composed, resolve=True) if isinstance(composed, DictConfig) else composed
    except OmegaConfBaseException as error:
        raise UserError(f"{getattr(error, 'full_key', None) or 'config'}: {str(error).splitlines()[0]}") from None
    if not isinstance(mapping, dict):
        raise UserError("the config has no keys")
    return mapping


def _group(mapping: Mapping[str, Any], key: str) -> dict[str, Any]:
    group = mapping.get(key) or {}
    if not isinstance(group, dict):
        raise UserError(f"{key}={word(group)}: expected the keys of a group")
    return group


def _answer(group: str, values: Mapping[str, Any], kinds: Mapping[str, type[Any]]) -> Any:
    """Return the typed options of the answer named by `values["name"]`, or of the first answer if there is no name."""
    name = values.get("name", next(iter(kinds)))
    if name not in kinds:
        near = difflib.get_close_matches(str(name), list(kinds), n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(kinds)}"
        raise UserError(f"{group}={name}: there is no such {group}; {hint}")
    refuse_unknown(group, values, list(kinds.values()))
    return typed(kinds[name], values, group)


def refuse_unknown(
    group: str, values: Mapping[str, Any], kinds: list[type[Options]], also: tuple[str, ...] = ()
) -> None:
    """Raise `UserError` for a key that no answer of the group has; ignore keys that only another answer has."""
    known = {name for kind in kinds for name in kind.__dataclass_fields__} | set(also)
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise UserError(
                f"{group}.{key}: there is no such key" + (f"; did you mean {group}.{near[0]}?" if near else "")
            )


def check_top(mapping: Mapping[str, Any]) -> None:
    """Raise `UserError` for an invalid seed, name or output_root."""
    seed, name, root = mapping.get("seed", 0), mapping.get("name"), mapping.get("output_root", "outputs")
    require(type(seed) is int and 0 <= seed < 2**32, "seed", seed, f"a whole number from 0 to {2**32 - 1}")
    require(isinstance(root, str) and root != "", "output_root", root, "a folder")
    if name is not None and (not isinstance(name, str) or name.startswith(".") or set(name) & set("/\\\0")):
        raise UserError(f"invalid name={name}: expected a folder name without slashes or a leading dot")


def check(config: Config) -> None:
    """Raise `UserError` for the first invalid value or combination that the bounds of the fields don't cover."""
    data, steps = config.data, config.trainer.profile_steps
    _check_mode(config)
    require(config.optimizer.lr == schema.AUTO or isinstance(config.optimizer.lr, float), "optimizer.lr",
            config.optimizer.lr, "a number, or auto")  # fmt: skip
    devices = config.trainer.devices
    require(devices == schema.ALL or type(devices) is int, "trainer.devices", devices, "a whole number, or all")
    require(data.batch_size == schema.AUTO or type(data.batch_size) is int, "data.batch_size", data.batch_size,
            "a whole number, or auto")  # fmt: skip
    _check_image_size(data.image_size)
    held_out = data.val_fraction + data.test_fraction
    require(held_out < 1, "data.val_fraction + data.test_fraction", held_out,
            "a sum below 1, so that some data is left for training")  # fmt: skip
    if data.name == "folder" and not data.path:
        raise UserError("data=folder needs data.path=…, the folder that holds the images")
    if data.name == "tfds" and not (data.tfds or data.path):
        raise UserError("data=tfds needs data.tfds=…, a dataset's name in TensorFlow Datasets, such as data.tfds=beans")
    require(data.channels in (None, 1, 3) or 4 <= (data.channels or 0) <= _MAX_BANDS, "data.channels", data.channels,
            "one of null, 1, 3, or the number of bands of TIFF images")  # fmt: skip
    if data.range is not None:
        require(len(data.range) == 2 and data.range[0] < data.range[1], "data.range", data.range,
                "the lowest and the highest value, such as [0,4095]")  # fmt: skip
    if steps is not None:
        require(len(steps) == 2 and 1 <= steps[0] <= steps[-1], "trainer.profile_steps", steps,
                "the first and the last step, such as [20,30]")  # fmt: skip


def _check_mode(config: Config) -> None:
    if not isinstance(config.mode, schema.Scratch) and getattr(config.mode, "weights", None) is None:
        raise UserError(
            f"mode={config.mode.name} needs weights to start from: mode.weights=imagenet, a weights file or a "
            "run's folder; to train from random weights use mode=scratch"
        )
    if isinstance(config.mode, schema.Finetune) and config.mode.unfreeze is not None:
        minutes = config.trainer.minutes
        require(minutes is None, "trainer.minutes", minutes, "null: mode.unfreeze needs a fixed number of epochs")
    if isinstance(config.mode, schema.Finetune) and (config.mode.freeze == "all" or config.mode.freeze is True):
        decay = config.mode.layer_decay
        require(config.mode.unfreeze is None, "mode.unfreeze", config.mode.unfreeze,
                "null, because mode.freeze=all leaves no block to unfreeze")  # fmt: skip
        require(decay == 1, "mode.layer_decay", decay, "1, because mode.freeze=all trains no block of the base")


def _check_image_size(size: Any) -> None:
    sides = size if isinstance(size, list | tuple) else [size]
    valid = all(type(side) is int and 1 <= side <= 8192 for side in sides) and len(sides) in (1, 2)
    require(size is None or valid, "data.image_size", size, "a side of 1 to 8192 pixels, or [height,width]")
