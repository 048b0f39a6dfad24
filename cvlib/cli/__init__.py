"""The `cvlib` command; each subcommand imports what it needs when it is called."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from cvlib.cli import cache, evaluate, export, inspect, predict, visualize
from cvlib.runtime.errors import UserError, in_words

_FORMATS = {".html": "html", ".htm": "html", ".csv": "csv", ".md": "md"}


class _Parser(argparse.ArgumentParser):
    """argparse, with its errors in one line like every other of ours."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = _parser()
    try:
        chosen = parser.parse_args(arguments)
        if chosen.command is None:
            parser.print_help()
            return 0
        return int(chosen.command(chosen))
    except UserError as error:
        return _complain(str(error))
    except (NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        return _complain(f"{error.filename}: {error.strerror}: choose another place")
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has had enough; Python would complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        words = in_words(error)
        if words is None:
            raise
        _complain(words)
        return 1


def _complain(message: str) -> int:
    from cvlib.cli.jobs import complain  # brings OmegaConf, which only an error needs

    return complain(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="cvlib", description="Looks at data and networks before a run of `python run.py`, and at what runs left."
    )
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_check(commands)
    _add_compare(commands)
    for module in (inspect, visualize, evaluate, predict, export, cache):
        module.add(commands)
    return parser


def _add_check(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "check", help="a collection of images looked over before training",
        description="Reads every image and label of a collection once and says what is in it and what is wrong with "
        "it, by file. Nothing is changed. Exit code 1 if anything would spoil a run.",
    )  # fmt: skip
    parser.add_argument("data", metavar="DATA", help="the collection's folder, as for data.path")
    parser.add_argument("--layout", help="how its files lie, as for data.layout (default: found out)")
    parser.add_argument("--task", choices=("classification", "detection", "segmentation"),
                        help="look at its labels for this task only (default: all that it has labels for)")  # fmt: skip
    parser.add_argument("--format", choices=("table", "json"), help="json lists every finding, a table the first ten "
                        "of a kind (default: by --output's ending, else table)")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FILE", help="write to this file instead of the screen")
    parser.set_defaults(command=_check)


def _check(chosen: argparse.Namespace) -> int:
    _refuse_output(chosen.output)
    from cvlib.data.check import check
    from cvlib.data.check.report import as_json, as_text

    report = check(chosen.data, chosen.layout, chosen.task)
    form = chosen.format or ("json" if chosen.output and chosen.output.suffix.lower() == ".json" else "table")
    _hand_over(as_json(report) if form == "json" else as_text(report), chosen.output)
    return 1 if report.spoiled else 0


def _add_compare(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = commands.add_parser(
        "compare", help="runs side by side, and which is best",
        description="Compares the runs below the given folders: what differs between their configs, metrics over "
        "seeds, paired tests on the same test samples, and a verdict in words.",
    )  # fmt: skip
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="a folder with runs somewhere below it")
    parser.add_argument("--by", choices=("run", "group"), help="a row per run, or per group over seeds "
                        "(default: group where there are several seeds)")  # fmt: skip
    parser.add_argument(
        "--metric", help="such as test/accuracy (default: the task's usual one); list shows all that there are"
    )
    parser.add_argument(
        "--format",
        choices=("table", "md", "csv", "html"),
        help="html is one self-contained file with curves (default: by --output's ending, else table)",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write to this file instead of the screen")
    parser.set_defaults(command=_compare)


def _compare(chosen: argparse.Namespace) -> int:
    from cvlib.compare import compare

    output: Path | None = chosen.output
    form = chosen.format or (_FORMATS.get(output.suffix.lower()) if output else None) or "table"
    _refuse_output(output)
    _hand_over(compare(chosen.folders, _say, chosen.by, chosen.metric, form), output)
    return 0


def _refuse_output(output: Path | None) -> None:
    if output is not None and (output.is_dir() or not output.parent.is_dir()):
        raise UserError(f"--output {output}: give a file in a folder that exists")


def _hand_over(text: str, output: Path | None) -> None:
    """Write to the file, or to the screen where there is none."""
    if output is None:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="replace")  # a terminal without ± or – shows ?, not a traceback
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    from cvlib.runtime.files import write_atomically

    try:
        write_atomically(output, text.encode(errors="replace"))
    except OSError as error:
        raise UserError(f"--output {output}: can't be written, {error.strerror}") from None
    print(f"written: {output}")


def _say(line: str) -> None:
    print(line, file=sys.stderr)
