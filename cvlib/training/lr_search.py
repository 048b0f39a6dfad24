"""The learning-rate range test: train while the rate grows exponentially, and look at the loss.

Reference: Smith, Cyclical Learning Rates for Training Neural Networks, WACV 2017, section 3.3. The rate grows
exponentially and the loss is smoothed, as is usual since fast.ai. The suggestion is a tenth of the rate at which the
smoothed loss is smallest: at that rate, the loss still falls, with a margin of ten to the rates at which it rises.

In `mode=finetune`, the head alone is tested first, as in the first phase of a run. It is then trained at its suggested
rate for as many steps, and the phase that also trains the base is tested on top of it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from cvlib.config.schema import Config, Finetune
from cvlib.models import run_state
from cvlib.runtime.errors import RunFailed
from cvlib.training import data_parallel, optimizer
from cvlib.transfer import freezing, regimes
from cvlib.transfer.regimes import Phase
from cvlib.viz import lr_curve, pictures

if TYPE_CHECKING:
    from cvlib.data.feed import Feed
    from cvlib.training.training import Training

FIRST, LAST, STEPS = 1e-6, 10.0, 100  # the tested rates, and the number of training steps for them
_SMOOTHING = 0.9  # weight of the earlier losses
_RISEN = 4.0  # the test ends when the smoothed loss is this many times its smallest value
_BURN_IN = 10  # steps before the test may end
_MARGIN = 10.0  # the suggestion is the rate of the smallest loss, divided by this


@dataclass(frozen=True)
class Curve:
    """The loss at growing learning rates.

    Attributes:
        part: what is trained: "network", "head" or "base".
        rates: the learning rate of each step, float `(steps,)`; for "head", that of the head.
        losses, smoothed: the training loss of each step, and its exponential average, float `(steps,)`.
        suggestion: the suggested rate, rounded to two digits.
    """

    part: str
    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    suggestion: float


@dataclass(frozen=True)
class Found:
    """The curves of a search, and the overrides that follow from them, such as `optimizer.lr` → 0.001."""

    curves: list[Curve]
    settings: dict[str, float]

    def rows(self) -> list[dict[str, Any]]:
        """Return the curves as rows of a table."""
        return [{"part": curve.part, "rate": float(rate), "loss": float(loss), "smoothed_loss": float(mean)}
                for curve in self.curves
                for rate, loss, mean in zip(curve.rates, curve.losses, curve.smoothed, strict=True)]  # fmt: skip

    def picture(self) -> np.ndarray:
        """Return the curves as a picture, uint8 `(height, width, 3)`."""
        return lr_curve.draw([(curve.part, curve.rates, curve.losses, curve.smoothed, curve.suggestion)
                              for curve in self.curves])  # fmt: skip

    def overrides(self) -> str:
        """Return the overrides as on the command line."""
        return " ".join(f"{key}={value:g}" for key, value in self.settings.items())

    def lines(self) -> list[str]:
        """Return a line for each curve."""
        return [f"{curve.part}: a learning rate of {curve.suggestion:g} (the loss is smallest at "
                f"{_MARGIN * curve.suggestion:.2g})" for curve in self.curves]  # fmt: skip


class _Ramp(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that grows exponentially from `first` to `last` in `steps` steps."""

    def __init__(self, first: float, last: float, steps: int):
        self.first, self.growth = first, (last / first) ** (1 / max(1, steps - 1))

    def __call__(self, step: Any) -> Any:
        return self.first * ops.power(self.growth, ops.cast(step, "float32"))

    def get_config(self) -> dict[str, Any]:
        return {"first": self.first, "growth": self.growth}


def search(training: Training, first: float, last: float, steps: int) -> Found:
    """Test rates from `first` to `last` in each phase of the mode; leave all weights exactly as before.

    Raises:
        RunFailed: if the loss falls at no rate.
    """
    model, config = training.network.model, training.config
    before = run_state.values(model.variables)
    curves: list[Curve] = []
    try:
        for phase in regimes.phases(config.mode, config.trainer.max_epochs):
            head = phase.base_is_frozen
            if curves and head:  # the whole base stays frozen: the phases differ in nothing
                break
            part = "head" if head else "base" if isinstance(config.mode, Finetune) else "network"
            scale = phase.head_lr if head else 1.0
            losses = _train(training, phase, _Ramp(first / scale, last / scale, steps), steps, end_early=True)
            curves.append(_curve(part, first * (last / first) ** (np.arange(len(losses)) / max(1, steps - 1)), losses))
            if head and isinstance(config.mode, Finetune):
                run_state.restore(model.variables, before, "weight")
                rate = curves[-1].suggestion / scale
                _train(training, phase, _Ramp(rate, rate, steps), steps)
    finally:
        run_state.restore(model.variables, before, "weight")
    return Found(curves, settings_of(config, curves))


def replace_auto(training: Training) -> None:
    """Replace `optimizer.lr=auto` in the training's config with the rates that a search finds, and record them.

    A resumed run takes the recorded rates, without another search.
    """
    record = training.record
    settings, earlier = record.summary.get("learning_rate_search"), ", as found when this run began"
    if settings is None:
        found, earlier = search(training, FIRST, LAST, STEPS), ""
        settings = found.settings
        record.write_csv("learning_rate.csv", found.rows())
        record.write_bytes("learning_rate.png", pictures.png(found.picture()))
        record.update(learning_rate_search=settings)
        for line in found.lines():
            record.say(line)
    record.say(f"optimizer.lr=auto: {' '.join(f'{key}={value:g}' for key, value in settings.items())}{earlier}")
    training.config = with_settings(training.config, settings)


def settings_of(config: Config, curves: list[Curve]) -> dict[str, float]:
    """Return the settings that give each phase its suggested rate."""
    rates = {curve.part: curve.suggestion for curve in curves}
    if "base" in rates:
        head = {"mode.head_lr": rounded(rates["head"] / rates["base"])} if "head" in rates else {}
        return {"optimizer.lr": rates["base"], **head}
    if "head" in rates:
        return {"optimizer.lr": rounded(rates["head"] / config.mode.head_lr)}  # type: ignore[attr-defined]
    return {"optimizer.lr": rates["network"]}


def with_settings(config: Config, settings: dict[str, float]) -> Config:
    """Return the config with the settings that a search found."""
    changed = dataclasses.replace(config, optimizer=dataclasses.replace(config.optimizer, lr=settings["optimizer.lr"]))
    if "mode.head_lr" in settings:
        mode: Any = config.mode
        changed = dataclasses.replace(changed, mode=dataclasses.replace(mode, head_lr=settings["mode.head_lr"]))
    return changed


def smoothed(losses: np.ndarray) -> np.ndarray:
    """Return the exponential average of the losses, float `(steps,)`, corrected for its start at 0."""
    mean, found = 0.0, []
    for step, loss in enumerate(losses, start=1):
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * float(loss)
        found.append(mean / (1 - _SMOOTHING**step))
    return np.asarray(found)


def suggested(rates: np.ndarray, means: np.ndarray) -> float:
    """Return a tenth of the rate with the smallest smoothed loss; raise `RunFailed` if the loss never falls."""
    least = int(np.argmin(means))
    if least == 0:
        raise RunFailed(f"the loss falls at no learning rate between {rates[0]:g} and {rates[-1]:g}: check the data "
                        "and its labels, or set optimizer.lr")  # fmt: skip
    return rounded(float(rates[least]) / _MARGIN)


def rounded(rate: float) -> float:
    """Return the rate, rounded to two significant digits."""
    return float(f"{rate:.1e}")


def _curve(part: str, rates: np.ndarray, losses: np.ndarray) -> Curve:
    means = smoothed(losses)
    return Curve(part, rates, losses, means, suggested(rates, means))


def _train(training: Training, phase: Phase, ramp: _Ramp, steps: int, end_early: bool = False) -> np.ndarray:
    """Train the phase's layers for at most `steps` steps; return the finite losses, float `(steps,)`."""
    freezing.apply(training.network, phase)
    model = training.fitted.model
    variables = model.trainable_variables
    built = optimizer.build(
        training.config, training.network, phase, variables, training.train.steps, {}, schedule=ramp
    )
    built.build(variables)
    arguments = training.task.compile_arguments(training.network, training.config, training.class_weights)
    model.compile(optimizer=built, jit_compile=training.compiled, **arguments)
    losses: list[float] = []
    for batch in batches(training.fitted.train, training.targets, steps):
        model.reset_metrics()
        loss = float(model.train_on_batch(*batch, return_dict=True)["loss"])
        if not math.isfinite(loss):
            break
        losses.append(loss)
        means = smoothed(np.asarray(losses))
        if end_early and len(losses) > _BURN_IN and means[-1] > _RISEN * means.min():
            break
    if not losses:
        raise RunFailed("the loss isn't finite before the first step: check the data")
    return np.asarray(losses)


def batches(feed: Feed, targets: Callable[[Any], Any], steps: int) -> Iterator[Any]:
    """Yield the first `steps` training batches for Keras, in the order in which a run uses them."""
    done, epoch = 0, 0
    while done < steps:
        feed.epoch(epoch, 0)
        for batch in data_parallel.batches(feed, targets):
            yield batch
            done += 1
            if done == steps:
                return
        epoch += 1
