"""The layer table of a network, computed without running it.

It lists the shape, parameters, multiply–adds, memory and receptive field of every layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from cvlib.inspection import graph, receptive_field
from cvlib.inspection.graph import Step
from cvlib.inspection.receptive_field import PIXELS, Field

_BYTES = {"float16": 2, "bfloat16": 2, "float64": 8, "int64": 8, "uint8": 1, "int8": 1, "bool": 1}
Pair = tuple[int, int]


@dataclass(frozen=True)
class Layer:
    """One row of the table. Spatial pairs are (vertical, horizontal); None marks values that the layer doesn't have."""

    name: str
    kind: str
    shape: tuple[int | None, ...]  # of the output, without the batch
    change: tuple[int, int, int] | None  # of height, width and channels, relative to the (first) input
    kernel: Pair | None
    stride: Pair | None
    padding: str | None
    dilation: Pair | None
    parameters: int  # as counted by Keras; 0 if an earlier row has counted the same layer
    formula: int | None  # (Kh·Kw·Cin/groups + bias)·Cout for convolutions, and similar formulas for other layers
    state: str  # trainable | frozen | shared | "" without parameters
    multiply_adds: int  # of convolutions and dense layers, per image
    activation_bytes: int  # of the output, per image
    fields: tuple[Field, Field] | None  # receptive field, vertical and horizontal; None if it is unknown
    is_map: bool  # whether this is a last feature map: a network output, or read by a layer that discards positions


def describe(model: keras.Model) -> list[Layer]:
    """Return a `Layer` for every call in the network, including nested models. The input's size must be known."""
    listed = graph.steps(model)
    height, width = model.inputs[0].shape[1:3]
    shapes: dict[int, tuple[int | None, ...]] = {0: tuple(model.inputs[0].shape[1:])}
    fields: dict[int, tuple[Field, Field] | None] = {0: (PIXELS, PIXELS)}
    ends = set(graph.outputs(model))
    counted: set[int] = set()
    for step in listed:
        found = _fields(step, [shapes[n] for n in step.inputs], [fields[n] for n in step.inputs], (height, width))
        for number, tensor in zip(step.outputs, step.node.outputs, strict=True):
            shapes[number], fields[number] = tuple(tensor.shape[1:]), found
        if _discards_positions(step):
            ends.update(step.inputs)
    rows = []
    for step in listed:
        entering = shapes[step.inputs[0]] if step.inputs else ()
        is_map = len(graph.shape_of(step)) == 3 and not ends.isdisjoint(step.outputs)
        rows.append(_layer(step, entering, fields[step.outputs[0]], is_map, id(step.operation) in counted))
        counted.add(id(step.operation))
    return rows


def _fields(step: Step, entering: Sequence[tuple[int | None, ...]], seen: Sequence[tuple[Field, Field] | None],
            image: Pair) -> tuple[Field, Field] | None:  # fmt: skip
    known = [pair for pair in seen if pair is not None]
    if not known or len(known) < len(seen) or getattr(step.operation, "_layers", None):
        return None  # unknown, also for a layer that consists of layers, such as a transformer block
    before = receptive_field.union([pair[0] for pair in known]), receptive_field.union([pair[1] for pair in known])
    leaving = graph.shape_of(step)
    maps = [shape for shape in entering if len(shape) == 3]
    windows = None
    if not maps:
        windows = receptive_field.unfolded(entering[0], leaving)
    elif receptive_field.collapses(step.operation):
        collapsed = [receptive_field.whole(before[a], maps[0][a] or 1, image[a]) for a in (0, 1)]
        return collapsed[0], collapsed[1]
    elif len(leaving) == 3:
        windows = receptive_field.windows(step.operation, maps[0][:2], leaving[:2], step.node.arguments.args)  # type: ignore[arg-type]
        if windows is None and not all(shape[:2] in (leaving[:2], (1, 1)) for shape in maps):
            return None  # the operation moves pixels in an unknown way
    if windows is None:
        return before  # units stay in place, or are reshaped to a list and keep their receptive fields
    return receptive_field.through(before[0], windows[0]), receptive_field.through(before[1], windows[1])


def _discards_positions(step: Step) -> bool:
    return receptive_field.collapses(step.operation) or (
        len(graph.shape_of(step)) < 3 and any(len(tensor.shape) == 4 for tensor in step.node.input_tensors)
    )


def _layer(step: Step, entering: tuple[int | None, ...], fields: tuple[Field, Field] | None, is_map: bool,
           already_counted: bool) -> Layer:  # fmt: skip
    operation, shape = step.operation, graph.shape_of(step)
    parameters = 0 if already_counted or not hasattr(operation, "count_params") else operation.count_params()
    change = None
    if len(shape) == len(entering) == 3 and None not in shape and None not in entering:
        change = tuple(int(after) - int(before) for after, before in zip(shape, entering, strict=True))  # type: ignore[arg-type]
    convolves = hasattr(operation, "dilation_rate") and hasattr(operation, "kernel_size")
    window = getattr(operation, "kernel_size", None) or getattr(operation, "pool_size", None)
    return Layer(
        name=step.name, kind=type(operation).__name__, shape=shape, change=change,  # type: ignore[arg-type]
        kernel=_pair(window), stride=_pair(getattr(operation, "strides", None) or window) if window else None,
        padding=getattr(operation, "padding", None) if window else None,
        dilation=_pair(operation.dilation_rate) if convolves else None,
        parameters=parameters, formula=0 if already_counted else formula(operation, entering),
        state=_state(operation, already_counted), multiply_adds=multiply_adds(operation, entering, shape),
        activation_bytes=sum(_bytes(tensor) for tensor in step.node.outputs), fields=fields, is_map=is_map,
    )  # fmt: skip


def formula(operation: Any, entering: Sequence[int | None]) -> int | None:
    """Return a layer's number of parameters, computed from its settings; None if there is no formula for its type."""
    if not getattr(operation, "weights", []):
        return 0
    channels = int(entering[-1] or 0) if entering else 0
    bias = int(getattr(operation, "use_bias", False))
    if isinstance(operation, layers.Dense):
        return (channels + bias) * int(operation.units)
    if isinstance(operation, layers.BatchNormalization):
        return channels * (2 + int(operation.scale) + int(operation.center))
    if isinstance(operation, layers.LayerNormalization):
        return channels * (int(operation.scale) + int(operation.center))
    if type(operation).__name__ == "LayerScale":  # of ConvNeXt
        return channels
    if not hasattr(operation, "kernel_size"):
        return None
    area = int(math.prod(operation.kernel_size))
    if isinstance(operation, layers.DepthwiseConv2D):
        return (area + bias) * channels * int(operation.depth_multiplier)
    if isinstance(operation, layers.SeparableConv2D):
        between = channels * int(operation.depth_multiplier)
        return area * between + (between + bias) * int(operation.filters)
    groups = int(getattr(operation, "groups", 1))
    return (area * channels // groups + bias) * int(operation.filters)


def multiply_adds(operation: Any, entering: Sequence[int | None], leaving: Sequence[int | None]) -> int:
    """Return the multiply–adds per image of a convolution, a dense layer or a transformer block; 0 for other layers."""
    if None in entering or None in leaving or not entering or not leaving:
        return 0
    inputs, outputs = [int(n or 0) for n in entering], [int(n or 0) for n in leaving]
    if isinstance(operation, layers.Dense):
        return inputs[-1] * math.prod(outputs)
    if len(outputs) == 2 and getattr(operation, "_layers", None):
        return _of_tokens(operation, inputs, *outputs)
    if not hasattr(operation, "kernel_size"):
        return 0
    area, positions = int(math.prod(operation.kernel_size)), math.prod(outputs[:-1])
    if isinstance(operation, layers.Conv2DTranspose):
        return area * math.prod(inputs) * outputs[-1]
    if isinstance(operation, layers.DepthwiseConv2D):
        return area * math.prod(outputs)
    if isinstance(operation, layers.SeparableConv2D):
        between = inputs[-1] * int(operation.depth_multiplier)
        return positions * (area * between + between * outputs[-1])
    return area * inputs[-1] // int(getattr(operation, "groups", 1)) * math.prod(outputs)


def _of_tokens(operation: Any, inputs: list[int], tokens: int, features: int) -> int:
    """Return the multiply–adds of a layer that consists of layers and outputs `tokens` vectors.

    Dense layers are applied to each token, and a convolution to each patch of an image. Attention multiplies every pair
    of tokens twice.
    """
    found = 0
    for leaf in operation._flatten_layers():
        if isinstance(leaf, layers.Conv2D):
            patches = inputs[0] // leaf.strides[0] * (inputs[1] // leaf.strides[1])
            found += patches * math.prod(leaf.kernel.shape)
        elif isinstance(leaf, layers.Dense | layers.EinsumDense):
            found += tokens * math.prod(leaf.kernel.shape)
        elif type(leaf).__name__.endswith("Attention"):
            found += 2 * tokens**2 * features
    return found


def _state(operation: Any, already_counted: bool) -> str:
    if not getattr(operation, "weights", []):
        return ""
    if already_counted:
        return "shared"
    return "trainable" if operation.trainable_variables else "frozen"


def _bytes(tensor: Any) -> int:
    sides = [side or 1 for side in tensor.shape[1:]]
    return math.prod(sides) * _BYTES.get(str(tensor.dtype), 4)


def _pair(value: Any) -> Pair | None:
    if value is None:
        return None
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def total(rows: Sequence[Layer], model: keras.Model) -> dict[str, int]:
    """Return the whole network's parameters, multiply–adds and bytes of activations per image.

    Each parameter is trainable, frozen, or a moving average (updated from the data) of a BatchNorm that isn't frozen.
    """
    counted = model.count_params()
    trainable = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    unfrozen = {
        id(step.operation): step.operation for step in graph.steps(model) if getattr(step.operation, "trainable", 0)
    }
    averages = sum(math.prod(weight.shape) for layer in unfrozen.values() for weight in layer.non_trainable_weights)
    return {
        "parameters": counted,
        "trainable": trainable,
        "frozen": counted - trainable - averages,
        "averages": averages,
        "multiply_adds": sum(row.multiply_adds for row in rows),
        "activation_bytes": sum(row.activation_bytes for row in rows),
    }


def miscounted(rows: Sequence[Layer]) -> list[Layer]:
    """Return the layers for which the formula and Keras' count differ. There should be none."""
    return [row for row in rows if row.formula is not None and row.formula != row.parameters]


def cross(pair: Sequence[float] | None) -> str:
    """Return a spatial pair as text, such as "3×3"."""
    return "" if pair is None else "×".join(f"{value:g}" for value in pair)


def field_warnings(rows: Sequence[Layer], objects: Sequence[tuple[float, float]], what: str = "object") -> list[str]:
    """Return warnings if the last feature maps see less than a typical object, or may miss it between two units.

    `objects` are heights and widths in pixels of the network's input; the typical object is their median. For
    classification, the object is the image, and `what` is "image". If there are several last feature maps, the largest
    receptive field and the smallest jump are used.
    """
    last = [row.fields for row in rows if row.is_map and row.fields and row.fields[0].shift and row.fields[1].shift]
    if not last or not objects:
        return []
    typical = [sorted(size[axis] for size in objects)[len(objects) // 2] for axis in (0, 1)]
    sizes = [max(pair[axis].size for pair in last) for axis in (0, 1)]
    jumps = [float(min(pair[axis].jump for pair in last)) for axis in (0, 1)]
    found = []
    if any(size < side for size, side in zip(sizes, typical, strict=True)):
        found.append(
            f"the receptive field of the last feature map is {cross(sizes)} pixels, but the typical {what} is "
            f"{cross(typical)}: no unit sees all of it; use more layers, larger strides or smaller images"
        )
    if any(jump > side for jump, side in zip(jumps, typical, strict=True)):
        found.append(
            f"the last feature map has a unit every {cross(jumps)} pixels, but the typical {what} is only "
            f"{cross(typical)}: it can fall between two units; use larger images or smaller strides"
        )
    return found
