"""`cvlib inspect model=resnet …`: print the layer table of the network that a run with these overrides would train."""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvlib.cli.output import say, write_output
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    from cvlib.inspection.describe import Subject


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "inspect", help="describe a network layer by layer: shapes, parameters, computation, receptive field",
        description="Prints the layer table of the network that `python run.py` would train with the same overrides, "
        "or of a run's network. Nothing is trained.",
    )  # fmt: skip
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="as for run.py, such as model=resnet "
                        "data.image_size=224 mode=feature_extractor; or one run's folder")  # fmt: skip
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    parser.set_defaults(command=run, prints=True, listed="overrides")


def run(chosen: argparse.Namespace) -> int:
    """Print the table; warnings go to stderr, except with JSON, which contains them."""
    with contextlib.redirect_stdout(sys.stderr):  # Keras prints download progress to stdout
        subject = _subject(chosen.overrides)
    from cvlib.inspection import describe

    found = describe.describe(subject)
    if chosen.format == "json":
        text = json.dumps(found.as_json(), indent=2, ensure_ascii=False) + "\n"
    elif chosen.format == "csv":
        text = _csv(found.records())
    else:
        text = "\n".join(found.lines()) + "\n"
    warnings = [] if chosen.format == "json" else [f"warning: {warning}" for warning in found.warnings]
    for line in [*subject.notes, *warnings]:
        say(line)
    write_output(text, None)
    return 0


def _subject(arguments: list[str]) -> Subject:
    """Return the settings that define the network, from a run's folder or from overrides."""
    from cvlib.cli.compose import compose
    from cvlib.inspection import describe
    from cvlib.models import restore as saved

    folders = [argument for argument in arguments if "=" not in argument or Path(argument).is_dir()]
    if folders and len(arguments) > 1:
        raise UserError(f"{folders[0]}: give either overrides (key=value) or one run's folder")
    if folders:
        return describe.of_run(saved.open_run(Path(folders[0])))
    return describe.of_config(compose(arguments))


def _csv(records: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()
