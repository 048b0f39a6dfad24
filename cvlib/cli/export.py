"""`cvlib export RUN`: the network in a form that other runtimes serve, checked against Keras on real images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cvlib.cli.common import begin
from cvlib.runtime.errors import UserError


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "export", help="a servable model: SavedModel, ONNX or LiteRT, checked against Keras",
        description="Writes the run's network with its preprocessing and labels inside, runs it in its own runtime on "
        "images of the run's test set, and compares with Keras. Exit code 1 if the difference is too large.",
    )  # fmt: skip
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("--format", required=True, choices=("saved_model", "onnx", "litert"))
    parser.add_argument("--int8", action="store_true", help="litert only: weights and activations in 8 bits, "
                        "calibrated on training images")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="PATH", help="where to (default: RUN/export/…)")
    parser.add_argument("--images", type=int, default=64, metavar="N", help="test images to compare on (64)")
    parser.add_argument("--tolerance", type=float, metavar="D", help="the largest difference of a probability that is "
                        "allowed (default: 0.001, of masks 0.01, with --int8 0.25)")  # fmt: skip
    parser.set_defaults(command=run)


def run(chosen: argparse.Namespace) -> int:
    """Export, compare, say how large the difference is; 1 if it is above the bound."""
    from cvlib.models import restore as saved

    if chosen.int8 and chosen.format != "litert":
        raise UserError(f"--int8 goes with --format litert, not {chosen.format}")
    if chosen.images < 1:
        raise UserError(f"--images {chosen.images}: give at least one to compare on")
    opened = saved.open_run(chosen.run)
    from cvlib import tasks

    refusal = tasks.of_config(opened.config).served.refuses_int8
    if chosen.int8 and refusal:
        raise UserError(refusal)
    begin(opened)
    from cvlib import export

    return export.export(opened, chosen.format, chosen.int8, chosen.output, chosen.images, chosen.tolerance, print)
