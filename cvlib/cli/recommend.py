"""`cvlib recommend DATA`: which network, trained how, works best on these images?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "recommend", help="find the network and the regime that work best on your images",
        description="Checks the images, ranks the pretrained networks at hand, trains candidates within the given "
        "time, and compares them. It leaves the best run in outputs/recommended/NAME, with a page that explains the "
        "choice. An interrupted recommendation continues; so does a finished one that is given more minutes.",
    )  # fmt: skip
    parser.add_argument(
        "data", metavar="DATA", help="a folder or a label file, as for data.path, or a dataset of cvlib"
    )
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="further settings of the data: data.…=…")
    parser.add_argument("--minutes", type=float, metavar="N", help="wall-clock time for everything (default: 30)")
    parser.add_argument("--task", metavar="TASK", help="the task, if the data has labels for several")
    parser.add_argument("--name", metavar="NAME", help="name of the recommendation (default: that of the data)")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), metavar="DIR", help="the folder for runs")
    parser.add_argument("--seed", type=int, default=0, help="seed of the splits and the first runs")
    parser.add_argument("--open", action="store_true", help="open the page in a browser at the end")
    parser.set_defaults(command=run, listed="overrides")


def run(chosen: argparse.Namespace) -> int:
    """Recommend a network; return 0."""
    import dataclasses

    from cvlib import recommend
    from cvlib.cli.compose import composed
    from cvlib.config.fields import check_bounds
    from cvlib.recommend import page, settings
    from cvlib.runtime import stopping
    from cvlib.runtime.errors import interrupt

    numbers = settings.read()
    if chosen.minutes is not None:
        numbers = dataclasses.replace(numbers, minutes=chosen.minutes)
        check_bounds(numbers, "recommend")
    request = recommend.Request(chosen.data, chosen.overrides, chosen.task, chosen.name, chosen.outputs, chosen.seed)
    before = stopping.handle(interrupt)
    try:
        folder = recommend.recommend(request, numbers, composed, lambda line: print(line, flush=True))
    finally:
        stopping.restore(before)
    if chosen.open:
        import webbrowser

        webbrowser.open((folder / page.NAME).resolve().as_uri())
    return 0
