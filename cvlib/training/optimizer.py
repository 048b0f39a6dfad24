"""The optimizers: Keras' optimizers with a learning rate per parameter group, and the learning-rate schedule.

Steps are counted over the whole run. The optimizer of a later phase continues the count, and keeps the moments of the
variables that were trained before (`carry_over`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from cvlib.config.schema import Config, Cosine, ScheduleConfig, Sgd, Step
from cvlib.models.network import Network
from cvlib.models.run_state import named
from cvlib.runtime import backend
from cvlib.training.averages import Averages
from cvlib.transfer import freezing
from cvlib.transfer.regimes import Phase

_WARMUP_SHARE = 0.15  # of a budget of time; a longer warm-up ends there
_NOT_DECAYED = ("bias", "gamma", "beta")


def is_decayed(variable: keras.Variable) -> bool:
    """Return whether weight decay applies to a variable: not to biases and not to normalization layers."""
    return variable.name not in _NOT_DECAYED


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate at each step of the run.

    Args:
        config: the curve, which follows a linear warm-up.
        peak: the learning rate at the end of the warm-up.
        steps_per_epoch, epochs: the length of the run.
        accumulate: batches per update; all of them have the learning rate of the first.
        position: the present position in the run, 0–1, if a budget of time replaces its length. The curve then follows
            this variable. The warm-up still counts steps, but takes at most 15 % of the time.
    """

    def __init__(self, config: ScheduleConfig, peak: float, steps_per_epoch: int, epochs: int, position: Any = None,
                 accumulate: int = 1):  # fmt: skip
        self.config, self.peak, self.position, self.accumulate = config, peak, position, accumulate
        self.steps_per_epoch, self.total = steps_per_epoch, steps_per_epoch * epochs
        self.warmup = config.warmup_epochs * steps_per_epoch

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        if self.accumulate > 1:
            step = ops.floor(step / self.accumulate) * self.accumulate
        warming = ops.minimum(1.0, (step + self.accumulate) / self.warmup) if self.warmup else 1.0
        if self.warmup and self.position is not None:
            warming = ops.maximum(warming, ops.minimum(1.0, ops.convert_to_tensor(self.position) / _WARMUP_SHARE))
        return self.peak * warming * self._curve(step)

    def _curve(self, step: Any) -> Any:
        config = self.config
        if self.position is not None:
            step = self.warmup + ops.convert_to_tensor(self.position) * max(1.0, self.total - self.warmup)
        if isinstance(config, Cosine):
            share = ops.clip((step - self.warmup) / max(1.0, self.total - self.warmup), 0.0, 1.0)
            return config.final + (1.0 - config.final) * 0.5 * (1.0 + ops.cos(math.pi * share))
        if isinstance(config, Step):
            drops = ops.floor(step / float(config.every * self.steps_per_epoch))
            return ops.power(config.factor, drops)
        return 1.0

    def get_config(self) -> dict[str, Any]:
        return {"config": vars(self.config), "peak": self.peak, "steps_per_epoch": self.steps_per_epoch,
                "epochs": self.total // self.steps_per_epoch, "accumulate": self.accumulate}  # fmt: skip


class ParameterGroups:
    """Optimizer mixin with a learning-rate multiplier and a decoupled weight decay for each variable.

    Attributes:
        averages: the averaged weights, which every step updates; None without `trainer.ema`.
    """

    averages: Averages | None = None

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        super().apply(grads, trainable_variables)  # type: ignore[misc]
        if self.averages is not None:
            every = self.gradient_accumulation_steps or 1  # type: ignore[attr-defined]
            updated = ops.equal(self._iterations % every, 0)  # type: ignore[attr-defined]
            self.averages.update(self.iterations, updated)  # type: ignore[attr-defined]

    def set_groups(self, multipliers: list[float], decays: list[float], first_steps: list[int]) -> None:
        """Set each variable's multiplier, its decay, and the step of the run at which its moments began."""
        self.lr_multipliers, self.decays, self.first_steps = multipliers, decays, first_steps

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)  # type: ignore[attr-defined]
        rate = ops.cast(learning_rate, variable.dtype) * self.lr_multipliers[index]
        if self.decays[index]:
            self.assign_sub(variable, variable * rate * self.decays[index])  # type: ignore[attr-defined]
        super().update_step(gradient, variable, rate)  # type: ignore[misc]


class _Adam(keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015) whose bias correction counts the steps of each variable's moments separately.

    With TensorFlow, an update is one operation per variable. Keras uses about twelve operations, each of which
    processes the whole array.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        gradient = ops.cast(gradient, variable.dtype)
        first = self.first_steps[index] // (self.gradient_accumulation_steps or 1)
        step = ops.cast(self.iterations + 1 - first, variable.dtype)
        first, second = ops.power(self.beta_1, step), ops.power(self.beta_2, step)
        momentum, velocity = self._momentums[index], self._velocities[index]
        if backend.name() == "tensorflow":
            import tensorflow as tf

            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=momentum.value.handle, v=velocity.value.handle, beta1_power=first,
                beta2_power=second, lr=learning_rate, beta1=self.beta_1, beta2=self.beta_2, epsilon=self.epsilon,
                grad=gradient,
            )  # fmt: skip
            return
        self.assign_add(momentum, (gradient - momentum) * (1 - self.beta_1))
        self.assign_add(velocity, (ops.square(gradient) - velocity) * (1 - self.beta_2))
        rate = learning_rate * ops.sqrt(1 - second) / (1 - first)
        self.assign_sub(variable, momentum * rate / (ops.sqrt(velocity) + self.epsilon))


class GroupedAdam(ParameterGroups, _Adam):
    """Adam with parameter groups; AdamW for groups with a weight decay."""


class GroupedSgd(ParameterGroups, keras.optimizers.SGD):
    """SGD with parameter groups."""


def build(
    config: Config, network: Network, phase: Phase, variables: list[keras.Variable], steps_per_epoch: int,
    first_steps: Mapping[str, int], now: int = 0, position: Any = None,
    schedule: keras.optimizers.schedules.LearningRateSchedule | None = None,
) -> keras.optimizers.Optimizer:  # fmt: skip
    """Return the optimizer for the trainable `variables` of the network, or of its head, in this phase.

    The phase sets the learning rates of the base's blocks and of the head. Weight decay is decoupled (Loshchilov &
    Hutter 2019) and isn't applied to biases and normalization. `first_steps` maps variable names to the steps at which
    their moments began; all other moments begin at step `now`. If `now` is above 0, call `carry_over` to set the
    optimizer's step count. `position` is that of `Schedule`; another `schedule` replaces the config's.
    """
    chosen = config.optimizer
    if schedule is None:
        schedule = Schedule(config.schedule, chosen.lr, steps_per_epoch, config.trainer.epochs, position,
                            config.trainer.accumulate)  # fmt: skip
    common: dict[str, Any] = {"learning_rate": schedule, "clipnorm": chosen.clipnorm, "name": chosen.name}
    if config.trainer.accumulate > 1:
        common["gradient_accumulation_steps"] = config.trainer.accumulate
    optimizer: Any
    if isinstance(chosen, Sgd):
        optimizer = GroupedSgd(momentum=chosen.momentum, nesterov=chosen.momentum > 0, **common)
    else:
        optimizer = GroupedAdam(**common)
    if position is not None and backend.name() == "jax":
        optimizer._track_variable(position)  # otherwise, its present value becomes a constant of the compiled step
    rates = {id(variable): phase.backbone_lr for variable in network.base.trainable_variables}
    for block, rate in freezing.block_rates(network, phase):
        rates |= {id(variable): rate for layer in block.layers for variable in layer.trainable_variables}
    optimizer.set_groups(
        [rates.get(id(variable), phase.head_lr) for variable in variables],
        [chosen.weight_decay if is_decayed(variable) else 0.0 for variable in variables],
        [first_steps.get(name, now) for name in named(variables)],
    )
    return optimizer


def carry_over(optimizer: keras.optimizers.Optimizer, values: Mapping[str, np.ndarray]) -> None:
    """Set the optimizer's variables by name: the step count, and the moments of variables that are still trained.

    Moments without a value stay at zero. The optimizer must be built.
    """
    for name, variable in named(optimizer.variables).items():
        if name in values and tuple(variable.shape) == values[name].shape:
            variable.assign(values[name])
