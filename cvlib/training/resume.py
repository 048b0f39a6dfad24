"""Where a training begins: at the start, or at its last checkpoint."""

from __future__ import annotations

from cvlib.models import run_state
from cvlib.models.run_state import Parts, RunState
from cvlib.runtime import backend
from cvlib.runtime.errors import UserError
from cvlib.training.training import Training


def start(training: Training) -> tuple[RunState, Parts]:
    """Return the state to start or resume from, and the parts of its checkpoint.

    Raises `UserError` if finished epochs have no checkpoint, or if the checkpoint is from another backend.
    """
    record = training.record
    state, parts, remarks = run_state.load(training.checkpoints)
    begun = bool(state.epoch or state.within)
    reader = "tensorflow" if backend.has_tensorflow() else "threads"
    if not begun:
        state.backend, state.feed = backend.name(), reader
    found = record.summary.get("learning_rate_search") or {}
    state.resolved = {"trainer.precision": training.config.trainer.precision} | {k: str(v) for k, v in found.items()}
    for remark in remarks:
        record.say(remark)
    if begun:
        _check_and_report(training, state, reader)
    elif _has_lost_epochs(training):
        why = "are damaged" if remarks else "are missing"
        raise UserError(f"{record.folder} holds finished epochs (metrics.csv), but its checkpoints {why}, so it can't "
                        "be resumed: restore checkpoints/, or choose another hydra.run.dir to start again")  # fmt: skip
    return state, parts


def _check_and_report(training: Training, state: RunState, reader: str) -> None:
    """Report where the run resumes; raise `UserError` if it began on another backend."""
    record = training.record
    backend.check_same(state.backend, str(record.folder))
    steps = f" and {state.within} step{'s' * (state.within > 1)} of the next epoch" if state.within else ""
    record.say(f"resumes after epoch {state.epoch}{steps}")
    if state.feed != reader:
        record.say("until now, the images were read and augmented "
                   + ("with TensorFlow" if state.feed == "tensorflow" else "without TensorFlow")
                   + ", which gives the same pixels only up to rounding")  # fmt: skip


def _has_lost_epochs(training: Training) -> bool:
    """Return whether metrics.csv has epochs without a checkpoint, other than a first one that is simply repeated."""
    table = training.record.folder / "metrics.csv"
    rows = table.read_text(encoding="utf-8").splitlines() if table.exists() else []
    return bool(rows) and not (len(rows) == 2 and run_state.stopped_in_first_epoch(training.checkpoints))
