"""`cvlib evaluate RUN…`: evaluate a run, or several as one, on a split of its data or on other data."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvlib.cli.common import begin
from cvlib.runtime.errors import UserError
from cvlib.runtime.files import require_writable

if TYPE_CHECKING:
    from cvlib.evaluation.evaluate_run import Evaluation
    from cvlib.evaluation.samples import Samples
    from cvlib.models.restore import SavedRun


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "evaluate", help="evaluate a run again, or several runs as one: metrics, overall and per class; calibration; "
        "the worst mistakes",
        description="Evaluates the run's best network on a split of its own data, or on other data with the same "
        "classes, in the same way as at the end of the run. Writes evaluation.json, by_class.csv, results.csv (a row "
        "per image, as in test_results.csv) and pictures into RUN/evaluate/…. Several runs are evaluated as one: the "
        "mean of their probabilities, or with --average weights, one network with the mean of their weights. The "
        "results are written to outputs/ensembles/…; on the runs' test split, they are recorded as a run, which cvlib "
        "compare shows with its cost.",
    )  # fmt: skip
    parser.add_argument("arguments", nargs="+", metavar="RUN [RUN …] [OVERRIDE …]", help="runs' folders; overrides "
                        "choose other data, as for run.py: data=folder data.path=… (default: the first run's own)"
                        )  # fmt: skip
    parser.add_argument("--average", choices=("predictions", "weights"), help="what is averaged over several runs "
                        "(default: predictions)")  # fmt: skip
    parser.add_argument("--split", choices=("train", "val", "test"), help="split to evaluate (default: test; all "
                        "images if other data has no splits)")  # fmt: skip
    parser.add_argument("--tta", action="store_true", help="average the probabilities over each image and its "
                        "mirror image")  # fmt: skip
    parser.add_argument("--by", metavar="COLUMN", help="also show the metric by slice, and test each slice against "
                        "the rest: folder, size (of the images), a column of the data's table, or FILE.csv:COLUMN "
                        "(written to by_slice.csv)")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to write (default: RUN/evaluate/…; for "
                        "several runs outputs/ensembles/NAME/TIME)")  # fmt: skip
    parser.set_defaults(command=run, listed="arguments")


def run(chosen: argparse.Namespace) -> int:
    """Evaluate, print the table, and write the files; return 0."""
    from cvlib.cli.compose import other_data
    from cvlib.models import restore as saved

    folders = [argument for argument in chosen.arguments if "=" not in argument or Path(argument).is_dir()]
    overrides = [argument for argument in chosen.arguments if argument not in folders]
    if not folders:
        raise UserError("no run is named: expected a run's folder")
    runs = [saved.open_run(Path(folder)) for folder in folders]
    _check_options(chosen, runs)
    other = other_data(runs[0].config, overrides) if overrides else None
    begin(runs[0])
    from cvlib.evaluation import evaluate_run, samples, slices

    wanted = samples.choose(runs[0], chosen.split, other)
    for note in wanted.notes:
        print(f"note: {note}")
    names = None if chosen.by is None else slices.of_images(chosen.by, wanted, other or runs[0].config.data)
    if len(runs) > 1:
        found, origin, folder = _ensemble(chosen, runs, wanted, own=other is None)
    else:
        found, origin = evaluate_run.evaluate(runs[0], wanted, chosen.tta), None
        folder = chosen.output or runs[0].folder / "evaluate" / (wanted.name + ("-tta" if chosen.tta else ""))
    sliced = [] if names is None else slices.of_metrics(found, names)
    count = f"{len(wanted.split)} images" + (", each with its mirror image" if chosen.tta else "")
    print("\n".join([f"{wanted.words}: {count}", *found.lines(), *(slices.lines(sliced, chosen.by) if sliced else [])]))
    evaluate_run.write(found, runs[0], folder, origin)
    slices.write(sliced, folder)
    tables = ["evaluation.json", "by_class.csv", *(["by_slice.csv"] if sliced else []), "results.csv"]
    print(f"written to {folder}: {', '.join([*tables, *found.pictures])}")
    return 0


def _check_options(chosen: argparse.Namespace, runs: Sequence[SavedRun]) -> None:
    """Raise `UserError` for options that don't fit the number of runs, and for runs that can't be averaged."""
    if len(runs) == 1:
        if chosen.average:
            raise UserError(f"--average is for several runs, but only {runs[0].folder} is named")
        if chosen.output is not None and chosen.output.is_file():
            raise UserError(f"--output {chosen.output} is a file: give a folder")
        require_writable(chosen.output or runs[0].folder / "evaluate", "give another folder with --output")
        return
    if chosen.tta:
        raise UserError("--tta is for one run: leave it out, or name one run")
    output = chosen.output
    if output is not None and output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"--output {output} exists and is not an empty folder: choose another one")
    from cvlib.evaluation import ensemble

    ensemble.check(runs, chosen.average or ensemble.PREDICTIONS)


def _ensemble(
    chosen: argparse.Namespace, runs: Sequence[SavedRun], wanted: Samples, own: bool
) -> tuple[Evaluation, dict[str, Any], Path]:
    """Evaluate several runs as one; record them as a run if the samples are their own test split."""
    from cvlib.evaluation import ensemble

    average = chosen.average or ensemble.PREDICTIONS
    if own:
        ensemble.refuse_leaks(runs, wanted)
    found, val, decision = ensemble.evaluate(runs, wanted, average)
    name = str(ensemble.mapping_of(runs, average)["model"]["name"]).replace(" ", "-")
    folder = chosen.output or Path(runs[0].config.output_root) / "ensembles" / name / time.strftime("%Y-%m-%d_%H-%M-%S")
    if own and wanted.name == "test":
        ensemble.record(runs, average, folder, found, val, decision)
        print(f"recorded in {folder}")
    return found, {"runs": [str(run.folder) for run in runs], "average": average}, folder
