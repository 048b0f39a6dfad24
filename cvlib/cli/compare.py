"""`cvlib compare DIR…`: compare runs and find the best."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cvlib.cli.output import format_of, refuse_output, say, write_output

_FORMATS = ("table", "md", "csv", "json", "html")


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "compare", help="compare runs and find the best",
        description="Compares the runs below the given folders: differences between their configs, metrics over "
        "seeds, paired tests on the same test samples, and a verdict in words.",
    )  # fmt: skip
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="a folder that holds runs at any depth")
    parser.add_argument("--by", choices=("run", "group"), help="one row per run, or per group over seeds "
                        "(default: group if there are several seeds)")  # fmt: skip
    parser.add_argument(
        "--metric", help="metric to compare, such as test/accuracy (default: the task's usual metric); list shows all"
    )
    parser.add_argument(
        "--format",
        choices=_FORMATS,
        help="html is one self-contained file with curves (default: by --output's extension, else table)",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write to this file instead of the screen")
    parser.set_defaults(command=run, prints=True, listed="folders")


def run(chosen: argparse.Namespace) -> int:
    """Compare the runs and print or write the result; return 0."""
    from cvlib.compare import compare

    output: Path | None = chosen.output
    form = format_of(output, chosen.format, _FORMATS)
    refuse_output(output)
    write_output(compare(chosen.folders, say, chosen.by, chosen.metric, form), output)
    return 0
