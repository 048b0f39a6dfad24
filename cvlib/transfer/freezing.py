"""Freezing of layers, verified by hashes.

A frozen layer keeps its weights and BatchNorm averages unchanged and runs in inference mode. Keras runs a BatchNorm
with `trainable=False` in inference mode, but leaves Dropout and stochastic depth active. These are therefore switched
to inference as well (`cvlib.models.call_adapter`).
"""

from __future__ import annotations

import difflib
import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras

from cvlib.config.schema import ModeConfig
from cvlib.models.backbone import Block
from cvlib.models.call_adapter import leaves, run_in_inference
from cvlib.models.network import Network
from cvlib.runtime.errors import RunFailed, UserError
from cvlib.transfer import regimes
from cvlib.transfer.regimes import Phase


def apply(network: Network, phase: Phase) -> None:
    """Freeze the first layers of the base and make the rest trainable. The model must be compiled after this."""
    first = frozen_layers(network, phase.freeze)
    for position, layer in enumerate(network.base.layers):
        frozen = position < first
        layer.trainable = not frozen
        if phase.batch_norm == "frozen":
            for norm in _norms([layer]):
                norm.trainable = False
        run_in_inference(layer, frozen)


def phases(network: Network, mode: ModeConfig, epochs: int) -> list[Phase]:
    """Return the phases of a run; with `mode.unfreeze=gradual`, the last one is divided into steps.

    In each step, further blocks of the base join from the top (Howard & Ruder, ULMFiT, 2018). The steps have equal
    numbers of epochs, up to rounding. If there are fewer epochs than blocks, several blocks join in a step.
    """
    whole = regimes.phases(mode, epochs)
    if getattr(mode, "unfreeze", None) != "gradual":
        return whole
    *before, last = whole
    return [*before, *_gradual(network, last)]


def _gradual(network: Network, last: Phase) -> list[Phase]:
    names, frozen = [layer.name for layer in network.base.layers], frozen_layers(network, last.freeze)
    ends = [names.index(block.layers[-1].name) + 1 for block in network.backbone.blocks(network.base)]
    # Number of frozen layers while the topmost 1, 2, … blocks are trained.
    below = [max(frozen, start) for start, end in zip([0, *ends], ends, strict=False) if end > frozen][::-1]
    epochs = last.end - last.start
    steps = max(1, min(len(below), epochs))
    starts = [last.start + epochs * step // steps for step in range(steps + 1)]
    joined = [-(-len(below) * step // steps) for step in range(1, steps + 1)]
    return [replace(last, start=start, end=end, freeze=last.freeze if end == last.end else below[count - 1])
            for start, end, count in zip(starts, starts[1:], joined, strict=False)]  # fmt: skip


def first_trained_block(network: Network, phase: Phase) -> str | None:
    """Return the name of the lowest block of the base that the phase trains; None if it trains only the head."""
    names, frozen = [layer.name for layer in network.base.layers], frozen_layers(network, phase.freeze)
    blocks = network.backbone.blocks(network.base)
    return next((block.name for block in blocks if names.index(block.layers[-1].name) >= frozen), None)


def frozen_layers(network: Network, freeze: Any) -> int:
    """Return how many of the base's layers, counted from the input, `mode.freeze` selects.

    Raises `UserError` for an unknown layer or block, a count that is too large, or a fraction above 1.
    """
    names = [layer.name for layer in network.base.layers]
    if freeze is None or freeze is False:
        return 0
    if regimes.freezes_all(freeze):
        return len(names)
    if isinstance(freeze, float) and 0 <= freeze <= 1:
        return round(freeze * len(names))
    if isinstance(freeze, int) and 0 <= freeze <= len(names):
        return freeze
    if freeze in names:
        return names.index(freeze) + 1
    blocks = {block.name: block.layers[-1].name for block in network.backbone.blocks(network.base)}
    if isinstance(freeze, str) and freeze in blocks:
        return names.index(blocks[freeze]) + 1
    near = difflib.get_close_matches(str(freeze), dict.fromkeys([*names, *blocks]), n=3, cutoff=0.3) or names[-3:]
    raise UserError(
        f"invalid mode.freeze={freeze}: expected a layer or block (such as {', '.join(near)}), a count up to "
        f"{len(names)}, a fraction up to 1.0, all or null"
    )


def block_rates(network: Network, phase: Phase) -> list[tuple[Block, float]]:
    """Return the base's blocks, counted from the input, each with its multiple of the learning rate if it is trained.

    The topmost block learns at `phase.backbone_lr`, and each block below at `phase.layer_decay` times the rate of the
    block above it. Frozen blocks count as well, so that `mode.freeze` doesn't change the rates of the other blocks.
    """
    blocks = network.backbone.blocks(network.base)
    top = len(blocks) - 1
    return [(block, phase.backbone_lr * phase.layer_decay ** (top - place)) for place, block in enumerate(blocks)]


def lowest_rate(network: Network, phase: Phase) -> float:
    """Return the smallest multiple of the learning rate of a block that is trained; 0 if the whole base is frozen."""
    trained = [rate for block, rate in block_rates(network, phase)
               if any(layer.trainable_variables for layer in block.layers)]  # fmt: skip
    return min(trained, default=0.0)


def layer_rates(network: Network, phase: Phase, lr: float) -> dict[str, float]:
    """Return the learning rate of every layer with weights, by name; 0 for a layer that isn't trained."""
    parts = [*block_rates(network, phase), (Block("head", network.head_layers), phase.head_lr)]
    return {layer.name: lr * rate if layer.trainable_variables else 0.0 for block, rate in parts
            for layer in block.layers}  # fmt: skip


def frozen_hashes(network: Network) -> dict[str, str]:
    """Return a hash of every weight that must not change in the current phase, by path."""
    model = network.model
    learning = {id(variable) for variable in model.trainable_variables}
    moving = {id(w) for layer in leaves(model) if layer.trainable and not isinstance(layer, keras.Model)
              for w in layer.non_trainable_variables}  # fmt: skip
    return {
        f"{index}:{variable.path}": hashlib.sha256(keras.ops.convert_to_numpy(variable).tobytes()).hexdigest()
        for index, variable in enumerate(model.weights)
        if id(variable) not in learning and id(variable) not in moving
    }


def add_weights(content: hashlib._Hash, model: keras.Model) -> None:
    """Add all weights of a model to a hash."""
    for variable in model.weights:
        content.update(keras.ops.convert_to_numpy(variable).tobytes())


def verify_frozen(before: dict[str, str], after: dict[str, str]) -> int:
    """Return the number of frozen weights; raise `RunFailed` if any of them changed."""
    changed = [path for path, digest in before.items() if after.get(path) != digest]
    if changed:
        raise RunFailed(f"{len(changed)} frozen weights changed during training; the first is {changed[0]}")
    return len(before)


def freeze_table(network: Network, phase: Phase, lr: float) -> list[dict[str, str]]:
    """Return one row per block: its parameters, whether it is trainable, its BatchNorm mode and its learning rate."""
    rows = [_row(block, lr * rate) for block, rate in block_rates(network, phase)]
    return [*rows, _row(Block("head", network.head_layers), lr * phase.head_lr)]


def _row(block: Block, rate: float) -> dict[str, str]:
    learning = [layer for layer in block.layers if layer.trainable_variables]
    norms = _norms(block.layers)
    frozen_norms = [layer for layer in norms if not layer.trainable]
    state = "trainable" if len(learning) == len(block.layers) else "partly" if learning else "frozen"
    norm = "-" if not norms else "inference" if len(frozen_norms) == len(norms) else "training"
    return {
        "block": block.name,
        "parameters": f"{sum(layer.count_params() for layer in block.layers):,}",
        "state": state,
        "batch_norm": "mixed" if frozen_norms and norm == "training" else norm,
        "rate": f"{rate:g}" if learning else "0",
    }


def _norms(layers: Sequence[keras.layers.Layer]) -> list[keras.layers.BatchNormalization]:
    """Return every BatchNorm among the layers, including nested ones."""
    found = [leaf for layer in layers for leaf in leaves(layer)]
    return [leaf for leaf in found if isinstance(leaf, keras.layers.BatchNormalization)]


def parameter_counts(model: keras.Model) -> dict[str, int]:
    """Return the network's numbers of parameters: in total, trained by gradients, and all others."""
    total = model.count_params()
    trainable = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    return {"total": total, "trainable": trainable, "frozen": total - trainable}
