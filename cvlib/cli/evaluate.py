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
    parser.add_argument("--corrupt", nargs="?", const="all", metavar="NAMES", help="also evaluate on corrupted images, "
                        "which shows what survives bad light and blur: all, or some of the groups noise, blur, weather "
                        "and digital, and of the fifteen corruptions, such as fog,noise (written to corruptions.csv; "
                        "with all, in every strength, on the run's test split, also part of report.html and of "
                        "cvlib compare)")  # fmt: skip
    parser.add_argument("--strengths", metavar="N,…", help="strengths of the corruptions, 1 to 5 (default: "
                        "1,2,3,4,5)")  # fmt: skip
    parser.add_argument("--limit", type=int, metavar="N", help="evaluate only N images, drawn at random, the same ones "
                        "every time")  # fmt: skip
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
    corrupted = _corruptions_of(chosen)
    other = other_data(runs[0].config, overrides) if overrides else None
    begin(runs[0])
    from cvlib.evaluation import evaluate_run, samples, slices
    from cvlib.tasks.saved import labels

    wanted = samples.choose(runs[0], chosen.split, other)
    wanted = wanted if chosen.limit is None else samples.limited(wanted, chosen.limit)
    for note in wanted.notes:
        print(f"note: {note}")
    names = None if chosen.by is None else slices.of_images(chosen.by, wanted, other or runs[0].config.data)
    if len(runs) > 1:
        found, origin, folder = _ensemble(chosen, runs, wanted, own=other is None)
    else:
        network = evaluate_run.network_of(runs[0])
        found, origin = evaluate_run.measure(runs[0], network, labels(runs[0]), wanted, chosen.tta), None
        folder = chosen.output or runs[0].folder / "evaluate" / (wanted.name + ("-tta" if chosen.tta else ""))
    sliced = [] if names is None else slices.of_metrics(found, names)
    count = f"{len(wanted.split)} images" + (", each with its mirror image" if chosen.tta else "")
    print("\n".join([f"{wanted.words}: {count}", *found.lines(), *(slices.lines(sliced, chosen.by) if sliced else [])]))
    evaluate_run.write(found, runs[0], folder, origin)
    slices.write(sliced, folder)
    tables = ["evaluation.json", "by_class.csv", *(["by_slice.csv"] if sliced else []), "results.csv"]
    print(f"written to {folder}: {', '.join([*tables, *found.pictures])}")
    if corrupted:
        network = found.task.flip_averaged(network) if chosen.tta else network
        _corrupt(runs[0], network, found, *corrupted, folder, _is_whole_test(chosen, wanted, own=other is None))
    return 0


def _corruptions_of(chosen: argparse.Namespace) -> tuple[list[str], list[int]] | None:
    """Return the chosen corruptions and strengths; None without --corrupt."""
    if chosen.corrupt is None:
        if chosen.strengths is not None:
            raise UserError(f"--strengths {chosen.strengths} is for --corrupt: add --corrupt")
        return None
    if Path(chosen.corrupt).is_dir() or "=" in chosen.corrupt:
        raise UserError(f"--corrupt {chosen.corrupt}: the names of corruptions must follow: write --corrupt last, or "
                        f"--corrupt=all {chosen.corrupt}")  # fmt: skip
    from cvlib.data import corruptions

    every = ",".join(map(str, corruptions.STRENGTHS))
    return corruptions.chosen_names(chosen.corrupt), corruptions.chosen_strengths(chosen.strengths or every)


def _is_whole_test(chosen: argparse.Namespace, wanted: Samples, own: bool) -> bool:
    """Return whether the run's own test split is evaluated in the usual way, perhaps on fewer images."""
    names = ("test", f"test-{chosen.limit}")
    return own and wanted.name in names and not chosen.tta and chosen.output is None


def _corrupt(
    run: SavedRun, network: Any, found: Evaluation, names: list[str], strengths: list[int], folder: Path, is_test: bool
) -> None:  # fmt: skip
    """Evaluate on corrupted images, print the table and write it; a complete one becomes part of the run."""
    from cvlib import report
    from cvlib.data import corruptions as known
    from cvlib.evaluation import robustness

    metric = found.task.shown_metrics(len(run.classes))[0]
    measured = robustness.measure(run, network, found.samples, found.metrics, names, strengths)
    print("\n".join(robustness.lines(measured, metric)))
    print(f"written to {folder}: {', '.join(robustness.write(measured, metric, folder))}")
    if not is_test or run.summary.get("status") != "completed":
        return
    earlier = run.record.corruptions
    if (len(names), len(strengths)) != (len(known.BY_NAME), len(known.STRENGTHS)):
        print("note: the run's page and cvlib compare show only all corruptions in all strengths")
    elif earlier is not None and earlier.images > measured.images:
        print(f"note: the run's page and cvlib compare still show the earlier result on {earlier.images} images")
    else:
        measured.write(run.folder)
        print(f"{report.write(run.folder)} and cvlib compare show it, too")


def _check_options(chosen: argparse.Namespace, runs: Sequence[SavedRun]) -> None:
    """Raise `UserError` for options that don't fit the number of runs, and for runs that can't be averaged."""
    if len(runs) == 1:
        if chosen.average:
            raise UserError(f"--average is for several runs, but only {runs[0].folder} is named")
        if chosen.output is not None and chosen.output.is_file():
            raise UserError(f"--output {chosen.output} is a file: give a folder")
        require_writable(chosen.output or runs[0].folder / "evaluate", "give another folder with --output")
        return
    for option, given in (("--tta", chosen.tta), ("--corrupt", chosen.corrupt is not None)):
        if given:
            raise UserError(f"{option} is for one run: leave it out, or name one run")
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
