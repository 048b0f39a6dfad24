"""`cvlib find-lr OVERRIDE…`: suggest learning rates for the run that these overrides describe."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from cvlib.runtime.errors import UserError

_FEWEST, _MOST = 20, 10_000  # steps


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "find-lr", help="suggest learning rates: train while the rate grows, and look at the loss",
        description="Trains the network of a run while the learning rate grows exponentially (Smith 2017), and "
        "suggests a tenth of the rate at which the smoothed loss is smallest. With mode=finetune, the head alone is "
        "tested first, then the phase that also trains the base. Writes learning_rate.png and learning_rate.csv into "
        "outputs/find_lr/NAME/TIME. optimizer.lr=auto does the same at the start of a run.",
    )  # fmt: skip
    parser.add_argument(
        "overrides", nargs="*", metavar="OVERRIDE", help="as for run.py, such as model=cnn data=letters"
    )
    parser.add_argument("--from", dest="first", type=float, default=1e-6, metavar="RATE", help="the smallest rate "
                        "(default: 1e-6)")  # fmt: skip
    parser.add_argument("--to", dest="last", type=float, default=10.0, metavar="RATE", help="the largest rate "
                        "(default: 10)")  # fmt: skip
    parser.add_argument("--steps", type=int, default=100, help="training steps for each curve (default: 100)")
    parser.set_defaults(command=run)


def run(chosen: argparse.Namespace) -> int:
    """Search, write the files, and print the suggestion; return 0."""
    if not 0 < chosen.first < chosen.last < float("inf"):
        raise UserError(f"--from {chosen.first:g} --to {chosen.last:g}: expected a smaller and a larger rate above 0")
    if not _FEWEST <= chosen.steps <= _MOST:
        raise UserError(f"--steps {chosen.steps}: expected a number from {_FEWEST} to {_MOST}")
    from cvlib.cli.compose import compose
    from cvlib.config.schema import as_mapping
    from cvlib.runs.record import run_name

    config = compose(chosen.overrides)
    folder = Path(config.output_root) / "find_lr" / run_name(as_mapping(config)) / time.strftime("%Y-%m-%d_%H-%M-%S")
    from cvlib import experiment
    from cvlib.runtime.files import csv_of, write_atomically
    from cvlib.viz import pictures

    found = experiment.find_rates(config, folder, chosen.first, chosen.last, chosen.steps)
    pictures.save_png(found.picture(), folder / "learning_rate.png")
    write_atomically(folder / "learning_rate.csv", csv_of(found.rows()))
    for line in found.lines():
        print(line)
    print(f"written to {folder}: learning_rate.png, learning_rate.csv")
    print(f"use: {found.overrides()}")
    return 0
