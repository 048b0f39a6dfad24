"""The three regimes: which part of a network may change, when, and at which rate.

    scratch             one phase, everything learns
    feature_extractor   one phase, the whole base frozen
    finetune            the head alone for `head_epochs`, then the base from `freeze` on as well

A frozen layer keeps every one of its numbers: weights, BatchNorm's averages. It also works as in
inference: Keras gives that to a BatchNorm with `trainable=False`, but leaves Dropout active, so a
frozen Dropout's rate is set to 0 until the layer is unfrozen.
"""

from __future__ import annotations

import difflib
import hashlib
import math
from dataclasses import dataclass
from typing import Any

import keras

from cvlib.config.schema import ModeConfig
from cvlib.runtime.errors import RunFailed, UserError


@dataclass(frozen=True)
class Phase:
    """Epochs `start` to `end` (exclusive, from 0) in which the same layers learn."""

    start: int
    end: int
    freeze: Any  # as `mode.freeze`


def phases(mode: ModeConfig, epochs: int) -> list[Phase]:
    """The phases of a run; a head phase always leaves at least one epoch to what comes after it."""
    head = min(mode.head_epochs, epochs - 1) if mode.name == "finetune" else 0
    if head == 0:
        return [Phase(0, epochs, mode.freeze)]
    return [Phase(0, head, "all"), Phase(head, epochs, mode.freeze)]


def dropout_rates(backbone: keras.Model) -> dict[str, float]:
    """The rate of every Dropout-like layer, by layer name, before any was frozen."""
    return {layer.name: layer.rate for layer in backbone.layers if hasattr(layer, "rate")}


def apply(backbone: keras.Model, mode: ModeConfig, phase: Phase, rates: dict[str, float]) -> None:
    """Freeze the first layers of `backbone` and free the rest; the model must be compiled after this."""
    first = frozen_layers(backbone, phase.freeze)
    for position, layer in enumerate(backbone.layers):
        frozen = position < first
        kept = mode.batch_norm == "frozen" and isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = not (frozen or kept)
        if layer.name in rates:
            layer.rate = 0.0 if frozen else rates[layer.name]


def apply_last(model: keras.Model, mode: ModeConfig, epochs: int) -> None:
    """Freeze the network as it is in the last phase of a run."""
    backbone = model.get_layer("backbone")
    apply(backbone, mode, phases(mode, epochs)[-1], dropout_rates(backbone))


def frozen_layers(backbone: keras.Model, freeze: Any) -> int:
    """How many of the backbone's layers, from the input on, `mode.freeze` means.

    Raises `UserError` for a name that no layer has, a count too large or a fraction beyond 1.
    """
    names = [layer.name for layer in backbone.layers]
    if freeze is None or freeze is False:
        return 0
    if freeze == "all" or freeze is True:
        return len(names)
    if isinstance(freeze, float) and 0 <= freeze <= 1:
        return round(freeze * len(names))
    if isinstance(freeze, int) and 0 <= freeze <= len(names):
        return freeze
    if freeze in names:
        return names.index(freeze) + 1
    near = difflib.get_close_matches(str(freeze), names, n=3, cutoff=0.3) or names[-3:]
    raise UserError(
        f"mode.freeze={freeze}: give a layer's name (such as {', '.join(near)}), a count up to "
        f"{len(names)}, a fraction up to 1.0, all or null"
    )


def flat(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers of `model` and of the models in it."""
    return [inner for layer in model.layers
            for inner in (flat(layer) if isinstance(layer, keras.Model) else [layer])]  # fmt: skip


def frozen_hashes(model: keras.Model) -> dict[str, str]:
    """A hash of every weight that must not change in the present phase, by path."""
    learning = {id(variable) for variable in model.trainable_variables}
    moving = {id(w) for layer in flat(model) if layer.trainable for w in layer.non_trainable_variables}
    return {
        f"{index}:{variable.path}": hashlib.sha256(keras.ops.convert_to_numpy(variable).tobytes()).hexdigest()
        for index, variable in enumerate(model.weights)
        if id(variable) not in learning and id(variable) not in moving
    }


def prove_unmoved(before: dict[str, str], after: dict[str, str]) -> int:
    """Return how many frozen weights there are; raise `RunFailed` naming one that moved."""
    moved = [path for path, digest in before.items() if after.get(path) != digest]
    if moved:
        raise RunFailed(f"{len(moved)} weights that should have stayed frozen have moved, the first is {moved[0]}")
    return len(before)


def freeze_table(model: keras.Model, mode: ModeConfig, lr: float) -> list[dict[str, str]]:
    """One row per block: its parameters, whether it learns, BatchNorm's mode, and the rate."""
    base_rate, head_rate = multipliers(model, mode)
    rows = [_row(name, layers, lr * base_rate) for name, layers in _blocks(model.get_layer("backbone"))]
    head = [layer for layer in model.layers if layer.name != "backbone" and layer.count_params()]
    return [*rows, _row("head", head, lr * head_rate)]


def multipliers(model: keras.Model, mode: ModeConfig) -> tuple[float, float]:
    """What the learning rate is multiplied by for the base and for the head, as things are frozen now."""
    alone = not model.get_layer("backbone").trainable_variables
    return mode.backbone_lr, mode.head_lr if alone else 1.0


def _blocks(backbone: keras.Model) -> list[tuple[str, list[keras.layers.Layer]]]:
    """Layers in order, grouped by the first part of their names (`conv2`, `block1`, `mixed7`)."""
    groups: dict[str, list[keras.layers.Layer]] = {}
    for layer in backbone.layers:
        if layer.count_params():
            groups.setdefault(layer.name.split("_")[0], []).append(layer)
    return list(groups.items())


def _row(block: str, layers: list[keras.layers.Layer], rate: float) -> dict[str, str]:
    learning = [layer for layer in layers if layer.trainable_variables]
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    frozen_norms = [layer for layer in norms if not layer.trainable]
    state = "trainable" if len(learning) == len(layers) else "partly" if learning else "frozen"
    norm = "-" if not norms else "inference" if len(frozen_norms) == len(norms) else "training"
    return {
        "block": block,
        "parameters": f"{sum(layer.count_params() for layer in layers):,}",
        "state": state,
        "batch_norm": "mixed" if frozen_norms and norm == "training" else norm,
        "rate": f"{rate:g}" if learning else "0",
    }


def parameter_counts(model: keras.Model) -> dict[str, int]:
    """Numbers in the network: all, those that gradients change, the others."""
    total = model.count_params()
    trainable = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    return {"total": total, "trainable": trainable, "frozen": total - trainable}
