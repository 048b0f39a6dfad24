"""What a run prints and records during training: notes, phases, and the rows of finished epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cvlib.models.run_state import RunState
from cvlib.runtime.clock import duration
from cvlib.training.callbacks import epoch_line
from cvlib.transfer import freezing
from cvlib.transfer.regimes import Phase
from cvlib.viz.text_table import titled

if TYPE_CHECKING:
    from cvlib.training.training import Training


def note_limits(training: Training, phases: list[Phase]) -> None:
    """Note a phase that is shorter than configured, a warm-up that doesn't end, and the steps of gradual unfreezing."""
    trainer, mode, warmup = training.config.trainer, training.config.mode, training.config.schedule.warmup_epochs
    head_epochs, epochs = getattr(mode, "head_epochs", 0), trainer.max_epochs
    planned = phases[0].end if len(phases) > 1 else 0
    if head_epochs > planned:
        left = f"shortened to {planned}" if planned else "left out"
        training.record.say(f"note: the phase of mode.head_epochs={head_epochs} is {left}: trainer.epochs={epochs}")
    if warmup >= epochs:
        training.record.say(f"note: schedule.warmup_epochs={warmup:g} is not shorter than trainer.epochs={epochs}: the "
                            "learning rate never reaches optimizer.lr")  # fmt: skip
    steps = epochs * training.train.steps
    if training.budget is None and (rest := steps % trainer.accumulate):
        training.record.say(f"note: the last {rest} of {steps} steps update no weights: they are fewer than "
                            f"trainer.accumulate={trainer.accumulate}")  # fmt: skip
    if unfreeze := getattr(mode, "unfreeze", None):
        training.record.say(f"mode.unfreeze={unfreeze}:")
        for phase in phases:
            block = freezing.first_trained_block(training.network, phase)
            part = "the head" if block is None else f"the head and the base from {block} on"
            training.record.say(f"  epochs {phase.start + 1} to {phase.end} train {part}")


def rates(training: Training, phase: Phase, rate: float) -> dict[str, float]:
    """Return the columns of metrics.csv for the learning rates; `rate` is the rate without multiples.

    `lr_backbone` is the rate of the base's topmost block. With `mode.layer_decay`, `lr_backbone_lowest` is that of the
    lowest block that is trained. A frozen base has a rate of 0.
    """
    found = {"lr": rate, "lr_backbone": 0.0 if phase.base_is_frozen else rate * phase.backbone_lr}
    if getattr(training.config.mode, "layer_decay", 1.0) != 1.0:
        found["lr_backbone_lowest"] = rate * freezing.lowest_rate(training.network, phase)
    return found | {"lr_head": rate * phase.head_lr}


def report(training: Training, state: RunState, row: dict[str, Any], better: bool, speed: float) -> None:
    """Record a finished epoch in metrics.csv, summary.json and TensorBoard, and print its line."""
    epochs, budget, record = training.config.trainer.epochs, training.budget, training.record
    record.write_csv("metrics.csv", [dict.fromkeys(row) | earlier for earlier in state.rows])
    record.update(epochs=state.epoch, steps=state.step, best_epoch=state.best_epoch, last_metrics=_select(row, "val/"),
                  timing={**record.summary["timing"], "train": round(state.seconds, 2),
                          "waiting_for_data": round(state.waited / max(state.seconds, 1e-9), 3)},
                  metrics=_select(state.rows[state.best_epoch - 1], "val/"))  # fmt: skip
    training.board.scalars(state.epoch, {
        **_select(row, "train/", keep_prefix=False),
        **{f"learning_rate{key[len('lr'):]}": value for key, value in row.items() if key.split("_")[0] == "lr"},
        "images_per_second": speed,
    }, _select(row, "val/", keep_prefix=False))  # fmt: skip
    per_epoch = sum(earlier["seconds"] for earlier in state.rows) / len(state.rows)
    planned, left = (epochs, per_epoch * (epochs - state.epoch)) if budget is None else (None, budget.left)
    marked = better and training.config.trainer.kept_epoch == "best"
    shown = (training.task.metrics[0].name, training.monitor.removeprefix("val/"))
    record.say(epoch_line(row, shown, planned, speed, left, marked))
    if state.phases_over > state.phase:
        what = "stopped early" if state.stopped else "this phase ends early, and the next one begins"
        record.say(f"{what}: {training.monitor} has not improved for {training.config.trainer.patience} epochs")


def _select(row: dict[str, Any], prefix: str, keep_prefix: bool = True) -> dict[str, float]:
    return {key if keep_prefix else key[len(prefix):]: row[key] for key in row if key.startswith(prefix)}  # fmt: skip


def announce(training: Training, phase: Phase, epoch: int) -> None:
    """Print and record which layers a phase trains, and at which rates; `epoch` epochs are done."""
    config, record = training.config, training.record
    rows = freezing.freeze_table(training.network, phase, config.optimizer.lr)
    counts = freezing.parameter_counts(training.network.model)
    earlier = [one for one in record.summary.get("phases", []) if one["first_epoch"] <= epoch]
    own = {"first_epoch": epoch + 1, "last_epoch": phase.end, "trained": counts["trainable"]}
    record.update(parameters=counts, freeze_table=rows, phases=[*earlier, own])
    if training.budget is None:
        length = f"epochs {epoch + 1} to {phase.end}"
    else:
        until = "" if phase.end == config.trainer.max_epochs else f" to {phase.end}"
        length = f"epochs {epoch + 1}{until or ' and later'}, for at most {duration(training.budget.left)}"
    record.say(f"\n{length}: {counts['trainable']:,} of {counts['total']:,} parameters are trained")
    lines = titled(rows, left=range(len(rows[0])))
    for line in lines:
        record.say(line)
    training.board.text("train", "freeze_table", "\n".join(["```", *lines, "```"]), epoch)
