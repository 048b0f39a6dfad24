"""`cvlib evaluate RUN`: evaluate a run's network on a split of its data, or on other data with the same classes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cvlib.cli.common import begin
from cvlib.runtime.errors import UserError
from cvlib.runtime.files import require_writable


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "evaluate", help="evaluate a run again: metrics, overall and per class; calibration; the worst mistakes",
        description="Evaluates the run's best network on a split of its own data, or on other data with the same "
        "classes, in the same way as at the end of the run. Writes evaluation.json, by_class.csv, results.csv (a row "
        "per image, as in test_results.csv) and pictures into RUN/evaluate/….",
    )  # fmt: skip
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("data", nargs="*", metavar="OVERRIDE", help="other data, as for run.py: data=folder "
                        "data.path=… (default: the run's own)")  # fmt: skip
    parser.add_argument("--split", choices=("train", "val", "test"), help="split to evaluate (default: test; all "
                        "images if other data has no splits)")  # fmt: skip
    parser.add_argument("--tta", action="store_true", help="average the probabilities over each image and its "
                        "mirror image")  # fmt: skip
    parser.add_argument("--by", metavar="COLUMN", help="also show the metric by slice, and test each slice against "
                        "the rest: folder, size (of the images), a column of the data's table, or FILE.csv:COLUMN "
                        "(written to by_slice.csv)")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to write (default: RUN/evaluate/…)")
    parser.set_defaults(command=run, listed="data")


def run(chosen: argparse.Namespace) -> int:
    """Evaluate, print the table, and write the files; return 0."""
    from cvlib.cli.compose import other_data
    from cvlib.models import restore as saved

    opened = saved.open_run(chosen.run)
    if chosen.output is not None and chosen.output.is_file():
        raise UserError(f"--output {chosen.output} is a file: give a folder")
    require_writable(chosen.output or opened.folder / "evaluate", "give another folder with --output")
    other = other_data(opened.config, chosen.data) if chosen.data else None
    begin(opened)
    from cvlib.evaluation import evaluate_run, samples, slices

    wanted = samples.choose(opened, chosen.split, other)
    for note in wanted.notes:
        print(f"note: {note}")
    names = None if chosen.by is None else slices.of_images(chosen.by, wanted, other or opened.config.data)
    found = evaluate_run.evaluate(opened, wanted, chosen.tta)
    sliced = [] if names is None else slices.of_metrics(found, names)
    count = f"{len(wanted.split)} images" + (", each with its mirror image" if chosen.tta else "")
    print("\n".join([f"{wanted.words}: {count}", *found.lines(), *(slices.lines(sliced, chosen.by) if sliced else [])]))
    folder = chosen.output or opened.folder / "evaluate" / (wanted.name + ("-tta" if chosen.tta else ""))
    evaluate_run.write(found, opened, folder)
    slices.write(sliced, folder)
    tables = ["evaluation.json", "by_class.csv", *(["by_slice.csv"] if sliced else []), "results.csv"]
    print(f"written to {folder}: {', '.join([*tables, *found.pictures])}")
    return 0
