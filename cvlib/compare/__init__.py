"""Runs side by side: found, grouped over seeds, tested, and said in a table, a report and a sentence."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

from cvlib.compare import caveats, runs, tables, verdict
from cvlib.compare.groups import Section, metrics, sections
from cvlib.compare.tables import Row
from cvlib.compare.verdict import Comparison
from cvlib.runs.run import Run

LIST = "list"
FORMATS = ("table", "md", "csv", "html")
Tables = tuple[list[Row], list[Row]]  # of a section: its groups, and the leader against each other one
_MEANS = "Means ± standard deviation over seeds, CI by Student's t."
_DIFFERENCES = "Differences ± one standard error."
_NOTES = {  # of the columns of the leader's comparisons
    "effect d": "effect d: the difference over its standard deviation across samples, or across runs that share none.",
    "p networks": "p networks: would these very networks differ on further images?",
    "p seeds too": "p seeds too: would networks trained from other seeds differ as well?",
    "p Holm": "p Holm, which the verdict goes by: corrected for the number of comparisons.",
}


def compare(
    folders: list[Path], say: Callable[[str], None], by: str | None = None, metric: str | None = None,
    form: str = "table",
) -> str:  # fmt: skip
    """What the runs below `folders` show, as text of one of `FORMATS`.

    `by` is run or group (over seeds; None chooses), `metric` such as test/accuracy (None: the task's usual one; list:
    the text names all that there are).
    Skipped folders and, for csv, verdicts and warnings go line by line to `say`. Raises `UserError` for a folder
    that doesn't exist, no run at all, or a metric that no run has.
    """
    there = runs.find(folders, say)
    if metric == LIST:
        return "\n".join(tables.aligned(metrics(there))) + "\n"
    found = sections(there, by, metric)
    made = [verdict.comparisons(section) for section in found]
    warnings = list(caveats.warnings(found))
    if form == "csv":
        for line in [
            *filter(None, [caveats.apart(found)]),
            *warnings,
            *(line for one, them in zip(found, made, strict=True) for line in remarks(one, them)),
        ]:
            say(line)
        return tables.csv_text(found, made)
    drawn = [(tables.display(section, them), tables.comparison_rows(section, them))
             for section, them in zip(found, made, strict=True)]  # fmt: skip
    if form == "html":
        from cvlib.compare import report

        return report.html(found, made, drawn, warnings)
    blocks = [_block(*parts, form) for parts in zip(found, made, drawn, strict=True)]
    ending = _paragraph([f"warning: {line}" for line in warnings], form)
    notes = explanation(drawn)
    small_print = notes if form == "md" else textwrap.fill(notes, 110)
    return "\n\n".join(filter(None, [caveats.apart(found), *blocks, ending, small_print])) + "\n"


def _block(section: Section, made: list[Comparison], drawn: Tables, form: str) -> str:
    """A section's title, tables and words."""
    draw = tables.markdown if form == "md" else tables.aligned
    heading = f"### {title(section)}" if form == "md" else title(section)
    shown, against = ("\n".join(draw(rows)) if rows else "" for rows in drawn)
    return "\n\n".join(filter(None, [heading, shown, _paragraph(remarks(section, made), form), against]))


def explanation(drawn: list[Tables]) -> str:
    """What stands in those columns that there are; empty where none needs a word."""
    groups, differences = ([row for pair in drawn for row in pair[place]] for place in (0, 1))
    columns = {column for row in differences for column in row}
    return " ".join(filter(None, [
        _MEANS if any("95 % CI" in row for row in groups) else "",
        _DIFFERENCES if any(" ± " in cell for row in differences for cell in row.values()) else "",
        *(note for column, note in _NOTES.items() if column in columns),
    ]))  # fmt: skip


def _paragraph(lines: list[str], form: str) -> str:
    return "\n".join(f"- {line}" if form == "md" else line for line in lines)


def title(section: Section) -> str:
    """`classification on digits, by test/accuracy: 9 runs in 3 groups`."""
    count = len(section.runs)
    runs_text = f"{count} completed run{'' if count == 1 else 's'}"
    groups_text = "" if section.by_run else f" in {len(section.groups)} group{'' if len(section.groups) == 1 else 's'}"
    return f"{section.title}, by {section.metric}: {runs_text}{groups_text}"


def remarks(section: Section, made: list[Comparison]) -> list[str]:
    """The verdict, what was left out and why, and the runs that aren't completed."""
    unfinished = [f"not counted, {run.status}: {run.name}" + _reason(run) for run in section.others]
    return [*verdict.words(section, made), *section.remarks, *unfinished]


def _reason(run: Run) -> str:
    error = run.summary.get("error")
    return f" ({' '.join(str(error).split())[:100]})" if error else ""
