"""`cvlib report RUN…`: write the page about a run again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "report", help="write RUN/report.html, a page about a run",
        description="Writes RUN/report.html: results with intervals, pictures, learning curves, settings and data. A "
        "run writes this page at its end. This command writes it for an unfinished run, or again.",
    )  # fmt: skip
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder")
    parser.set_defaults(command=run, listed="runs")


def run(chosen: argparse.Namespace) -> int:
    """Write the pages; return 0."""
    from cvlib import report

    for folder in chosen.runs:
        print(f"written: {report.write(folder)}")
    return 0
