"""The training loop: phases, epochs, validation, checkpoints and resume."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any

from cvlib import tasks
from cvlib.data.waiting import Waiting
from cvlib.models import run_state
from cvlib.models.run_state import FORM, Parts, RunState
from cvlib.runtime import backend, processes
from cvlib.runtime.clock import Announcement
from cvlib.runtime.errors import UserError
from cvlib.training import data_parallel, interrupt, more_epochs, optimizer, reporting
from cvlib.training.averages import Averages, AveragesOnJax
from cvlib.training.budget import Budget, BudgetClock
from cvlib.training.callbacks import Estimate, LiveLine, MidEpochCheckpoint, NonFiniteGuard, diverged, learning_rate
from cvlib.training.interrupt import Stop
from cvlib.training.tensorboard import Profile
from cvlib.training.training import Training
from cvlib.transfer import freezing
from cvlib.transfer.regimes import Phase

_VALIDATION_COST = 1 / 3  # cost of a validation batch, which needs no gradients, relative to that of a training step


def fit(training: Training, state: RunState, parts: Parts) -> RunState:
    """Train to the last epoch or until patience runs out; return the final state.

    `state` and `parts` come from the newest checkpoint. Raises `Diverged` if the loss isn't finite, `RunFailed` if a
    frozen weight has changed, and `KeyboardInterrupt` on a stop request, after the last step is saved.
    """
    if state.epoch + state.within and state.form != FORM:
        raise UserError(f"{training.record.folder} holds an unfinished run of an earlier version, which can't be "
                        "resumed: choose another hydra.run.dir to start a new run")  # fmt: skip
    if state.epoch + state.within:
        run_state.restore(training.network.model.variables, parts.weights, "weight")
    phases = freezing.phases(training.network, training.config.mode, training.config.trainer.max_epochs)
    if training.config.trainer.minutes is not None:
        training.budget = Budget(training.config.trainer, _VALIDATION_COST * training.fitted.val.steps)
        training.budget.begin(state)
    more_epochs.announce(training.config, state, training.train.steps, training.record.say)
    if not state.epoch + state.within:
        reporting.note_limits(training, phases)
    for number, phase in enumerate(phases):
        if state.stopped or state.epoch >= phase.end or number < state.phases_over:
            continue
        _begin_phase(training, number, phase, state, parts)
        before = freezing.frozen_hashes(training.network)
        with interrupt.deferred() as stop:
            while state.epoch < phase.end and not state.stopped and number >= state.phases_over:
                _epoch(training, state, parts, stop, phase, last=phase is phases[-1])
        verified = freezing.verify_frozen(before, freezing.frozen_hashes(training.network))
        if verified:
            training.record.say(f"verified by hash: none of {verified} frozen weights has changed")
    return state


def _begin_phase(training: Training, number: int, phase: Phase, state: RunState, parts: Parts) -> None:
    """Freeze the phase's layers, compile the model, and restore the optimizer's state.

    The optimizer of a new phase keeps the step count and the moments of the variables that the previous phase trained.
    """
    freezing.apply(training.network, phase)
    model = training.fitted.model
    variables, resumed = model.trainable_variables, state.phase == number
    before = parts.optimizer
    if not resumed and state.phase >= 0 and getattr(model, "optimizer", None) is not None:
        before = run_state.values(model.optimizer.variables)
    if not resumed:
        state.phase_start = state.epoch
        earlier = state.first_steps
        state.first_steps = {name: earlier.get(name, state.step) for name in run_state.named(variables)}
    new_optimizer = optimizer.build(
        training.config, training.network, phase, variables, training.train.steps, state.first_steps,
        position=None if training.budget is None else training.budget.position,
    )  # fmt: skip
    new_optimizer.build(variables)
    training.averages = _averages(training, parts)
    if backend.name() == "tensorflow":
        new_optimizer.averages = training.averages
    if resumed:
        run_state.restore(new_optimizer.variables, before, "optimizer variable")
    else:
        optimizer.carry_over(new_optimizer, before)
    task_arguments = training.task.compile_arguments(training.network, training.config, training.class_weights)
    model.compile(optimizer=new_optimizer, jit_compile=training.compiled, **task_arguments)
    epoch_cost = training.fitted.train.steps + _VALIDATION_COST * training.fitted.val.steps
    steps = (phase.end - state.epoch) * epoch_cost - state.within
    if training.budget is None:
        training.estimate = Estimate(Announcement("these epochs take", steps, training.record.say))
    state.phase = number
    reporting.announce(training, phase, state.epoch)


def _averages(training: Training, parts: Parts) -> Averages | None:
    """Return the averages of a new phase, which continue those of the earlier phase or of the checkpoint."""
    decay = training.config.trainer.ema
    if decay is None:
        return None
    earlier = parts.averages if training.averages is None else training.averages.values()
    return Averages(training.fitted.model, decay, earlier)


def _epoch(training: Training, state: RunState, parts: Parts, stop: Stop, phase: Phase, last: bool) -> None:
    """Train and validate one epoch of a phase; `last` tells whether it is the run's last phase."""
    model, budget = training.fitted.model, training.budget
    if budget is not None:
        budget.begin(state)
    started = time.monotonic()
    waiting = Waiting()
    logs = _train_epoch(training, state, parts, stop, waiting)
    trained = time.monotonic() - started
    values = processes.from_first(lambda: _validate(training, state, stop))
    if not math.isfinite(values.get("loss", 0.0)):  # the training loss never reflects the last update
        raise diverged(f"the validation loss became {values['loss']} after epoch {state.epoch + 1}", model)
    images = max(0, training.train.images - state.within * training.train.batch_size)
    steps = training.train.steps
    if budget is not None:
        budget.validated()
        steps = state.cut_at or state.within + budget.steps
        images = min(images, budget.steps * training.train.batch_size)
    state.epoch, state.within, state.cut_at, state.step = state.epoch + 1, 0, 0, state.step + steps
    state.seconds += trained
    state.waited += waiting.seconds
    state.images += images
    row = {
        "epoch": state.epoch,
        **{f"train/{name}": value for name, value in training.task.training_metrics(logs).items()},
        **{f"val/{name}": value for name, value in values.items()},
        **reporting.rates(training, phase, learning_rate(model)),
        "seconds": round(time.monotonic() - started, 3),
    }
    row, stopping = processes.from_first(lambda: (row, stop.requested))
    state.rows.append(row)
    better = _keep_if_best(training, state, row, last)
    reporting.report(training, state, row, better, images / trained)
    if budget is not None:
        budget.spend(state, last, training.record)
    # Save last: if the process is killed before this, the epoch is repeated and its records are written again.
    _save(training, state)
    if training.on_epoch is not None:
        training.on_epoch(state.epoch, row)
    if stopping:
        raise KeyboardInterrupt


def _train_epoch(
    training: Training, state: RunState, parts: Parts, stop: Stop, waiting: Waiting
) -> dict[str, float]:  # fmt: skip
    """Train one epoch, or the rest of a resumed one, and return its metrics.

    `parts` holds the metrics of the steps before the resume. `waiting` counts the time without a batch.
    """
    model, train, trainer = training.fitted.model, training.fitted.train, training.config.trainer
    first = state.within  # equal to `train.steps` if only the epoch's validation is missing
    progress = training.budget.share if training.budget else state.epoch / trainer.epochs
    train.epoch(state.epoch, first % train.steps, mosaics=progress < training.config.augment.mosaic_until)
    stream = waiting.timed(data_parallel.batches(train, training.targets, first % train.steps))

    def save(done: int) -> None:
        _save(training, dataclasses.replace(state, within=done, **_spent(training)))

    def begin() -> None:
        if first:
            run_state.restore(model.metrics_variables, parts.metrics, "metric")

    if first:
        another = data_parallel.batches(train, training.targets, first % train.steps)
        model.test_on_batch(*next(iter(another)))  # Keras creates the metrics' variables on first use
    if first == train.steps:
        begin()
        return {name: float(value) for name, value in model.get_metrics_result().items()}

    budget = training.budget
    line = LiveLine(state.epoch, trainer.epochs if budget is None else None, first, train.steps, train.batch_size)
    callbacks: list[Any] = [NonFiniteGuard(state.epoch, first), *([] if processes.number() else [line])]
    if training.averages is not None and backend.name() == "jax":
        callbacks.append(AveragesOnJax(training.averages))
    callbacks.append(MidEpochCheckpoint(state.epoch, first, trainer.checkpoint_every, begin, save, stop))
    if budget is not None:
        callbacks.append(BudgetClock(budget))
    if training.estimate is not None:
        callbacks.append(training.estimate)
        training.estimate = None
    if trainer.profile_steps and not processes.number():
        callbacks.append(Profile(training.board.folder, trainer.profile_steps, state.step + first))
    steps = None if hasattr(stream, "element_spec") else train.steps - first  # a generator has no length
    history = model.fit(stream, epochs=state.epoch + 1, initial_epoch=state.epoch, verbose=0, shuffle=False,
                        callbacks=callbacks, steps_per_epoch=steps)  # fmt: skip
    return {name: values[-1] for name, values in history.history.items()}


def _validate(training: Training, state: RunState, stop: Stop) -> dict[str, float]:
    """Return the validation metrics. On a signal, stop immediately and save the epoch as trained."""
    training.fitted.val.epoch(state.epoch)
    try:
        with training.averaged(), data_parallel.alone(training.fitted.validated):
            return _evaluate(training, stop)
    except KeyboardInterrupt:
        if training.averages is not None:
            training.averages.put_back()  # a second signal may have interrupted this
        cut_at = state.cut_at or state.within + training.budget.steps if training.budget else 0
        trained = dataclasses.replace(state, within=training.fitted.train.steps, cut_at=cut_at, **_spent(training))
        _save(training, trained)
        raise


def _evaluate(training: Training, stop: Stop) -> dict[str, float]:
    fitted, rule = training.fitted, tasks.threshold_rule(training.config)
    stop.at_once = True
    try:
        if stop.requested:
            raise KeyboardInterrupt
        predictions = training.task.validate(fitted.validated, fitted.val, training.classes, training.network)
        return predictions.tuned(rule).metrics()
    finally:
        stop.at_once = False


def _save(training: Training, state: RunState) -> None:
    """Write a checkpoint with the raw weights and, if there are any, the averaged weights."""
    if processes.number():
        return
    training.record.check_place()
    averages = training.averages.values() if training.averages is not None else None
    run_state.save(training.checkpoints, state, training.network.model, training.fitted.model, averages)


def _spent(training: Training) -> dict[str, Any]:
    """Return the field of `RunState` with the time used, for a checkpoint within an epoch."""
    return {} if training.budget is None else {"budget_used": training.budget.used}


def _keep_if_best(training: Training, state: RunState, row: dict[str, Any], last_phase: bool) -> bool:
    """Keep the weights if the epoch is the best so far; with `trainer.kept_epoch=last`, after every epoch.

    The loss breaks ties of the monitor, because accuracies of small splits often tie.
    """
    trainer, monitor = training.config.trainer, training.monitor
    sign = 1.0 if training.task.metric(monitor).higher_is_better else -1.0
    value = [sign * row[monitor], -row.get("val/loss", row["train/loss"])]
    better = trainer.kept_epoch == "last" or not state.best or value > state.best
    if better:
        state.best, state.best_epoch = value, state.epoch
        if not processes.number():
            training.record.check_place()
            with training.averaged():
                run_state.save_best(training.checkpoints, training.network.model, state.epoch)
    elif trainer.patience is not None and state.epoch - max(state.best_epoch, state.phase_start) >= trainer.patience:
        state.stopped, state.phases_over = last_phase, state.phase + 1
    return better
