"""`cvlib check DATA`: check a collection of images before training."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cvlib.cli.output import refuse_output, write_output


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "check", help="check a collection of images before training",
        description="Reads every image and label of a collection once and reports its contents and its problems, by "
        "file. It changes nothing. The exit code is 1 if a problem would stop a run.",
    )  # fmt: skip
    parser.add_argument("data", metavar="DATA", help="the collection's folder, as for data.path")
    parser.add_argument("--layout", help="how its files are organized, as for data.layout (default: detected)")
    parser.add_argument("--task", metavar="TASK",
                        help="check only the labels for this task, such as detection "
                        "(default: all tasks that it has labels for)")  # fmt: skip
    parser.add_argument("--format", choices=("table", "json"), help="json lists every finding, table the first ten "
                        "of each kind (default: by --output's extension, else table)")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FILE", help="write to this file instead of the screen")
    parser.set_defaults(command=run, prints=True)


def run(chosen: argparse.Namespace) -> int:
    """Check the collection and print or write the report; return 1 if a problem would stop a run."""
    refuse_output(chosen.output)
    from cvlib import tasks
    from cvlib.data.check import check
    from cvlib.data.check.report import as_json, as_text

    kind = tasks.of(chosen.task).label_kind if chosen.task else None
    report = check(chosen.data, chosen.layout, kind)
    form = chosen.format or ("json" if chosen.output and chosen.output.suffix.lower() == ".json" else "table")
    write_output(as_json(report) if form == "json" else as_text(report), chosen.output)
    return 1 if report.spoiled else 0
