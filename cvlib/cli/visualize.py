"""`cvlib visualize RUN`: draw filters, feature maps, maximized units, explanations and the embedding."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cvlib.cli.common import begin
from cvlib.runtime.errors import UserError
from cvlib.runtime.files import require_utf8, require_writable


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "visualize", help="draw pictures of what a run's network has learned",
        description="Writes pictures to RUN/visualizations and to TensorBoard: filters, feature maps, images that "
        "maximize units and classes, Grad-CAM, saliency, occlusion, and the test set's features in two dimensions.",
    )  # fmt: skip
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("--image", type=Path, action="append", default=[], metavar="FILE",
                        help="explain this image (may be repeated; default: some test images)")  # fmt: skip
    parser.add_argument("--layers", nargs="+", default=[], metavar="NAME",
                        help="layers whose feature maps are shown and maximized; the last one is also used for "
                        "Grad-CAM (default: the last of each resolution; `cvlib inspect` lists layers)")  # fmt: skip
    parser.add_argument("--steps", type=_count, default=128, help="steps of activation maximization; 0 skips it")
    parser.add_argument("--output", type=Path, metavar="DIR",
                        help="where to write visualizations/ and tensorboard/ (default: RUN)")  # fmt: skip
    parser.set_defaults(command=run)


def run(chosen: argparse.Namespace) -> int:
    """Draw all pictures that the run's task supports; return 0."""
    from cvlib.models import restore as saved

    opened = saved.open_run(chosen.run)
    folder: Path = chosen.output or opened.folder
    if folder.is_file():
        raise UserError(f"--output {folder} is a file: give a folder")
    require_utf8(folder)
    require_writable(folder, "give another folder with --output")
    begin(opened)
    from cvlib.inspection.visualize import visualize

    written = visualize(opened, chosen.image, chosen.layers, chosen.steps, folder=folder)
    print(f"{len(written)} pictures in {folder / 'visualizations'}")
    return 0


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or more, not {text}")
    return int(text)
