"""Averaged weights (`trainer.ema`): an exponential moving average of the network's weights over the training steps.

Evaluation, the choice of the best epoch and the kept network use the averages. Training continues with the raw weights.

Keras' own option (`use_ema` of an optimizer) doesn't fit: at the end of every `fit`, which here is every epoch, Keras
overwrites the raw weights with the averages. It also leaves out BatchNorm, and it starts the averages of weights that
are unfrozen later at zero.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from cvlib.models.call_adapter import leaves
from cvlib.models.run_state import named
from cvlib.runtime import backend


class Averages:
    """The averages of all weights that a phase changes: average ← decay · average + (1 − decay) · weight.

    BatchNorm's moving statistics are averaged like the weights, as in timm. The statistics of a step belong to the
    weights of that step, so their average over the same steps approximates the statistics of the averaged weights
    without another pass over the data.

    In the first steps, the decay is only (1 + n) / (10 + n) after n steps of the run, so that the average soon forgets
    the initial weights.

    Args:
        model: the model that is fitted, with the phase's layers frozen.
        decay: the weight of the earlier average, 0–1.
        earlier: averages by variable name, from a checkpoint or from the previous phase. All other averages start at
            the present weights.
    """

    def __init__(self, model: keras.Model, decay: float, earlier: Mapping[str, np.ndarray]):
        self.decay = decay
        learning = {id(weight) for weight in changing(model)}
        self._weights = {name: weight for name, weight in named(model.weights).items() if id(weight) in learning}
        initial = _values(self._weights) | dict(earlier)  # copies: JAX reuses the memory of the weights
        self._averages = {name: keras.Variable(initial[name], dtype=weight.dtype, trainable=False,
                                               name=f"average_{number}")
                          for number, (name, weight) in enumerate(self._weights.items())}  # fmt: skip
        self._compiled: Callable[..., dict[str, Any]] | None = None
        self._raw: dict[str, np.ndarray] = {}  # the raw weights while the averages are in their place

    def update(self, steps: Any, updated: Any = True) -> None:
        """Include the present weights, after `steps` updates of the run (an int or an integer tensor).

        Nothing changes unless `updated`, a Boolean: with `trainer.accumulate`, not every step updates the weights.
        """
        steps = ops.cast(steps, "float32")
        share = (1.0 - ops.minimum(self.decay, (1.0 + steps) / (10.0 + steps))) * ops.cast(updated, "float32")
        for name, average in self._averages.items():
            difference = ops.subtract(self._weights[name], average)
            average.assign_add(ops.cast(share, average.dtype) * difference)

    def update_on_jax(self, steps: int) -> None:
        """Do the same as `update` outside of a training step: on JAX, a step can't change these variables."""
        import jax

        if self._compiled is None:
            self._compiled = jax.jit(lambda weights, averages, share: jax.tree.map(
                lambda weight, average: average + share.astype(average.dtype) * (weight - average), weights, averages
            ))  # fmt: skip
        share = np.float32(1 - min(self.decay, (1 + steps) / (10 + steps)))
        moved = self._compiled(*({name: variable.value for name, variable in variables.items()}
                                 for variables in (self._weights, self._averages)), share)  # fmt: skip
        for name, average in self._averages.items():
            average.assign(moved[name])

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Put the averages in the place of the weights within the block."""
        self._raw = _values(self._weights)
        try:
            for name, average in self.values().items():
                self._weights[name].assign(average)
            yield
        finally:
            self.put_back()

    def put_back(self) -> None:
        """Assign the raw weights again if the averages are in their place, also after an interruption."""
        for name, value in self._raw.items():
            self._weights[name].assign(value)
        self._raw = {}

    def values(self) -> dict[str, np.ndarray]:
        """Return the averages by the names of their weights."""
        return _values(self._averages)


class AveragesOnJax(keras.callbacks.Callback):
    """Updates the averages after every step; must precede the callbacks that save them."""

    def __init__(self, averages: Averages):
        super().__init__()
        self.averages = averages

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        backend.sync(self.model)
        optimizer = self.model.optimizer
        if int(optimizer._iterations) % (optimizer.gradient_accumulation_steps or 1) == 0:
            self.averages.update_on_jax(int(optimizer.iterations))


def changing(model: keras.Model) -> Sequence[keras.Variable]:
    """Return the weights that training changes: by gradients, or as the moving statistics of a trained BatchNorm."""
    moving = {id(weight) for layer in leaves(model)
              if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
              for weight in layer.non_trainable_variables}  # fmt: skip
    learning = {id(weight) for weight in model.trainable_variables}
    return [weight for weight in model.weights if id(weight) in learning or id(weight) in moving]


def _values(variables: Mapping[str, keras.Variable]) -> dict[str, np.ndarray]:
    return {name: np.array(ops.convert_to_numpy(variable)) for name, variable in variables.items()}
