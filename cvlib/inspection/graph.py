"""A functional model as a flat list of steps, including those of nested models, and the outputs of each step."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from cvlib.runtime.errors import UserError

_UNCHANGED = ("Round", "ConvertToTensor", "Cast")  # operations that keep each pixel's position and value


@dataclass(frozen=True)
class Step:
    """One call of a layer or operation. Tensors between steps are identified by numbers."""

    name: str  # unique; further calls of the same layer get the suffix #2, #3, …
    operation: Any  # keras.Operation, usually a keras.layers.Layer
    node: Any  # Keras' record of the call: its arguments, inputs and outputs as KerasTensors
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def steps(model: keras.Model) -> list[Step]:
    """Return every call, in topological order. The model's inputs are the tensors 0, 1, ….

    The list contains the layers of nested functional models. A layer that calls other layers in its own `call` is one
    step.
    """
    function = _function(model)
    numbers = itertools.count()
    found: list[Step] = []
    _expand(function, [next(numbers) for _ in function.inputs], numbers, found)
    return _uniquely_named(found)


def outputs(model: keras.Model) -> list[int]:
    """Return the numbers of the tensors that the model returns, in the order of `model.outputs`."""
    function = _function(model)
    numbers = itertools.count()
    return _expand(function, [next(numbers) for _ in function.inputs], numbers, [])


def _function(model: Any) -> Any:
    return model._functional if isinstance(model, keras.Sequential) else model


def _expand(function: Any, inputs: Sequence[int], numbers: Iterator[int], found: list[Step]) -> list[int]:
    """Append the steps of a (nested) model that is called on the tensors `inputs`; return its output tensors."""
    number = {id(tensor): value for tensor, value in zip(function.inputs, inputs, strict=True)}
    for depth in sorted(function._nodes_by_depth, reverse=True):
        for node in function._nodes_by_depth[depth]:
            if node.is_input:
                continue
            taken = [number[id(tensor)] for tensor in node.input_tensors]
            inner = _function(node.operation)
            if hasattr(inner, "_nodes_by_depth"):
                made = _expand(inner, taken, numbers, found)
            else:
                made = [next(numbers) for _ in node.outputs]
                found.append(Step(node.operation.name, node.operation, node, tuple(taken), tuple(made)))
            number.update({id(tensor): value for tensor, value in zip(node.outputs, made, strict=True)})
    return [number[id(tensor)] for tensor in function.outputs]


def _uniquely_named(found: list[Step]) -> list[Step]:
    seen: dict[str, int] = {}
    named = []
    for step in found:
        seen[step.name] = seen.get(step.name, 0) + 1
        name = step.name if seen[step.name] == 1 else f"{step.name}#{seen[step.name]}"
        named.append(Step(name, step.operation, step.node, step.inputs, step.outputs))
    return named


def activations(model: keras.Model, images: Any, names: Sequence[str],
                replaced: dict[str, Any] | None = None) -> dict[str, Any]:  # fmt: skip
    """Return the outputs of the named steps for `images` (batch, height, width, channels), in inference: name → tensor.

    `replaced` maps names of steps to tensors that replace their outputs, for example to compute gradients. Steps that
    aren't needed are not computed. Raises `UserError` with similar names for an unknown name.
    """
    listed = steps(model)
    for name in names:
        check_name(name, [step.name for step in listed])
    numbers = {step.name: step.outputs[0] for step in listed}
    values = _values(listed, images, [numbers[name] for name in names], replaced or {})
    return {name: values[numbers[name]] for name in names}


def predict(model: keras.Model, images: Any, replaced: dict[str, Any] | None = None) -> list[Any]:
    """Return the model's outputs, in the order of `model.outputs`. The arguments are those of `activations`."""
    ends = outputs(model)
    values = _values(steps(model), images, ends, replaced or {})
    return [values[number] for number in ends]


def _values(listed: Sequence[Step], images: Any, wanted: Sequence[int], replaced: dict[str, Any]) -> dict[int, Any]:
    """Return the wanted tensors and all tensors that they depend on, by number."""
    needed = set(wanted)
    for step in reversed(listed):
        if not needed.isdisjoint(step.outputs) and step.name not in replaced:
            needed.update(step.inputs)
    values: dict[int, Any] = {0: images}
    for step in listed:
        if not needed.isdisjoint(step.outputs):
            made = [replaced[step.name]] if step.name in replaced else _computed(step, values)
            values.update(zip(step.outputs, made, strict=True))
    return values


def _computed(step: Step, values: dict[int, Any]) -> list[Any]:
    taken = zip(step.node.input_tensors, step.inputs, strict=True)
    arguments, keywords = step.node.arguments.fill_in({id(tensor): values[number] for tensor, number in taken})
    made: list[Any] = keras.tree.flatten(step.operation(*arguments, **keywords))
    return made


def entry(model: keras.Model) -> Step | None:
    """Return the step whose output the trained network receives: the saved model's resizing, with its rounding.

    It is None for a model without resizing, which takes images of one size. If `replaced` sets this step's output, the
    images reach the network unchanged. Gradients then reach the images; rounding would stop them.
    """
    found = None
    for step in steps(model):
        kind = type(step.operation).__name__
        if step.name == "resizing" or (found and found.outputs == step.inputs and kind in _UNCHANGED):
            found = step
    return found


def as_seen(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return images (batch, height, width, channels) as the trained network sees them: float32, at its input size."""
    first, pixels = entry(model), np.asarray(images, np.float32)
    return pixels if first is None else as_array(activations(model, pixels, [first.name])[first.name])


def behind_entry(model: keras.Model, pixels: Any) -> dict[str, Any]:
    """Return the value of `replaced` that feeds `pixels` to the network without resizing.

    Raises `UserError` if they don't have the network's input size.
    """
    first = entry(model)
    if first is None:
        return {}
    size, given = shape_of(first), tuple(pixels.shape[1:])
    if given != size:
        raise UserError(f"the network takes images of shape {size}, not {given}: resize them with `graph.as_seen`")
    return {first.name: pixels}


def check_name(name: str, known: Sequence[str]) -> None:
    """Raise `UserError` with similar names if there is no layer with this name."""
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        hint = f"similar names are {', '.join(near)}; " if near else ""
        raise UserError(f"{name}: there is no such layer; {hint}`cvlib inspect` lists all layers")


def shape_of(step: Step) -> tuple[int | None, ...]:
    """Return the shape of the step's (first) output without the batch, such as (height, width, channels)."""
    return tuple(step.node.outputs[0].shape[1:])


def maps(model: keras.Model) -> list[Step]:
    """Return the steps whose output is a feature map (batch, height, width, channels)."""
    return [step for step in steps(model) if len(shape_of(step)) == 3]


def scores(model: keras.Model) -> Step:
    """Return the step that outputs the logits, before any softmax.

    The logits are (batch, classes) for a classifier, and (batch, height, width, classes) at the network's input size
    for a segmenter. Raises `UserError` for any other network.
    """
    listed = steps(model)
    by_output = {number: step for step in listed for number in step.outputs}
    last = next((step for step in listed if step.name == "probabilities"), by_output[outputs(model)[0]])
    while type(last.operation).__name__ in ("Softmax", "Activation") and last.inputs[0] in by_output:
        last = by_output[last.inputs[0]]
    if len(shape_of(last)) not in (1, 3):
        raise UserError(f"{model.name} predicts no class for an image or its pixels, so there is nothing to explain")
    return last


def stages(model: keras.Model) -> list[Step]:
    """Return the last feature map of every resolution, largest first.

    Steps before the first layer with a kernel (preprocessing) and after the last one (such as a detector's suppression
    of boxes) are left out. A kernel may be inside a layer that consists of layers, such as a transformer block.
    """
    found: dict[tuple[int | None, ...], Step] = {}
    listed = steps(model)
    learned = [index for index, step in enumerate(listed) if getattr(step.operation, "kernel", None) is not None
               or (getattr(step.operation, "_layers", None) and step.operation.weights)]  # fmt: skip
    for step in listed[learned[0] : learned[-1] + 1] if learned else ():
        if len(shape_of(step)) == 3 and None not in shape_of(step):
            found[shape_of(step)[:2]] = step
    return sorted(found.values(), key=lambda step: -int(shape_of(step)[0] or 0))


def as_array(tensor: Any) -> np.ndarray:
    """Return a tensor as a NumPy array."""
    return np.asarray(keras.ops.convert_to_numpy(tensor))
