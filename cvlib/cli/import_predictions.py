"""`cvlib import-predictions FILE`: record another tool's predictions as a run, for `cvlib compare`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    from cvlib.config.schema import Config
    from cvlib.tasks.base import Task


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "import-predictions", help="record another tool's predictions as a run, to compare it with other runs",
        description="Reads another tool's predictions for the test images and writes a run's folder with the same "
        "metrics as for every run. Reads COCO results (.json) or a folder of YOLO text files with scores as boxes, a "
        "table (.csv) as classes, and a folder of images as masks. Images are matched by file name. Give the same data "
        "overrides as for the runs to compare with, so that the test split is the same.",
    )  # fmt: skip
    parser.add_argument("file", type=Path, metavar="FILE", help="a file or folder with predictions")
    parser.add_argument("data", nargs="*", metavar="OVERRIDE", help="the data, as for run.py: data=folder data.path=…; "
                        "also task=multilabel, and seed=… for repeated trainings of one model")  # fmt: skip
    parser.add_argument("--name", help="the model's name in tables (default: the name of FILE)")
    parser.add_argument("--classes", metavar="NAMES", help="the names of the tool's classes in the order of its class "
                        "ids, separated by commas, or a text file with one per line (default: the data's classes in "
                        "their own order)")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="DIR",
                        help="the run's folder (default: outputs/runs/NAME-imported-DATA/TIME)")  # fmt: skip
    parser.set_defaults(command=run, listed="data")


def run(chosen: argparse.Namespace) -> int:
    """Import the predictions and print the metrics; return 0."""
    from cvlib.prediction import imported
    from cvlib.runs.record import run_name

    overrides, task = _overrides(chosen.data, chosen.file)
    config = _config(overrides, task)
    name = chosen.name or chosen.file.resolve().stem
    mapping = imported.mapping_of(config, task, name)
    place = Path(config.output_root) / "runs" / run_name(mapping) / time.strftime("%Y-%m-%d_%H-%M-%S")
    if task.label_kind.form.value == "pixels":  # masks are resized by TensorFlow
        from cvlib.training.devices import import_quietly

        import_quietly()
    folder = chosen.output or place
    summary = imported.import_predictions(chosen.file, config, name, folder, _names(chosen.classes))
    print(f"{name}: {summary['imported']['read_as']} for {summary['samples']['test']} test images of {summary['data']}")
    for note in summary["notes"]:
        print(f"note: {note}")
    for metric in task.shown_metrics(len(summary["classes"])):
        if f"test/{metric}" in summary["metrics"]:
            print(f"{metric:<16}{summary['metrics'][f'test/{metric}']:.4f}")
    print(f"recorded in {folder}")
    return 0


def _overrides(given: Sequence[str], source: Path) -> tuple[list[str], Task]:
    """Return the overrides that choose data, and the task; raise `UserError` for other overrides."""
    from cvlib.prediction import imported

    task, rest = None, []
    for override in given:
        key, equals, value = override.partition("=")
        if not equals or (key not in ("data", "task", "seed") and not key.startswith("data.")):
            raise UserError(f"{override}: expected data=…, data.…=…, task=… or seed=…")
        if key == "task":
            task = value
        else:
            rest.append(override)
    return rest, imported.task_of(source, task)


def _config(overrides: Sequence[str], task: Task) -> Config:
    """Return the config of a run on the data with a model for the task; the model isn't used otherwise."""
    from cvlib import tasks
    from cvlib.cli.compose import composed
    from cvlib.config import answers
    from cvlib.models.options import read_config

    (usual,) = (group["model"] for group in answers.defaults()["defaults"] if "model" in group)
    if answers.value("model", usual, "head") in task.heads:
        model = [f"model={usual}", f"task={task.name}"]
    else:
        own = [name for name in answers.choices("model") if answers.value("model", name, "task") == task.name]
        model = [f"model={own[-1]}"]
    config = read_config(composed([*model, *overrides]))
    tasks.check_labels(config)
    return config


def _names(given: str | None) -> list[str] | None:
    """Return the names in --classes: a file with a name in each line, or names separated by commas."""
    if given is None:
        return None
    if "," not in given and Path(given).is_file():
        given = ",".join(Path(given).read_text(encoding="utf-8-sig").splitlines())
    names = [name.strip() for name in given.split(",") if name.strip()]
    if len(names) < 2 or len(set(names)) < len(names):
        raise UserError(f"--classes {given}: expected at least two different names, separated by commas, or a file")
    return names
