"""Text tables: aligned columns for a terminal, or Markdown."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


def aligned(rows: Sequence[Sequence[str]], left: Collection[int] = (0,), rule: bool = False) -> list[str]:
    """Return rows with the same number of cells as lines; `left` columns are left-aligned, all others right-aligned.

    With `rule`, a line is drawn under the first row.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) if index in left else cell.rjust(width)
                       for index, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
             for row in rows]  # fmt: skip
    if rule:
        lines.insert(1, "  ".join("─" * width for width in widths))
    return lines


def titled(rows: Sequence[Mapping[str, str]], left: Collection[int] = (0,), rule: bool = False) -> list[str]:
    """Return `aligned` lines for rows with the same keys; the keys are the first line."""
    return aligned([list(rows[0]), *([row[name] for name in rows[0]] for row in rows)], left, rule)


def ruled(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Return rows with the same keys as lines under a ruled header; columns of numbers are right-aligned."""
    right = number_columns(rows)
    return titled(rows, [index for index, column in enumerate(rows[0]) if column not in right], rule=True)


def markdown(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Return rows with the same keys as the lines of a Markdown table; columns of numbers are right-aligned."""
    columns, right = list(rows[0]), number_columns(rows)

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rule = "|" + "|".join("---:" if column in right else "---" for column in columns) + "|"
    return [line(columns), rule, *(line([row[column] for column in columns]) for row in rows)]


def number_columns(rows: Sequence[Mapping[str, str]]) -> set[str]:
    """Return the columns in which every cell starts like a number or is a dash."""

    def is_number(cell: str) -> bool:
        return cell == "–" or cell.lstrip("<-− ")[:1].isdigit()

    return {column for column in rows[0] if all(is_number(row[column]) for row in rows)}
