"""The names of a base's tensors in PyTorch's state dicts, and the base's arrays from such tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras

KERAS, TORCH = "keras", "torch"  # the values of `model.convention`
CONVENTIONS = (KERAS, TORCH)
TORCH_PIXELS = "torch_pixels"  # name of the layer that outputs the pixels of convention=torch
_NORM = ("weight", "bias", "running_mean", "running_var")  # in the order of Keras' BatchNorm
_COUNTER = ".num_batches_tracked"


@dataclass(frozen=True)
class TorchNames:
    """One way in which a package names the tensors of an architecture.

    Attributes:
        modules: the name of every layer with weights → the name of its module, such as conv2_block1_1_conv →
            layer1.0.conv1.
        top: beginnings of the names of the tensors after the base, which are left out.
        conventions: a text in the path of the file → the `model.convention` whose network computes the same function as
            the package's. The first text that occurs counts; "" always occurs.
        channels: the output channels of a module that differs between networks with the same names.
    """

    modules: Mapping[str, str]
    top: tuple[str, ...]
    conventions: Mapping[str, str]
    channels: Mapping[str, int] = field(default_factory=dict)

    def without_top(self, names: list[str]) -> list[str]:
        """Return the names of the base's tensors."""
        return [name for name in names if not name.startswith(self.top) and not name.endswith(_COUNTER)]


def module_of(tensor: str) -> str:
    """Return the name of the module that a tensor belongs to."""
    return tensor.rpartition(".")[0]


def arrays(base: keras.Model, names: TorchNames, tensors: Mapping[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Return the arrays of each layer of the base, in the order of its weights, as Keras stores them.

    The kernel of the first convolution may have three channels where the base has more. Raises `UserError` for a tensor
    that is missing, unknown, or of another shape.
    """
    found, used = {}, set()
    for layer in base.layers:
        if layer.weights:
            listed = _listed(layer, names.modules[layer.name])
            found[layer.name] = [_array(layer, name, variable, tensors)
                                 for name, variable in zip(listed, layer.weights, strict=True)]  # fmt: skip
            used |= set(listed)
    inside = {names.modules[layer.name] for layer in base.layers if layer.weights}
    unknown = sorted(
        name for name in names.without_top(list(tensors)) if module_of(name) in inside and name not in used
    )
    if unknown:
        raise UserError(f"{unknown[0]} has no place in the base")
    return found


def _listed(layer: keras.layers.Layer, module: str) -> list[str]:
    parts = _NORM if type(layer).__name__ == "BatchNormalization" else ("weight", "bias")[: len(layer.weights)]
    return [f"{module}.{part}" for part in parts]


def _array(layer: keras.layers.Layer, name: str, variable: keras.Variable,
           tensors: Mapping[str, np.ndarray]) -> np.ndarray:  # fmt: skip
    if name not in tensors:
        raise UserError(f"{name} is missing")
    tensor, depthwise = tensors[name], type(layer).__name__ == "DepthwiseConv2D"
    axes = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)  # from (out, in, height, width)
    array = tensor.transpose(axes) if tensor.ndim == 4 else tensor
    wanted = tuple(variable.shape)
    if array.shape not in (wanted, (*wanted[:2], min(wanted[2], 3), *wanted[3:]) if len(wanted) == 4 else wanted):
        raise UserError(f"{name} has shape {tensor.shape}, but {layer.name} needs {_as_torch(wanted, depthwise)}")
    return array.astype(np.float32)


def _as_torch(shape: tuple[int, ...], depthwise: bool) -> tuple[int, ...]:
    if len(shape) != 4:
        return shape
    axes = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
    return tuple(shape[axis] for axis in axes)
