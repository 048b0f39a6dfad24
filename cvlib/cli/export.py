"""`cvlib export RUN`: export the network to another runtime's format, and compare it with Keras on real images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cvlib.cli.common import begin
from cvlib.runtime import backend
from cvlib.runtime.errors import UserError
from cvlib.runtime.files import require_utf8, require_writable


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "export", help="export the network as SavedModel, ONNX or LiteRT, and compare it with Keras",
        description="Writes the run's network including its preprocessing and labels, runs it in the format's "
        "runtime on images of the run's test set, and compares the results with Keras. The exit code is 1 if the "
        "difference is too large.",
    )  # fmt: skip
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("--format", required=True, choices=("saved_model", "onnx", "litert"))
    parser.add_argument("--int8", action="store_true", help="litert only: 8-bit weights and activations, "
                        "calibrated on training images")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="PATH", help="where to write (default: RUN/export/…)")
    parser.add_argument("--images", type=int, default=64, metavar="N",
                        help="number of test images for the comparison (default: 64)")  # fmt: skip
    parser.add_argument("--tolerance", type=float, metavar="D", help="largest allowed difference in a probability "
                        "(default: 0.001; 0.01 for masks; 0.25 with --int8)")  # fmt: skip
    parser.set_defaults(command=run)


def run(chosen: argparse.Namespace) -> int:
    """Export, compare, and print the difference; return 1 if it exceeds the tolerance."""
    backend.use_tensorflow("cvlib export")
    from cvlib.models import restore as saved

    if chosen.int8 and chosen.format != "litert":
        raise UserError(f"--int8 requires --format litert, not {chosen.format}")
    if chosen.images < 1:
        raise UserError(f"--images {chosen.images}: expected at least 1")
    opened = saved.open_run(chosen.run)
    require_utf8(chosen.output or opened.folder)
    require_writable(chosen.output.parent if chosen.output else opened.folder / "export",
                     "give another place with --output")  # fmt: skip
    from cvlib import tasks

    refusal = tasks.of_config(opened.config).served.refuses_int8
    if chosen.int8 and refusal:
        raise UserError(refusal)
    begin(opened)
    from cvlib.export import export_run

    return export_run.export(opened, chosen.format, chosen.int8, chosen.output, chosen.images, chosen.tolerance, print)
