"""`cvlib predict RUN PATH…`: predict on images with a run's network."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from cvlib.cli.common import begin
from cvlib.runtime.errors import UserError
from cvlib.runtime.files import require_writable
from cvlib.runtime.live import Bar

_PICTURES = ("images", "masks", "overlays")  # subfolders of the output, depending on the task


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "predict", help="predict on images with a run's network: predictions.json, .csv and drawn pictures",
        description="Reads images in the same way as the run's evaluation and writes the predictions: the five most "
        "probable classes, boxes, or a mask. A file that can't be read is reported and skipped; the exit code is "
        "then 1.",
    )  # fmt: skip
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="images, folders of them, or quoted patterns")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to write (default: RUN/predictions)")
    parser.add_argument("--threshold", type=float, metavar="SCORE", help="for a detector: list and draw only boxes "
                        "scoring at least this, 0 to 1 (default: list all boxes, draw those scoring at least 0.25); "
                        "for task=multilabel: minimum probability of a class (default: chosen on the validation "
                        "split)")  # fmt: skip
    parser.set_defaults(command=run, listed="paths")


def run(chosen: argparse.Namespace) -> int:
    """Predict and write the predictions; return 1 if any file can't be read."""
    from cvlib import prediction, tasks
    from cvlib.models import restore as saved

    opened = saved.open_run(chosen.run)
    files = prediction.find_files(chosen.paths)
    output: Path = chosen.output or opened.folder / "predictions"
    if output.is_file():
        raise UserError(f"--output {output} is a file: give a folder")
    if _is_a_collection(output, files):
        raise UserError(f"--output {output} holds the images themselves, and some of its files would be replaced: "
                        "give another folder")  # fmt: skip
    require_writable(output, "give another folder with --output")
    options = tasks.of_config(opened.config).prediction_options(chosen.threshold)
    begin(opened)
    if trained := prediction.trained_on(opened, files):
        print(f"note: the run was trained on {len(trained)} of these {len(files)} images (such as {trained[0]}): "
              "its predictions on them are better than on new images", file=sys.stderr)  # fmt: skip
    progress, before = Bar("predicting", len(files)), _pictures(output)

    def report_skipped(file: Path, why: str) -> None:
        progress.clear()
        print(f"skipped: {why}", file=sys.stderr)

    def report(file: Path, answer: str) -> None:
        progress.clear()
        print(f"{file}: {answer}")

    count, failed = prediction.predict_files(opened, files, output, report_skipped, progress.show, report, **options)
    progress.clear()
    print(f"{count} predictions in {output}" + (f", {len(failed)} files skipped" if failed else ""))
    if stale := [picture for picture, when in _pictures(output).items() if before.get(picture) == when]:
        print(f"note: {len(stale)} pictures in {output} are from an earlier prediction (such as "
              f"{stale[0].relative_to(output)}): delete them, or give another --output", file=sys.stderr)  # fmt: skip
    if skipped := prediction.left_out(chosen.paths):
        print(f"note: left out: {skipped}", file=sys.stderr)
    return 1 if failed else 0


def _is_a_collection(output: Path, files: list[Path]) -> bool:
    """Return whether writing pictures to `output` could replace images or masks of the collection."""
    place = output.resolve()
    return any((place / name).exists() for name in _PICTURES) and any(place in file.resolve().parents for file in files)


def _pictures(output: Path) -> dict[Path, int]:
    """Return the pictures in the output folder with their times of writing."""
    found = [file for name in (".", *_PICTURES) for file in sorted((output / name).glob("*.png"))]
    return {file: file.stat().st_mtime_ns for file in found}
