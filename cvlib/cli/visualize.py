"""`cvlib visualize RUN`: filters, feature maps, maximized units, explanations and the embedding, as pictures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cvlib.cli.common import begin


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "visualize", help="what a run's network has learned to look for, as pictures",
        description="Writes pictures into RUN/visualizations and into TensorBoard: filters, feature maps, images that "
        "excite units and classes most, Grad-CAM, saliency, occlusion, and the test set's features in two dimensions.",
    )  # fmt: skip
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("--image", type=Path, action="append", default=[], metavar="FILE",
                        help="explain this image (may be repeated; default: some of the test set)")  # fmt: skip
    parser.add_argument("--layers", nargs="+", default=[], metavar="NAME",
                        help="feature maps to show and maximize, the last also for Grad-CAM "
                        "(default: the last of every resolution; `cvlib inspect` lists them)")  # fmt: skip
    parser.add_argument("--steps", type=_count, default=128, help="of activation maximization; 0 leaves it out")
    parser.set_defaults(command=run)


def run(chosen: argparse.Namespace) -> int:
    """Draw everything that the run's task has; return 0."""
    from cvlib.models import restore as saved

    opened = saved.open_run(chosen.run)
    begin(opened)
    from cvlib.inspection.visualize import visualize

    written = visualize(opened, chosen.image, chosen.layers, chosen.steps)
    print(f"{len(written)} pictures in {opened.folder / 'visualizations'}")
    return 0


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 0 on")
    return int(text)
