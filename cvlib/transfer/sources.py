"""Checks of a run's images and initial weights before anything is read or written. Doesn't import Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from cvlib.config.fields import require, word
from cvlib.config.schema import Config, ModelConfig
from cvlib.models import backbones
from cvlib.models.backbone import WeightsUnavailable
from cvlib.models.options import backbone_config
from cvlib.models.torch_names import KERAS
from cvlib.runs.summary import read_summary
from cvlib.runtime.errors import UserError
from cvlib.transfer import torch_weights
from cvlib.transfer.regimes import initial_weights

ALTERNATIVES = "set mode.weights=<a weights file> or mode.weights=<an earlier run's folder>, or train with mode=scratch"
_KINDS = (".keras", ".h5", ".hdf5", *torch_weights.KINDS)
IMAGENET = "imagenet"


def check(config: Config) -> None:
    """Raise `UserError` if the config's data or weights don't exist, or if the weights don't fit the model."""
    from cvlib.data import layouts

    layout = config.data.layout
    require(layout in (None, *layouts.LAYOUTS), "data.layout", layout, f"one of {', '.join(layouts.LAYOUTS)}, or null")
    if config.data.path is not None:
        layouts.place(config.data.path)
    weights, model = initial_weights(config.mode), config.model
    backbones.get(model.backbone).check(model.backbone_options, _size(config), weights == IMAGENET)
    if weights == IMAGENET:
        _check_imagenet(config)
    elif weights is not None:
        check_source(weights, config.model, _size(config))


def check_source(source: str, model: ModelConfig, size: tuple[int, int] | None) -> None:
    """Raise `UserError` if a file or a run's folder doesn't fit the model, as far as this is known without Keras.

    `size` is the height and width of the images; None: not known yet.
    """
    from cvlib.transfer import keras_config

    file, folder = weights_file(source, model), Path(source).expanduser()
    if file.suffix in torch_weights.KINDS:
        torch_weights.read(file, model, source)
    elif not folder.is_dir():
        keras_config.check(file, model, size, source)
    elif size is not None:
        keras_config.check_run_size(folder, (read_summary(folder) or {}).get("image_size"), model, size)


def _size(config: Config) -> tuple[int, int] | None:
    """Return the height and width of the images, if the config sets them."""
    size = config.data.image_size
    if size is None:
        return None
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _check_imagenet(config: Config) -> None:
    """Raise `UserError` if the backbone's ImageNet weights are not available and pretraining can't replace them.

    Pretraining on `data.pretrain_on` never replaces published weights, even if they are not installed yet.
    """
    published = backbones.get(config.model.backbone).source(IMAGENET)
    refuse_other_convention(config.model)
    if published is not None:
        published.check(config.model.backbone_options)
    elif config.data.pretrain_on is None:
        refuse_without_imagenet(config.model)


def refuse_other_convention(model: ModelConfig) -> None:
    """Raise `UserError` if the base is that of PyTorch's weights, because mode.weights=imagenet loads others."""
    if getattr(model.backbone_options, "convention", KERAS) != KERAS:
        raise UserError("mode.weights=imagenet loads weights for model.convention=keras: remove "
                        f"model.convention={model.backbone_options.convention}, or set mode.weights to a file of "  # type: ignore[attr-defined]
                        "torchvision or timm")  # fmt: skip


def refuse_without_imagenet(model: ModelConfig) -> None:
    """Raise `WeightsUnavailable` if no ImageNet weights were ever published for the model's backbone."""
    if backbones.get(model.backbone).source(IMAGENET) is None:
        raise WeightsUnavailable(
            f"mode.weights=imagenet: there are no ImageNet weights for {model.backbone}; {ALTERNATIVES}"
        )


def weights_file(source: str, model: ModelConfig) -> Path:
    """Return the file that `mode.weights` refers to: the file itself, or the network in a run's folder.

    Raises `UserError` if there is no such file, or if the run's base differs from that of `model`.
    """
    path = Path(source).expanduser()
    if not path.exists():
        raise UserError(f"mode.weights={source}: no such file or folder; {ALTERNATIVES}")
    file = _model_of_run(path, backbone_config(model)) if path.is_dir() else path
    if file.suffix not in _KINDS:
        raise UserError(f"mode.weights={source}: unknown file type; expected a .keras, .weights.h5, .h5, "
                        ".safetensors, .pth, .pt or .bin file")  # fmt: skip
    return file


def _model_of_run(folder: Path, base: ModelConfig) -> Path:
    summary = read_summary(folder)
    if summary is None:
        raise UserError(f"mode.weights={folder}: this folder is not a run (it has no summary.json); {ALTERNATIVES}")
    if summary.get("imported") or summary.get("ensemble"):
        raise UserError(f"mode.weights={folder}: this run holds imported predictions and no network; {ALTERNATIVES}"
                        if summary.get("imported") else
                        f"mode.weights={folder}: it holds the predictions of several runs and no network; "
                        f"{ALTERNATIVES}")  # fmt: skip
    model = _model_config(folder)
    family = model.get("encoder") or model.get("backbone") or summary.get("model")
    if family != base.backbone:
        model_name = f"model={summary.get('model')}" + (f" on {family}" if family != summary.get("model") else "")
        raise UserError(f"mode.weights={folder} was trained with {model_name}, but this run has the base of "
                        f"model={base.backbone}: choose a run with the same base")  # fmt: skip
    own, backbone = base.used_backbone_options, backbones.get(base.backbone)
    if "convention" in own:
        model = {"convention": KERAS, **model}  # an earlier version had no other
    differing = [key for key in backbone.shape_options if model.get(key) not in (None, own[key])]
    if differing:
        theirs = " ".join(f"'model.{key}={word(model[key])}'" for key in differing)
        ours = " ".join(f"model.{key}={word(own[key])}" for key in differing)
        raise UserError(f"mode.weights={folder}: that run's base differs from this run's base, which has {ours}: set "
                        f"{theirs} to match it, or choose another run")  # fmt: skip
    if not (folder / "model.keras").exists():
        if summary.get("status") == "completed":
            raise UserError(
                f"mode.weights={folder}: that run's model.keras is missing: restore it, or choose another run"
            )
        raise UserError(f"mode.weights={folder}: that run is {summary.get('status')} and has no model.keras yet: "
                        f"finish it first with hydra.run.dir={folder}")  # fmt: skip
    return folder / "model.keras"


def _model_config(folder: Path) -> dict[str, Any]:
    """Return the `model` part of a run's config; empty if the config can't be read."""
    try:
        content = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    model = content.get("model") if isinstance(content, dict) else None
    return model if isinstance(model, dict) else {}
