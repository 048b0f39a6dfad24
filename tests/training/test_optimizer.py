"""Schedules and rates against numbers worked out by hand."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from cvlib.config.schema import Config, ModeConfig, OptimizerConfig, ScheduleConfig, TrainerConfig
from cvlib.training import optimizer
from cvlib.training.optimizer import Schedule


def rates(config: ScheduleConfig, steps: list[int], first_step: int = 0) -> list[float]:
    schedule = Schedule(config, peak=0.1, steps_per_epoch=10, epochs=4, first_step=first_step)
    return [float(schedule(step)) for step in steps]


def test_constant() -> None:
    assert rates(ScheduleConfig(), [0, 39]) == pytest.approx([0.1, 0.1])


def test_cosine_with_warmup() -> None:
    config = ScheduleConfig("cosine", warmup_epochs=1, final=0.5)
    expected = [0.01, 0.1, 0.1, 0.1 * (0.5 + 0.5 * 0.5 * (1 + math.cos(math.pi * 0.5))), 0.05]
    assert rates(config, [0, 9, 10, 25, 40]) == pytest.approx(expected, rel=1e-5)


def test_steps() -> None:
    assert rates(ScheduleConfig("step", every=2, factor=0.1), [0, 19, 20, 39, 40]) == pytest.approx(
        [0.1, 0.1, 0.01, 0.01, 0.001], rel=1e-5
    )


def test_an_optimizer_that_starts_later_goes_on_along_the_same_curve() -> None:
    config = ScheduleConfig("cosine", warmup_epochs=0.5)
    whole = rates(config, list(range(40)))
    assert rates(config, list(range(30)), first_step=10) == pytest.approx(whole[10:])


@pytest.fixture
def model() -> keras.Model:
    inner = keras.Input((1,))
    backbone = keras.Model(inner, keras.layers.Dense(1, name="base", kernel_initializer="ones")(inner), name="backbone")
    pixels = keras.Input((1,))
    return keras.Model(pixels, keras.layers.Dense(1, name="logits", kernel_initializer="ones")(backbone(pixels)))


def one_step(model: keras.Model, config: OptimizerConfig, backbone_lr: float) -> list[float]:
    """Weights in ascending order after one step with gradients of 1; kernels start at 1, biases at 0."""
    whole = Config(optimizer=config, mode=ModeConfig(backbone_lr=backbone_lr), trainer=TrainerConfig(epochs=1))
    built = optimizer.build(whole, model, steps_per_epoch=10, first_step=0)
    built.apply([keras.ops.ones_like(v) for v in model.trainable_variables], model.trainable_variables)
    return sorted(float(keras.ops.convert_to_numpy(v).squeeze()) for v in model.trainable_variables)


def test_the_base_learns_at_its_own_rate_with_sgd(model: keras.Model) -> None:
    after = one_step(model, OptimizerConfig("sgd", lr=0.5, momentum=0.0), backbone_lr=0.1)
    assert after == pytest.approx([-0.5, -0.05, 0.5, 0.95])


def test_the_base_learns_at_its_own_rate_with_adam(model: keras.Model) -> None:
    after = one_step(model, OptimizerConfig("adam", lr=0.5), backbone_lr=0.1)
    assert after == pytest.approx([-0.5, -0.05, 0.5, 0.95], abs=1e-5)


def test_a_head_that_learns_alone_has_its_own_rate(model: keras.Model) -> None:
    model.get_layer("backbone").get_layer("base").trainable = False
    whole = Config(optimizer=OptimizerConfig("sgd", lr=0.05, momentum=0.0), mode=ModeConfig(head_lr=10))
    built = optimizer.build(whole, model, steps_per_epoch=10, first_step=0)
    built.apply([keras.ops.ones_like(v) for v in model.trainable_variables], model.trainable_variables)
    after = [float(keras.ops.convert_to_numpy(v).squeeze()) for v in model.trainable_variables]
    assert after == pytest.approx([0.5, -0.5])


def test_weight_decay_is_decoupled_scaled_by_the_rate_and_spares_biases(model: keras.Model) -> None:
    after = one_step(model, OptimizerConfig("adamw", lr=0.5, weight_decay=0.2), backbone_lr=0.1)
    # kernels also shrink by rate · decay: 0.5 · 0.2 in the head, 0.05 · 0.2 in the base
    assert after == pytest.approx([-0.5, -0.05, 0.4, 0.94], abs=1e-5)


def test_adam_in_one_operation_is_adam_by_hand() -> None:
    random = np.random.default_rng(0)
    variables = [keras.Variable(random.normal(size=shape).astype("float32")) for shape in ((3, 4), (5,))]
    adam = optimizer.FusedAdam(0.01, beta_1=0.8, beta_2=0.95, epsilon=1e-3)
    adam.build(variables)
    graph = tf.function(lambda *gradients: adam.apply(list(gradients)))
    expected = [np.array(variable, np.float64) for variable in variables]
    m, v = ([np.zeros_like(value) for value in expected] for _ in range(2))
    for step in range(1, 6):
        gradients = [random.normal(size=value.shape).astype("float32") for value in expected]
        graph(*map(tf.constant, gradients))
        for i, gradient in enumerate(gradients):
            m[i], v[i] = 0.8 * m[i] + 0.2 * gradient, 0.95 * v[i] + 0.05 * gradient.astype(np.float64) ** 2
            rate = 0.01 * math.sqrt(1 - 0.95**step) / (1 - 0.8**step)
            expected[i] -= rate * m[i] / (np.sqrt(v[i]) + 1e-3)
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, rtol=1e-5, atol=1e-6)
    operations = graph.get_concrete_function(*map(tf.constant, gradients)).graph.get_operations()
    assert "ResourceApplyAdam" in {operation.type for operation in operations}
