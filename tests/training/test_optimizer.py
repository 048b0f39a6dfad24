"""Schedules, rates and moments compared with numbers computed by hand and with NumPy."""

from __future__ import annotations

import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from cvlib.config.schema import (
    OPTIMIZERS,
    Adam,
    AdamW,
    Config,
    Constant,
    Cosine,
    OptimizerConfig,
    ScheduleConfig,
    Sgd,
    Step,
    TrainerConfig,
)  # fmt: skip
from cvlib.models import run_state
from cvlib.models.network import Network
from cvlib.training import optimizer
from cvlib.training.averages import Averages
from cvlib.training.optimizer import Schedule
from cvlib.transfer.regimes import Phase
from tests.configs import model_config
from tests.networks import network_around

WHOLE = Phase(0, 1, backbone_lr=0.1)


def rates(config: ScheduleConfig, steps: list[int]) -> list[float]:
    schedule = Schedule(config, peak=0.1, steps_per_epoch=10, epochs=4)
    return [float(schedule(step)) for step in steps]


def test_the_constant_schedule_by_hand() -> None:
    assert rates(Constant(), [0, 39]) == pytest.approx([0.1, 0.1])


def test_the_cosine_schedule_with_warmup_by_hand() -> None:
    config = Cosine(warmup_epochs=1, final=0.5)
    expected = [0.01, 0.1, 0.1, 0.1 * (0.5 + 0.5 * 0.5 * (1 + math.cos(math.pi * 0.5))), 0.05]
    assert rates(config, [0, 9, 10, 25, 40]) == pytest.approx(expected, rel=1e-5)


def test_the_step_schedule_by_hand() -> None:
    assert rates(Step(every=2, factor=0.1), [0, 19, 20, 39, 40]) == pytest.approx(
        [0.1, 0.1, 0.01, 0.01, 0.001], rel=1e-5
    )


@pytest.fixture
def network() -> Network:
    inner = keras.Input((1,))
    backbone = keras.Model(inner, keras.layers.Dense(1, name="base", kernel_initializer="ones")(inner), name="backbone")
    pixels = keras.Input((1,))
    logits = keras.layers.Dense(1, name="logits", kernel_initializer="ones")
    return network_around(keras.Model(pixels, logits(backbone(pixels))))


def one_step(network: Network, chosen: OptimizerConfig, phase: Phase = WHOLE) -> list[float]:
    """Return the trainable variables after one step with gradients of 1; kernels start at 1, biases at 0."""
    variables = network.model.trainable_variables
    built = optimizer.build(
        Config(model_config(), optimizer=chosen), network, phase, variables, steps_per_epoch=10, first_steps={}
    )
    built.apply([keras.ops.ones_like(variable) for variable in variables], variables)
    return [float(keras.ops.convert_to_numpy(variable).squeeze()) for variable in variables]


def test_the_base_learns_at_its_own_rate_with_sgd(network: Network) -> None:
    after = sorted(one_step(network, Sgd(lr=0.5, momentum=0.0)))
    assert after == pytest.approx([-0.5, -0.05, 0.5, 0.95])


def test_the_base_learns_at_its_own_rate_with_adam(network: Network) -> None:
    after = sorted(one_step(network, Adam(lr=0.5)))
    assert after == pytest.approx([-0.5, -0.05, 0.5, 0.95], abs=1e-5)


def test_each_block_of_the_base_learns_at_its_own_rate() -> None:
    inner = keras.Input((1,))
    x = keras.layers.Dense(1, name="low", kernel_initializer="ones")(inner)
    x = keras.layers.Dense(1, name="middle", kernel_initializer="ones")(x)
    backbone = keras.Model(inner, keras.layers.Dense(1, name="top", kernel_initializer="ones")(x), name="backbone")
    pixels = keras.Input((1,))
    logits = keras.layers.Dense(1, name="logits", kernel_initializer="ones")
    deep = network_around(keras.Model(pixels, logits(backbone(pixels))))
    after = one_step(deep, Sgd(lr=1.0, momentum=0.0), Phase(0, 1, backbone_lr=0.4, layer_decay=0.5))
    # kernel and bias of low, middle, top and head: rates 0.1, 0.2, 0.4 and 1
    assert after == pytest.approx([0.9, -0.1, 0.8, -0.2, 0.6, -0.4, 0.0, -1.0])


def test_a_head_that_learns_alone_has_its_own_rate(network: Network) -> None:
    network.base.get_layer("base").trainable = False
    after = one_step(network, Sgd(lr=0.05, momentum=0.0), Phase(0, 1, "all", head_lr=10))
    assert after == pytest.approx([0.5, -0.5])


def test_weight_decay_is_decoupled_scaled_by_the_rate_and_spares_biases(network: Network) -> None:
    after = sorted(one_step(network, AdamW(lr=0.5, weight_decay=0.2)))
    # kernels also shrink by rate · decay: 0.5 · 0.2 in the head, 0.05 · 0.2 in the base
    assert after == pytest.approx([-0.5, -0.05, 0.4, 0.94], abs=1e-5)


@pytest.mark.parametrize("kind", OPTIMIZERS.values())
def test_no_optimizer_decays_biases_and_normalization(kind: type[OptimizerConfig]) -> None:
    inner = keras.Input((4, 4, 2))
    x = keras.layers.Conv2D(3, 3, name="conv", bias_initializer="ones")(inner)
    x = keras.layers.BatchNormalization(name="norm", beta_initializer="ones")(x)
    x = keras.layers.DepthwiseConv2D(2, name="depthwise", bias_initializer="ones")(x)
    x = keras.layers.LayerNormalization(name="layer_norm", beta_initializer="ones")(x)
    pixels = keras.Input((4, 4, 2))
    features = keras.Model(inner, keras.layers.Flatten(name="flat")(x), name="backbone")(pixels)
    logits = keras.layers.Dense(2, name="logits", bias_initializer="ones")
    network = network_around(keras.Model(pixels, logits(features)))
    variables = network.model.trainable_variables
    before = run_state.values(variables)
    chosen = kind(lr=0.5, weight_decay=0.1)
    built = optimizer.build(Config(model_config(), optimizer=chosen), network, Phase(0, 1), variables, 10, {})
    built.apply([keras.ops.zeros_like(variable) for variable in variables], variables)
    for name, value in run_state.values(variables).items():
        left = 0.95 if name.endswith("kernel") else 1.0
        np.testing.assert_allclose(value, left * before[name], rtol=1e-6, err_msg=name)
    assert sum(name.endswith("kernel") for name in before) == 3 and len(before) == 10


def test_each_gradient_is_clipped_to_the_norm(network: Network) -> None:
    variables = network.model.trainable_variables
    chosen = Sgd(lr=1.0, momentum=0.0, clipnorm=0.25)
    built = optimizer.build(
        Config(model_config(), optimizer=chosen), network, Phase(0, 1), variables, 10, first_steps={}
    )
    built.apply([keras.ops.full(variable.shape, 3.0) for variable in variables], variables)
    after = sorted(float(keras.ops.convert_to_numpy(variable).squeeze()) for variable in variables)
    assert after == pytest.approx([-0.25, -0.25, 0.75, 0.75])


def test_adam_in_one_operation_equals_adam_by_hand() -> None:
    random = np.random.default_rng(0)
    variables = [keras.Variable(random.normal(size=shape).astype("float32")) for shape in ((3, 4), (5,))]
    adam = optimizer.GroupedAdam(0.01, beta_1=0.8, beta_2=0.95, epsilon=1e-3)
    adam.set_groups([1.0, 1.0], [0.0, 0.0], [0, 0])
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


class NumpyAdam:
    """Adam that counts the steps of each variable separately, from the variable's first step."""

    def __init__(self) -> None:
        self.m: dict[str, np.ndarray] = {}
        self.v: dict[str, np.ndarray] = {}
        self.steps: dict[str, int] = {}

    def update(self, name: str, value: np.ndarray, gradient: np.ndarray, rate: float) -> np.ndarray:
        self.m[name] = 0.9 * self.m.get(name, 0.0) + 0.1 * gradient
        self.v[name] = 0.999 * self.v.get(name, 0.0) + 0.001 * gradient**2
        t = self.steps[name] = self.steps.get(name, 0) + 1
        mean, spread = self.m[name] / (1 - 0.9**t), self.v[name] / (1 - 0.999**t)
        return value - rate * mean / (np.sqrt(spread) + 1e-7 / math.sqrt(1 - 0.999**t))


class NumpyNesterov:
    """SGD with Nesterov momentum: the velocity holds the rate of the step at which it was added."""

    def __init__(self) -> None:
        self.velocity: dict[str, np.ndarray] = {}

    def update(self, name: str, value: np.ndarray, gradient: np.ndarray, rate: float) -> np.ndarray:
        self.velocity[name] = 0.9 * self.velocity.get(name, 0.0) - rate * gradient
        return value + 0.9 * self.velocity[name] - rate * gradient


def curve(step: int) -> float:
    """Return the rate of a step in a run of 8 steps: half a cosine that starts at 0.01."""
    return 0.01 * 0.5 * (1 + math.cos(math.pi * step / 8))


PHASES = [Phase(0, 3, "all", head_lr=10), Phase(3, 8, None, backbone_lr=0.1)]


def phase_of(network: Network, number: int, chosen: OptimizerConfig,
             first_steps: dict[str, int]) -> keras.optimizers.Optimizer:  # fmt: skip
    """Return the optimizer of a phase. The base is frozen in the first phase. An epoch has one step."""
    network.base.trainable = number > 0
    whole = Config(model_config(), optimizer=chosen, schedule=Cosine(), trainer=TrainerConfig(epochs=8))
    variables = network.model.trainable_variables
    built = optimizer.build(whole, network, PHASES[number], variables, 1, first_steps, now=PHASES[number].start)
    built.build(variables)
    return built


@pytest.mark.parametrize(("chosen", "by_hand"), [(Adam(lr=0.01), NumpyAdam), (Sgd(lr=0.01), NumpyNesterov)])
def test_moments_of_variables_that_keep_learning_carry_over(network: Network, chosen: OptimizerConfig,
                                                            by_hand: type[NumpyAdam]) -> None:  # fmt: skip
    random, reference = np.random.default_rng(0), by_hand()
    model = network.model
    expected = {name: np.array(value, np.float64) for name, value in run_state.values(model.variables).items()}
    built = phase_of(network, 0, chosen, {})
    learned_first = run_state.named(model.trainable_variables)
    assert list(learned_first) == ["logits/kernel", "logits/bias"]
    for step in range(8):
        if step == 3:
            earlier = run_state.values(built.variables)
            built = phase_of(network, 1, chosen, dict.fromkeys(learned_first, 0))
            optimizer.carry_over(built, earlier)
            assert len(model.trainable_variables) == 4
        assert int(built.iterations) == step
        assert float(built.learning_rate) == pytest.approx(curve(step), rel=1e-5)
        variables = model.trainable_variables
        gradients = [random.normal(size=variable.shape) for variable in variables]
        built.apply([tf.constant(gradient, tf.float32) for gradient in gradients], variables)
        phase = PHASES[int(step >= 3)]
        for variable, gradient in zip(variables, gradients, strict=True):
            rate = curve(step) * (phase.head_lr if "logits" in variable.path else phase.backbone_lr)
            expected[variable.path] = reference.update(variable.path, expected[variable.path], gradient, rate)
        for name, value in run_state.values(model.variables).items():
            np.testing.assert_allclose(value, expected[name], rtol=2e-5, atol=1e-6, err_msg=f"{name}, step {step}")


@pytest.mark.parametrize("chosen", [Sgd(lr=0.1, momentum=0.9), Adam(lr=0.1), AdamW(lr=0.1, weight_decay=0.1)])
def test_accumulated_batches_equal_one_large_batch(chosen: OptimizerConfig) -> None:
    random = np.random.default_rng(0)
    images, labels = random.normal(size=(24, 3)).astype("f4"), random.normal(size=(24, 1)).astype("f4")
    start = random.normal(size=(3, 1)).astype("f4")

    def trained(batch: int, accumulate: int) -> list[np.ndarray]:
        """Return the weights and their averages after two epochs, with warm-up, cosine and clipping."""
        inner = keras.Input((3,))
        base = keras.Model(inner, inner, name="backbone")
        pixels = keras.Input((3,))
        model = keras.Model(pixels, keras.layers.Dense(1, name="logits")(base(pixels)))
        model.layers[-1].set_weights([start, np.zeros(1, "f4")])
        trainer = TrainerConfig(epochs=2, accumulate=accumulate)
        config = Config(model_config(), optimizer=dataclasses.replace(chosen, clipnorm=0.5),
                        schedule=Cosine(warmup_epochs=0.5), trainer=trainer)  # fmt: skip
        built = optimizer.build(config, network_around(model), WHOLE, model.trainable_variables, 24 // batch, {})
        built.build(model.trainable_variables)
        built.averages = Averages(model, 0.5, {})
        model.compile(built, "mse")
        model.fit(images, labels, batch_size=batch, epochs=2, shuffle=False, verbose=0)
        return [*model.get_weights(), *built.averages.values().values()]

    for few, whole in zip(trained(3, 4), trained(12, 1), strict=True):
        np.testing.assert_allclose(few, whole, rtol=1e-4, atol=1e-6)
