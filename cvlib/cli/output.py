"""Output of the subcommands, to the screen or to a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from cvlib.runtime.errors import UserError
from cvlib.runtime.files import write_atomically

_BY_SUFFIX = {".html": "html", ".htm": "html", ".csv": "csv", ".json": "json", ".md": "md"}


def format_of(output: Path | None, given: str | None, known: Sequence[str]) -> str:
    """Return the format of the output: the given one, that of the file's extension, or table.

    Raises `UserError` if the extension's format isn't among the known ones.
    """
    found = given or (_BY_SUFFIX.get(output.suffix.lower()) if output else None) or "table"
    if found not in known:
        raise UserError(f"--output {output}: {found} is not available: choose from {', '.join(known)}")
    return found


def refuse_output(output: Path | None) -> None:
    """Raise `UserError` if --output is a folder, or if its parent folder doesn't exist."""
    if output is not None and (output.is_dir() or not output.parent.is_dir()):
        raise UserError(f"--output {output}: expected a file in an existing folder")


def write_output(text: str, output: Path | None) -> None:
    """Write the text to the file, or to the screen if no file is given; raise `UserError` if it can't be written."""
    if output is None:
        sys.stdout.write(_printable(text))
        sys.stdout.flush()
        return
    try:
        write_atomically(output, text)
    except OSError as error:
        raise UserError(f"--output {output}: can't be written, {error.strerror}") from None
    print(f"written: {output}")


def _printable(text: str) -> str:
    """Return JSON with escapes if the screen can't show all its letters; return other text unchanged."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(json.loads(text), indent=2) + "\n" if text.startswith("{") else text
    return text


def say(line: str) -> None:
    """Print a note to stderr, so that it isn't mixed with the result."""
    print(line, file=sys.stderr)
