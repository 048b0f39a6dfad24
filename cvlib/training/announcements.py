"""What a run prints before its epochs: notes about their number, and what each phase trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cvlib.runtime.clock import duration
from cvlib.transfer import freezing
from cvlib.transfer.regimes import Phase
from cvlib.viz.text_table import titled

if TYPE_CHECKING:
    from cvlib.training.loop import Training


def note_limits(training: Training, phases: list[Phase]) -> None:
    """Note a phase that is shorter than configured, and a warm-up that doesn't end."""
    trainer, mode, warmup = training.config.trainer, training.config.mode, training.config.schedule.warmup_epochs
    head_epochs, epochs = getattr(mode, "head_epochs", 0), trainer.max_epochs
    planned = phases[0].end if len(phases) > 1 else 0
    if head_epochs > planned:
        left = f"shortened to {planned}" if planned else "left out"
        training.record.say(f"note: the phase of mode.head_epochs={head_epochs} is {left}: trainer.epochs={epochs}")
    if warmup >= epochs:
        training.record.say(f"note: schedule.warmup_epochs={warmup:g} is not shorter than trainer.epochs={epochs}: the "
                            "learning rate never reaches optimizer.lr")  # fmt: skip


def announce_phase(training: Training, phase: Phase, epoch: int) -> None:
    """Print and record the phase that begins after `epoch` epochs: its length, and what it trains at which rates."""
    config, record = training.config, training.record
    rows = freezing.freeze_table(training.network, phase, config.optimizer.lr)
    counts = freezing.parameter_counts(training.network.model)
    record.update(parameters=counts, freeze_table=rows)
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
