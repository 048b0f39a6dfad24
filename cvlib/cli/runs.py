"""`cvlib runs [DIR…]`: list runs with their status, metric, age and size."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cvlib.cli.output import say, write_output
from cvlib.compare.listing import STATUSES, listing
from cvlib.runtime.live import print_statuses


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "runs", help="list runs with their status, metric, age and size",
        description="Lists the runs below the given folders, the newest first: status, model, mode, data, the main "
        "metric, age and size on disk.",
    )  # fmt: skip
    parser.add_argument("folders", nargs="*", type=Path, metavar="DIR", default=[Path("outputs")],
                        help="a folder that holds runs at any depth (default: outputs)")  # fmt: skip
    parser.add_argument("--status", choices=STATUSES, action="append", default=[],
                        help="only runs with this status; can be given several times")  # fmt: skip
    parser.add_argument("--sort", metavar="KEY", help="a column, or a metric such as test/accuracy, whose best value "
                        "is then the first (default: age)")  # fmt: skip
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.set_defaults(command=run, prints=True, listed="folders")


def run(chosen: argparse.Namespace) -> int:
    """Print the list; return 0."""
    text = listing(chosen.folders, say, chosen.status, chosen.sort, chosen.format)
    if chosen.format == "table":
        print_statuses(text.splitlines())
    else:
        write_output(text, None)
    return 0
