"""Arrays in the HDF5 files of Keras 2 and of the official ImageNet weights, which list the names of the arrays.

The file lists the layers of a network and the arrays of each layer. For a nested network, Keras lists the trainable
arrays first, so the order depends on what was frozen. Arrays are therefore matched by name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

import h5py
import keras
import numpy as np

from cvlib.runtime.errors import UserError
from cvlib.transfer import channels as channels_of
from cvlib.transfer.channels import Array
from cvlib.transfer.h5_files import Shape, finite, refuse_other_files, refuse_other_pixels

Key: TypeAlias = tuple[str, str]  # a layer, and an array in it

_AUTOMATIC = re.compile("(conv2d|depthwise_conv2d|separable_conv2d|batch_normalization|dense)(?:_([0-9]+))?")
_ALIASES = {"depthwise_kernel": "kernel"}  # of DepthwiseConv2D in Keras 2
_ADVICE = "choose weights of the same model and size"


def load(base: keras.Model, file: h5py.File, source: str) -> tuple[dict[str, Shape], str]:
    """Load a file; return the shapes of the arrays that the base doesn't have, and how the first layer was adapted.

    Raises `UserError` for a file of another architecture, before any array is assigned.
    """
    root = file.get("model_weights", file)
    groups = [[(_text(name), root[_text(layer)][_text(name)]) for name in root[_text(layer)].attrs["weight_names"]]
              for layer in root.attrs["layer_names"]]  # fmt: skip
    refuse_other_files(file, {name: array for group in groups for name, array in group})
    variables = [variable for layer in base.layers for variable in layer.weights]
    ordered, rest = _matched([variable.path for variable in variables], groups, source)
    refuse_other_pixels(dict(rest), source)
    top = {name: array.shape for name, array in rest}
    if any(len(shape) > 2 for shape in top.values()):
        raise UserError(f"mode.weights={source} has a different architecture: it has {len(top)} additional arrays, "
                        f"such as {next(iter(top))}; {_ADVICE}")  # fmt: skip
    arrays: list[np.ndarray] = []
    adapted = ""
    for variable, (name, array) in zip(variables, ordered, strict=True):
        wanted = tuple(variable.shape)
        if channels_of.is_first_for_rgb(array.shape, wanted):
            arrays.append(channels_of.spread(finite(name, array, source), wanted[2]))
            adapted = channels_of.note(wanted[2])
        elif wanted != array.shape:
            raise UserError(f"mode.weights={source} has a different architecture: {name} has shape {array.shape}, but "
                            f"{variable.path} needs {wanted}; {_ADVICE}")  # fmt: skip
        else:
            arrays.append(finite(name, array, source))
    for variable, numbers in zip(variables, arrays, strict=True):
        variable.assign(numbers)
    return top, adapted


def _matched(
    wanted: Sequence[str], groups: list[list[tuple[str, Array]]], source: str
) -> tuple[list[tuple[str, Array]], list[tuple[str, Array]]]:
    """Return the named arrays in the order of the wanted paths, and the other arrays.

    Layers that Keras named automatically (conv2d_7) are matched by the rank of their number, because the count depends
    on the networks that were built before. If the names differ, the order decides, but only if each layer lists its own
    arrays.
    """
    stored = [item for group in groups for item in group]
    for keys in (_keys, _ranked):
        own, theirs = keys(wanted), keys([name for name, _ in stored])
        if len(set(own)) == len(own) and all(theirs.count(key) == 1 for key in own):
            places = [theirs.index(key) for key in own]
            chosen = set(places)
            return [stored[place] for place in places], [item for place, item in enumerate(stored)
                                                         if place not in chosen]  # fmt: skip
    nested = any(len({layer for layer, _ in _keys([name for name, _ in group])}) > 1 for group in groups)
    own, theirs = _keys(wanted), _keys([name for name, _ in stored])
    if len(stored) < len(wanted):
        raise UserError(f"mode.weights={source} has a different architecture: it has {len(stored)} arrays, but the "
                        f"base needs {len(wanted)}; {_ADVICE}")  # fmt: skip
    if nested or [array for _, array in own] != [array for _, array in theirs[: len(own)]]:
        missing = next(key for key in own if theirs.count(key) != 1)
        raise UserError(f"mode.weights={source} has a different architecture: {'/'.join(missing)} is missing, or "
                        f"occurs more than once; {_ADVICE}")  # fmt: skip
    return stored[: len(wanted)], stored[len(wanted) :]


def _keys(names: Sequence[str]) -> list[Key]:
    """Return the last layer and the array in each name: resnet50/conv1_bn/gamma:0 → (conv1_bn, gamma)."""
    parts = [["", *name.partition(":")[0].split("/")] for name in names]
    return [(part[-2], _ALIASES.get(part[-1], part[-1])) for part in parts]


def _ranked(names: Sequence[str]) -> list[Key]:
    """Return the keys with automatic names replaced by their ranks: conv2d_7/kernel → (conv2d#0, kernel)."""
    keys = _keys(names)
    numbers: dict[str, set[int]] = {}
    for layer, _ in keys:
        if found := _AUTOMATIC.fullmatch(layer):
            numbers.setdefault(found[1], set()).add(int(found[2] or 0))
    ranks = {kind: {number: rank for rank, number in enumerate(sorted(some))} for kind, some in numbers.items()}
    return [(f"{found[1]}#{ranks[found[1]][int(found[2] or 0)]}" if (found := _AUTOMATIC.fullmatch(layer)) else layer,
             array) for layer, array in keys]  # fmt: skip


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
