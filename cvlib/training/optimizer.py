"""The update rule: Keras' optimizers with a rate per part of the network, and the schedule over the steps."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from cvlib.config.schema import Config, ScheduleConfig
from cvlib.transfer import freezing as modes

_NOT_DECAYED = ("bias", "gamma", "beta")


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate at each step of the whole run, also in an optimizer that starts later in it.

    Args:
        config: which curve; linear warm-up comes before it.
        peak: the rate at the end of the warm-up.
        steps_per_epoch, epochs: the length of the run.
        first_step: how many steps of the run came before this optimizer's first.
    """

    def __init__(self, config: ScheduleConfig, peak: float, steps_per_epoch: int, epochs: int, first_step: int = 0):
        self.config, self.peak, self.first_step = config, peak, first_step
        self.steps_per_epoch, self.total = steps_per_epoch, steps_per_epoch * epochs
        self.warmup = config.warmup_epochs * steps_per_epoch

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32") + float(self.first_step)
        warming = ops.minimum(1.0, (step + 1.0) / self.warmup) if self.warmup else 1.0
        return self.peak * warming * self._curve(step)

    def _curve(self, step: Any) -> Any:
        config = self.config
        if config.name == "cosine":
            share = ops.clip((step - self.warmup) / max(1.0, self.total - self.warmup), 0.0, 1.0)
            return config.final + (1.0 - config.final) * 0.5 * (1.0 + ops.cos(math.pi * share))
        if config.name == "step":
            drops = ops.floor(step / float(config.every * self.steps_per_epoch))
            return ops.power(config.factor, drops)
        return 1.0

    def get_config(self) -> dict[str, Any]:
        return {"config": vars(self.config), "peak": self.peak, "first_step": self.first_step,
                "steps_per_epoch": self.steps_per_epoch, "epochs": self.total // self.steps_per_epoch}  # fmt: skip


class FusedAdam(keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015) by TensorFlow's one operation a variable, where Keras' dozen each go through it all."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        import tensorflow as tf

        index = self._get_variable_index(variable)
        step = ops.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle, m=self._momentums[index].value.handle, v=self._velocities[index].value.handle,
            beta1_power=ops.power(self.beta_1, step), beta2_power=ops.power(self.beta_2, step), lr=learning_rate,
            beta1=self.beta_1, beta2=self.beta_2, epsilon=self.epsilon, grad=ops.cast(gradient, variable.dtype),
        )  # fmt: skip


def _with_parts(base: type[keras.optimizers.Optimizer]) -> type[keras.optimizers.Optimizer]:
    """`base`, with a multiplier of the rate and a decoupled weight decay for each variable."""

    class Parted(base):
        def set_parts(self, multipliers: list[float], decays: list[float]) -> None:
            self._multipliers, self._decays = multipliers, decays

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            index = self._get_variable_index(variable)
            rate = ops.cast(learning_rate, variable.dtype) * self._multipliers[index]
            if self._decays[index]:
                self.assign_sub(variable, variable * rate * self._decays[index])
            super().update_step(gradient, variable, rate)

    return Parted


def build(
    config: Config, model: keras.Model, steps_per_epoch: int, first_step: int,
    variables: list[keras.Variable] | None = None,
) -> keras.optimizers.Optimizer:  # fmt: skip
    """The optimizer for the model's present trainable variables, in the order of `variables` where it is given.

    Base and head learn at the rates of their mode. Weight decay is decoupled (Loshchilov &
    Hutter 2019) and leaves biases and normalization out.
    """
    chosen = config.optimizer
    schedule = Schedule(config.schedule, chosen.lr, steps_per_epoch, config.trainer.epochs, first_step)
    common = {"learning_rate": schedule, "clipnorm": chosen.clipnorm}
    if chosen.name == "sgd":
        optimizer = _with_parts(keras.optimizers.SGD)(momentum=chosen.momentum, nesterov=chosen.momentum > 0, **common)
    else:
        fused = keras.config.backend() == "tensorflow"
        optimizer = _with_parts(FusedAdam if fused else keras.optimizers.Adam)(**common)
    in_base = {id(variable) for variable in model.get_layer("backbone").trainable_variables}
    variables = variables or model.trainable_variables
    base_rate, head_rate = modes.multipliers(model, config.mode)
    optimizer.set_parts(
        [base_rate if id(variable) in in_base else head_rate for variable in variables],
        [0.0 if variable.name in _NOT_DECAYED else chosen.weight_decay for variable in variables],
    )
    return optimizer
