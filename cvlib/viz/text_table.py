"""Tables as people read them in a terminal: columns that line up."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


def aligned(rows: Sequence[Sequence[str]], left: Collection[int] = (0,), rule: bool = False) -> list[str]:
    """Rows of equally many cells as lines: the columns in `left` to the left, all others, numbers, to the right.

    With `rule` a line is drawn under the first row.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) if place in left else cell.rjust(width)
                       for place, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
             for row in rows]  # fmt: skip
    if rule:
        lines.insert(1, "  ".join("─" * width for width in widths))
    return lines


def titled(rows: Sequence[Mapping[str, str]], left: Collection[int] = (0,), rule: bool = False) -> list[str]:
    """`aligned` for rows of equal keys, the keys as the first line."""
    return aligned([list(rows[0]), *([row[name] for name in rows[0]] for row in rows)], left, rule)
