"""Tables of the page as HTML. The page's script makes them sortable and adds a filter."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from html import escape

from cvlib.viz.text_table import number_columns

LONGEST = 40  # characters; a cell with more is wide and may be broken
Row = Mapping[str, str]
_UNITS = {
    "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0,
    "k": 1e3, "M": 1e6, "B": 1e9, "MB": 1.0, "GB": 1e3,
}  # fmt: skip
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?: ([a-zA-Z]+)\b)?")  # such as `64`, `1e-05` or `3.43 M`


def table(
    rows: Sequence[Row], places: Sequence[int] = (), leaders: Collection[int] = (), choices: Collection[str] = ()
) -> str:  # fmt: skip
    """Return the rows as an HTML table; empty if there are no rows.

    With `places`, each row is the group with this place, and the filter also applies to the section's figures. The
    rows of `leaders` are emphasized. The filter has a list of values for each column in `choices`.
    """
    if not rows:
        return ""
    right = number_columns(rows)
    heads = "".join(_heading(column, column in right, column in choices) for column in rows[0])
    lines = []
    for index, row in enumerate(rows):
        place = places[index] if places else None
        start = f"<tr{_attributes(**{'class': 'leader' * (place in leaders), 'data-g': place if places else ''})}>"
        lines.append(start + "".join(_cell(text, column in right) for column, text in row.items()) + "</tr>")
    start = '<table data-figures="1">' if places else "<table>"
    inner = f"{start}<thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return f'<div class="scroll" tabindex="0">{inner}</div>'


def _heading(column: str, is_number: bool, is_choice: bool) -> str:
    text = _breakable(column).replace(" (", "<br/>(")
    style = {"class": "number" * is_number, "data-choice": "1" * is_choice}
    return f'<th scope="col"{_attributes(**style)}>{text}</th>'


def _cell(text: str, is_number: bool) -> str:
    style = "long" if len(text) > LONGEST else "number" * is_number
    value = number(text) if is_number and _needs_value(text) else None
    given = "" if value is None else f"{value:g}"
    return f"<td{_attributes(**{'class': style, 'data-v': given})}>{_breakable(text)}</td>"


def _attributes(**values: object) -> str:
    return "".join(f' {name}="{value}"' for name, value in values.items() if value not in ("", None))


def _breakable(text: str) -> str:
    """Return escaped text that may be broken after `_.,/=`, but not between a number and its unit or deviation."""
    kept = re.sub(r"(?<=\d) (?=[±–/]|to |[a-zA-Z]{1,3}\b)|(?<=<) ", "\u00a0", text)
    return re.sub(r"(?<=[a-zA-Z][_./=])(?=[a-zA-Z])|(?<=,)(?=\S)", "<wbr/>", escape(kept))


def number(text: str) -> float | None:
    """Return the first number of a cell in seconds, megabytes or ones; None if the cell doesn't start like a number.

    For example, `1 min 4 s` is 64, `3.43 M, 12.8 k trained` is 3,430,000, and `< 0.001` is just below 0.001.
    """
    below, start = text.startswith("<"), text.lstrip("<").strip()
    sign, start = (-1.0, start[1:]) if start[:1] in ("-", "−") else (1.0, start)
    if (found := _AMOUNT.match(start)) is None:
        return None
    total = _amount(found)
    while found[2] in ("min", "h") and (found := _AMOUNT.match(start, found.end() + 1)):
        total += _amount(found)
    return sign * total * (0.999 if below else 1.0)


def _amount(found: re.Match[str]) -> float:
    return float(found[1]) * _UNITS.get(found[2], 1.0)


def _needs_value(text: str) -> bool:
    """Return whether the page's script can't read the number at the start of the text by itself."""
    return text[:1] in "<−" or bool(re.match(r"\S+ [a-zA-Z]", text))
