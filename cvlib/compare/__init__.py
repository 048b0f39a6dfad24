"""Compare runs: find them, group them over seeds, test the differences, and report them as text, CSV, JSON or HTML."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

from cvlib.compare import as_json, caveats, runs, tables, verdict
from cvlib.compare.groups import Section, metrics, sections
from cvlib.compare.verdict import Comparison
from cvlib.compare.wording import Tables, explanation, remarks, title
from cvlib.viz import text_table

LIST = "list"
FORMATS = ("table", "md", "csv", "json", "html")


def compare(
    folders: list[Path], say: Callable[[str], None], by: str | None = None, metric: str | None = None,
    form: str = "table",
) -> str:  # fmt: skip
    """Return a comparison of the runs below `folders`, as text in one of `FORMATS`.

    `by` is "run", "group" (over seeds), or None: "group" if an experiment has several seeds, else "run". `metric` is a
    name such as test/accuracy, or None for the task's usual metric; "list" returns a list of all metrics instead.
    `say` receives a line for each skipped folder and, for csv, the verdicts and warnings. Raises `UserError` if a
    folder doesn't exist, if there are no runs, or if no run has the metric.
    """
    all_runs = runs.find(folders, say)
    if metric == LIST:
        return "\n".join(text_table.ruled(metrics(all_runs))) + "\n"
    found = sections(all_runs, by, metric)
    comparisons = [verdict.comparisons(section) for section in found]
    warnings = list(caveats.warnings(found))
    if form == "csv":
        for line in [
            *filter(None, [caveats.apart(found)]),
            *warnings,
            *(line for parts in zip(found, comparisons, strict=True) for line in remarks(*parts)),
        ]:
            say(line)
        return tables.csv_text(found, comparisons)
    if form == "json":
        return as_json.text(found, comparisons, [*filter(None, [caveats.apart(found)]), *warnings])
    drawn = [(tables.display(section, compared), tables.comparison_rows(section, compared))
             for section, compared in zip(found, comparisons, strict=True)]  # fmt: skip
    if form == "html":
        from cvlib.compare import report

        return report.html(found, comparisons, drawn, warnings)
    blocks = [_block(*parts, form) for parts in zip(found, comparisons, drawn, strict=True)]
    ending = _paragraph([f"warning: {line}" for line in warnings], form)
    notes = explanation(drawn)
    notes = notes if form == "md" else textwrap.fill(notes, 110)
    return "\n\n".join(filter(None, [caveats.apart(found), *blocks, ending, notes])) + "\n"


def _block(section: Section, comparisons: list[Comparison], drawn: Tables, form: str) -> str:
    """Return a section's title, tables and remarks."""
    draw = text_table.markdown if form == "md" else text_table.ruled
    heading = f"### {title(section)}" if form == "md" else title(section)
    shown, against = ("\n".join(draw(rows)) if rows else "" for rows in drawn)
    return "\n\n".join(filter(None, [heading, shown, _paragraph(remarks(section, comparisons), form), against]))


def _paragraph(lines: list[str], form: str) -> str:
    return "\n".join(f"- {line}" if form == "md" else line for line in lines)
