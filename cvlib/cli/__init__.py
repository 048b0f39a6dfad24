"""The `cvlib` command. Each subcommand imports its dependencies when it is called."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from cvlib.cli import (
    benchmark,
    cache,
    check,
    compare,
    evaluate,
    export,
    find_lr,
    import_predictions,
    inspect,
    predict,
    recommend,
    report,
    runs,
    train,
    visualize,
)
from cvlib.runtime.errors import FAILED, INTERRUPTED, RunFailed, UserError, complain, user_message
from cvlib.runtime.output import lasting, lost_by_error

_COMMANDS = (  # in the order of --help
    train, check, recommend, compare, runs, report, inspect, find_lr, visualize, evaluate, predict,
    import_predictions, export, benchmark, cache,
)  # fmt: skip


class _Parser(argparse.ArgumentParser):
    """An argument parser that reports errors in one line, like the rest of cvlib."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    with lasting():
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    try:
        chosen = _parsed(parser, arguments)
        if chosen.version:
            print(_versions())
            return 0
        if chosen.command is None:
            parser.print_help()
            return 0
        code = int(chosen.command(chosen))
        sys.stdout.flush()
        return code or FAILED * (chosen.prints and lost_by_error() is not None)
    except UserError as error:
        return complain(str(error))
    except (NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        return complain(f"{error.filename}: {error.strerror}: choose another path")
    except RunFailed as error:
        complain(str(error))
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        message = user_message(error)
        if message is None:
            raise
        complain(message)
        return FAILED


def _parsed(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments; options may stand between the values of a list, which argparse alone rejects."""
    chosen, rest = parser.parse_known_args(arguments)
    if rest and (chosen.listed is None or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        setattr(chosen, chosen.listed, [*getattr(chosen, chosen.listed), *rest])
    return chosen


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="cvlib",
        description="Trains networks, checks data and networks before a run, and compares and applies finished runs.",
    )
    # `listed`: the argument that takes a list of values; `prints`: whether the output is the command's result.
    parser.set_defaults(command=None, listed=None, prints=False)
    parser.add_argument("--version", action="store_true", help="show the versions of cvlib and its dependencies")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for module in _COMMANDS:
        module.add(commands)
    return parser


def _versions() -> str:
    from cvlib.runs import provenance

    found = provenance.versions()
    own = found.pop("cvlib-experiments", "(not installed)")
    return f"cvlib {own} (" + ", ".join(f"{name} {version}" for name, version in found.items()) + ")"
