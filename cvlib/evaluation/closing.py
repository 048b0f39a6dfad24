"""The end of a run: evaluate the best epoch, complete the record, and print the closing table."""

from __future__ import annotations

import time

from cvlib import evaluation, report
from cvlib.data.dataset import Dataset
from cvlib.models import run_state
from cvlib.models.run_state import RunState
from cvlib.runs.provenance import peak_memory_mb
from cvlib.runs.record import Record
from cvlib.training import data_parallel
from cvlib.training.training import Training

_COMMAND_OUTPUTS = ("evaluate", "export", "predictions", "visualizations")  # subfolders that cvlib commands write


def finish(training: Training, dataset: Dataset, state: RunState) -> None:
    """Evaluate the best epoch's network on validation and test, save it, and complete the record."""
    record, started = training.record, time.monotonic()
    with data_parallel.alone(training.network.model):
        run_state.load_best(training.checkpoints, training.network.model, state.best_epoch)
        evaluation.record_results(training, dataset, state.best_epoch)
    record.update(
        status="completed",
        timing={
            **record.summary["timing"],
            "train": round(state.seconds, 2),
            "evaluate": round(time.monotonic() - started, 2),
            "images_per_second": round(state.images / max(state.seconds, 1e-9), 1),
        },
        peak_memory_mb=peak_memory_mb(),
    )
    run_state.clear(training.checkpoints, state, training.config.trainer.keep_state)
    report.write(record.folder)
    _closing_table(training)


def _closing_table(training: Training) -> None:
    record, metrics = training.record, training.record.summary["metrics"]
    title = f"{training.config.trainer.kept_epoch} epoch {record.summary['best_epoch']}"
    record.say(f"\n{title:<18}validation" + "      test" * training.config.trainer.test)
    shown, monitored = training.task.shown_metrics(len(training.classes)), training.monitor.removeprefix("val/")
    for name in dict.fromkeys([*shown, monitored]):
        record.say(f"{name:<18}" + "".join(f"{metrics[f'{split}/{name}']:>10.4f}" for split in _splits(training)))
    _say_calibration(record)
    if earlier := [name for name in _COMMAND_OUTPUTS if (record.home / name).exists()]:
        names = ", ".join(earlier)
        record.say(f"note: the results in {names} were created before this run was completed: create them again")
    record.say(f"recorded in {record.home}; {report.NAME} shows it")


def _splits(training: Training) -> list[str]:
    return ["val", "test"] if training.config.trainer.test else ["val"]


def _say_calibration(record: Record) -> None:
    if found := record.summary.get("calibration"):
        errors = [found[split] for split in ("val", "test") if split in found]
        record.say(f"{'ECE':<18}" + "".join(f"{error['ece']:>10.4f}" for error in errors))
        if found["temperature"] != 1:
            unscaled = "".join(f"{error['ece_unscaled']:>10.4f}" for error in errors)
            record.say(f"{'  unscaled':<18}{unscaled}  (temperature {found['temperature']:.2f})")
