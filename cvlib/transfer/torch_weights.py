"""Weights of torchvision and timm: state dicts in `.pth` or `.safetensors` files. Doesn't import Keras."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cvlib.config.fields import word
from cvlib.config.schema import ModelConfig
from cvlib.models import backbones, safetensors_file, torch_file
from cvlib.models.torch_names import TorchNames, module_of
from cvlib.runtime.errors import UserError

KINDS = (".safetensors", ".pth", ".pt", ".bin")
_PREFIXES = ("module.", "_orig_mod.")  # of networks that were trained on several GPUs, or compiled


def read(file: Path, config: ModelConfig, source: str) -> tuple[dict[str, np.ndarray], TorchNames]:
    """Return the tensors of a file by name, and the naming that they follow.

    Raises `UserError` for a file that can't be read, for one of another architecture or size, and for one that needs
    another `model.convention`. If other options would fit, the message names the overrides.
    """
    try:
        tensors = safetensors_file.read(file)[0] if file.suffix == ".safetensors" else torch_file.read_any(file)
    except UserError as error:
        raise UserError(f"mode.weights={source}: {error}") from error
    for prefix in _PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    names, changes = _naming(tensors, config, source)
    convention = _convention(names, file, config, source)
    if convention != getattr(config.backbone_options, "convention", convention):
        changes["convention"] = convention
    if changes:
        overrides = " ".join(f"model.{key}={word(value)}" for key, value in changes.items())
        reason = ("is of a network with other paddings, strides or pixels" if "convention" in changes
                  else "is of another size") + " than this run's base"  # fmt: skip
        raise UserError(f"mode.weights={source} {reason}: set {overrides}, or choose other weights")
    return tensors, names


def _naming(stored: Mapping[str, np.ndarray], config: ModelConfig, source: str) -> tuple[TorchNames, dict[str, Any]]:
    """Return the naming that fits, and the options that must change for it."""
    backbone = backbones.get(config.backbone)
    known = backbone.torch_names(config.backbone_options)
    if not known:
        able = [other.name for other in backbones.usable() if other.torch_names(other.options())]
        raise UserError(f"mode.weights={source}: model={config.backbone} takes no weights of PyTorch: choose one of "
                        f"{', '.join(able)}, or a .keras or .h5 file")  # fmt: skip
    for options, changes in [(config.backbone_options, {}), *other_options(config)]:
        for names in backbone.torch_names(options):
            if not _difference(stored, names):
                return names, changes
    nearest = min(known, key=lambda names: len(_difference(stored, names)))
    differing = _difference(stored, nearest)
    if differing[0] in nearest.channels and any(module_of(name) == differing[0] for name in stored):
        problem = f"doesn't have {nearest.channels[differing[0]]} channels"
    else:
        problem = (
            "is missing" if differing[0] in nearest.modules.values() else f"has no place in model={config.backbone}"
        )
    raise UserError(f"mode.weights={source} has a different architecture: {differing[0]} {problem} ({len(differing)} "
                    "modules differ); choose weights of the same architecture")  # fmt: skip


def _difference(stored: Mapping[str, np.ndarray], names: TorchNames) -> list[str]:
    """Return the modules that differ: those that the base lacks, that the file lacks, and that have another width."""
    inside, wanted = {module_of(name) for name in names.without_top(list(stored))}, set(names.modules.values())
    others = [module for module, count in names.channels.items() if module in inside
              and (f"{module}.weight" not in stored or stored[f"{module}.weight"].shape[:1] != (count,))]  # fmt: skip
    return [*sorted(inside - wanted), *sorted(wanted - inside), *others]


def other_options(config: ModelConfig) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield other options that decide the shapes, and what differs in them."""
    own = config.backbone_options
    keys = [item for item in dataclasses.fields(own) if item.metadata.get("choices")
            and item.name != "convention" and item.name in backbones.get(config.backbone).shape_options]  # fmt: skip
    for values in itertools.product(*([value for value in item.metadata["choices"] if value is not None]
                                      for item in keys)):  # fmt: skip
        changed = {item.name: value for item, value in zip(keys, values, strict=True)
                   if value != getattr(own, item.name)}  # fmt: skip
        yield dataclasses.replace(own, **changed), changed


def _convention(names: TorchNames, file: Path, config: ModelConfig, source: str) -> str:
    """Return the `model.convention` of the network that the file belongs to."""
    path = str(file.absolute())
    needed = next((convention for text, convention in names.conventions.items() if text in path), None)
    if needed is None:
        told = " or ".join(f"{text}{getattr(config.backbone_options, 'variant', '')} (model.convention={convention})"
                           for text, convention in names.conventions.items())  # fmt: skip
        raise UserError(f"mode.weights={source}: two networks of timm have these names, and they pad images "
                        f"differently: rename the file so that its name begins with {told}")  # fmt: skip
    return needed


def left_out(tensors: Mapping[str, np.ndarray], names: TorchNames) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors after the base, by names such as fc/weight."""
    return {name.replace(".", "/"): tensor.shape for name, tensor in tensors.items() if name.startswith(names.top)}
