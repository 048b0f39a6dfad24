"""The `cvlib` command. Each subcommand imports its dependencies when it is called."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from cvlib.cli import (
    cache,
    check,
    compare,
    evaluate,
    export,
    find_lr,
    import_predictions,
    inspect,
    predict,
    train,
    visualize,
)
from cvlib.runtime.errors import FAILED, INTERRUPTED, UserError, complain, user_message


class _Parser(argparse.ArgumentParser):
    """An argument parser that reports errors in one line, like the rest of cvlib."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = _parser()
    try:
        chosen = parser.parse_args(arguments)
        if chosen.version:
            print(_versions())
            return 0
        if chosen.command is None:
            parser.print_help()
            return 0
        return int(chosen.command(chosen))
    except UserError as error:
        return complain(str(error))
    except (NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        return complain(f"{error.filename}: {error.strerror}: choose another path")
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # a reader such as `head` closed the pipe; Python would report an error at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        message = user_message(error)
        if message is None:
            raise
        complain(message)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="cvlib",
        description="Trains networks, checks data and networks before a run, and compares and applies finished runs.",
    )
    parser.set_defaults(command=None)
    parser.add_argument("--version", action="store_true", help="show the versions of cvlib and its dependencies")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for module in (train, check, compare, inspect, find_lr, visualize, evaluate, predict, import_predictions, export,
                   cache):  # fmt: skip
        module.add(commands)
    return parser


def _versions() -> str:
    from cvlib.runs import provenance

    found = provenance.versions()
    own = found.pop("cvlib-experiments", "(not installed)")
    return f"cvlib {own} (" + ", ".join(f"{name} {version}" for name, version in found.items()) + ")"
