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
from typing import Any

import keras

from cvlib.models.backbone import Block
from cvlib.models.call_adapter import leaves, run_in_inference
from cvlib.models.network import Network
from cvlib.runtime.errors import RunFailed, UserError
from cvlib.transfer.regimes import ALL, Phase


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


def frozen_layers(network: Network, freeze: Any) -> int:
    """Return how many of the base's layers, counted from the input, `mode.freeze` selects.

    Raises `UserError` for an unknown layer or block, a count that is too large, or a fraction above 1.
    """
    names = [layer.name for layer in network.base.layers]
    if freeze is None or freeze is False:
        return 0
    if freeze == ALL or freeze is True:
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


def verify_frozen(before: dict[str, str], after: dict[str, str]) -> int:
    """Return the number of frozen weights; raise `RunFailed` if any of them changed."""
    changed = [path for path, digest in before.items() if after.get(path) != digest]
    if changed:
        raise RunFailed(f"{len(changed)} frozen weights changed during training; the first is {changed[0]}")
    return len(before)


def freeze_table(network: Network, phase: Phase, lr: float) -> list[dict[str, str]]:
    """Return one row per block: its parameters, whether it is trainable, its BatchNorm mode and its learning rate."""
    rows = [_row(block, lr * phase.backbone_lr) for block in network.backbone.blocks(network.base)]
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
