"""A functional model as one flat list of steps, whatever models are nested in it, and what each step computes."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from cvlib.runtime.errors import UserError

_UNCHANGED = ("Round", "ConvertToTensor", "Cast")  # operations that leave each pixel at its place and value


@dataclass(frozen=True)
class Step:
    """One call of one layer or operation; a tensor between steps is a number."""

    name: str  # unique; a layer that is called again has #2, #3, … behind its name
    operation: Any  # keras.Operation, most often a keras.layers.Layer
    node: Any  # Keras' record of the call: its arguments, inputs and outputs as KerasTensors
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def steps(model: keras.Model) -> list[Step]:
    """Return every call, in an order in which they can be computed; the model's own inputs are the tensors 0, 1, ….

    The layers of nested functional models stand in the list themselves. A layer that holds others in a `call` of
    its own is one step.
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
    """Append the steps of one (nested) model that is called on the tensors `inputs`; return its output tensors."""
    number = {id(tensor): given for tensor, given in zip(function.inputs, inputs, strict=True)}
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
            number.update({id(tensor): given for tensor, given in zip(node.outputs, made, strict=True)})
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
    """Return what the named steps give for `images` (batch, height, width, channels), in inference: name → tensor.

    `replaced` puts tensors in the place of what some steps give, to ask what depends on them. Only what is needed is
    computed. Raises `UserError` with the nearest names for a name that there isn't.
    """
    listed = steps(model)
    for name in names:
        check_name(name, [step.name for step in listed])
    numbers = {step.name: step.outputs[0] for step in listed}
    values = _values(listed, images, [numbers[name] for name in names], replaced or {})
    return {name: values[numbers[name]] for name in names}


def predict(model: keras.Model, images: Any, replaced: dict[str, Any] | None = None) -> list[Any]:
    """Return what the model returns, in the order of `model.outputs`; otherwise as `activations`."""
    ends = outputs(model)
    values = _values(steps(model), images, ends, replaced or {})
    return [values[number] for number in ends]


def _values(listed: Sequence[Step], images: Any, wanted: Sequence[int], replaced: dict[str, Any]) -> dict[int, Any]:
    """Every tensor that the wanted ones need, by number."""
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
    """Return the step that gives what the network proper sees: the saved model's resizing, with its rounding.

    None where a model takes images of one size. Put at this place by `replaced`, images reach the network unchanged and
    gradients reach the images, which rounding would stop.
    """
    found = None
    for step in steps(model):
        kind = type(step.operation).__name__
        if step.name == "resizing" or (found and found.outputs == step.inputs and kind in _UNCHANGED):
            found = step
    return found


def as_seen(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return images (batch, height, width, channels) as the network proper sees them: float32, of its own size."""
    first, pixels = entry(model), np.asarray(images, np.float32)
    return pixels if first is None else as_array(activations(model, pixels, [first.name])[first.name])


def behind_entry(model: keras.Model, pixels: Any) -> dict[str, Any]:
    """Return what makes the network take `pixels` as they are, for `replaced`.

    Raises `UserError` where they don't have the network's own size.
    """
    first = entry(model)
    if first is None:
        return {}
    size, given = shape_of(first), tuple(pixels.shape[1:])
    if given != size:
        raise UserError(f"the network sees images of {size}, not {given}: give what `graph.as_seen` makes of them")
    return {first.name: pixels}


def check_name(name: str, known: Sequence[str]) -> None:
    """Raise `UserError` with the nearest names for a layer that there isn't."""
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or [*known[:1], *known[-2:]]
        raise UserError(f"{name}: there is no such layer; near are {', '.join(near)}; `cvlib inspect` lists them all")


def shape_of(step: Step) -> tuple[int | None, ...]:
    """Return the shape of the step's (first) output without the batch, such as (height, width, channels)."""
    return tuple(step.node.outputs[0].shape[1:])


def maps(model: keras.Model) -> list[Step]:
    """Return the steps whose output is a feature map (batch, height, width, channels)."""
    return [step for step in steps(model) if len(shape_of(step)) == 3]


def scores(model: keras.Model) -> Step:
    """Return the step that gives the logits, before any softmax: of a classifier (batch, classes), of a
    segmenter (batch, height, width, classes) at the network's own size.

    Raises `UserError` for a network that gives neither.
    """
    listed = steps(model)
    by_output = {number: step for step in listed for number in step.outputs}
    last = next((step for step in listed if step.name == "probabilities"), by_output[outputs(model)[0]])
    while type(last.operation).__name__ in ("Softmax", "Activation") and last.inputs[0] in by_output:
        last = by_output[last.inputs[0]]
    if len(shape_of(last)) not in (1, 3):
        raise UserError(f"{model.name} gives no class for an image or its pixels, so there is none to explain")
    return last


def stages(model: keras.Model) -> list[Step]:
    """Return the last feature map of every resolution: what the network has made of the image before it pools further.

    The largest comes first. What comes before the first kernel is left out, preprocessing, and what comes after the
    last one, such as a detector's suppression of boxes.
    """
    found: dict[tuple[int | None, ...], Step] = {}
    listed = steps(model)
    learned = [place for place, step in enumerate(listed) if getattr(step.operation, "kernel", None) is not None]
    for step in listed[learned[0] : learned[-1] + 1] if learned else ():
        if len(shape_of(step)) == 3 and None not in shape_of(step):
            found[shape_of(step)[:2]] = step
    return sorted(found.values(), key=lambda step: -int(shape_of(step)[0] or 0))


def as_array(tensor: Any) -> np.ndarray:
    """Return the numbers of a tensor."""
    return np.asarray(keras.ops.convert_to_numpy(tensor))
