"""Reading of text tables with any encoding, separator and decimal mark into rows of cells."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from cvlib.data.layouts import table_json
from cvlib.runtime.errors import UserError

SUFFIXES = (".csv", ".tsv", *table_json.SUFFIXES)
_SEPARATORS = ",;\t|"
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


@dataclass(frozen=True)
class Rows:
    """The non-empty rows of a table, each with its line number."""

    rows: list[tuple[int, list[str]]]
    notes: list[str] = field(default_factory=list)  # assumptions made while reading


def read(file: Path, max_rows: int | None = None) -> Rows:
    """Return the table's first `max_rows` rows (all if None). Raises `UserError` if it is not a table."""
    if file.suffix.lower() in table_json.SUFFIXES:
        return Rows(list(enumerate(table_json.rows(file)))[:max_rows])
    text, notes = _decoded(file)
    first, _, rest = text.partition("\n")
    lines_before = 0
    separator = None
    if match := re.fullmatch(r'"?sep=(.)"?\s*', first):
        separator, text, lines_before = match[1], rest, 1
    delimiter = separator or _delimiter(file, text)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        for row in islice(reader, max_rows):
            if any(cell.strip() for cell in row):
                rows.append((reader.line_num + lines_before, row))
    except csv.Error as error:
        place = f"{file}, line {reader.line_num + lines_before}"
        raise UserError(f"{place}: can't be read as a table: {error}") from None
    return Rows(rows, notes)


def _decoded(file: Path) -> tuple[str, list[str]]:
    """Return the text of a file, and a note if its encoding was guessed."""
    content = file.read_bytes()
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if content.startswith(mark)), None)
    if encoding is None and content[:200].count(b"\0") > len(content[:200]) // 4:
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    if encoding is not None:
        return content.decode(encoding, "replace"), []
    try:
        return content.decode("utf-8"), []
    except UnicodeDecodeError:
        if _is_mostly_utf8(content):
            return content.decode("utf-8", "surrogateescape"), []
        return content.decode("cp1252", "replace"), [f"{file.name} is not UTF-8: read as Windows-1252 (Latin-1)"]


def _is_mostly_utf8(content: bytes) -> bool:
    """Return whether most non-ASCII characters are valid UTF-8, so the others are file names in another encoding."""
    broken = content.decode("utf-8", "replace").count("\ufffd")
    proper = sum(ord(character) > 127 for character in content.decode("utf-8", "ignore"))
    return proper > broken


def _delimiter(file: Path, text: str) -> str:
    """Return the most frequent separator in the first row; in a .txt file without any, a space."""
    if file.suffix.lower() == ".tsv":
        return "\t"
    lines = [line for line in text.splitlines()[:20] if line.strip()]
    if not lines:
        return ","
    first = max(_SEPARATORS, key=lines[0].count)
    if lines[0].count(first) or file.suffix.lower() != ".txt":
        return first
    return " "


def number(text: str) -> float | None:
    """Return the number in a cell, with a decimal point or comma, or None if it is not a number."""
    cleaned = text.strip().replace("\u00a0", "")
    if re.fullmatch(r"[-+]?\d+,\d+", cleaned):
        cleaned = cleaned.replace(",", ".")
    if re.fullmatch(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", cleaned):
        return float(cleaned)
    return None


def whole(text: str) -> str | None:
    """Return the digits of a whole number, however it is written (1, 1.0, 1,0); None for other cells."""
    value = number(text)
    return str(int(value)) if value is not None and value == int(value) and abs(value) < 1e15 else None
