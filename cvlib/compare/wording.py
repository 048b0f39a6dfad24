"""The text around tables: titles, remarks, and explanations of columns."""

from __future__ import annotations

from cvlib.compare import verdict
from cvlib.compare.groups import Section
from cvlib.compare.tables import Row
from cvlib.compare.verdict import Comparison
from cvlib.runs.run import Run

Tables = tuple[list[Row], list[Row]]  # of a section: its groups, and the leader against every other group
_MEANS = "Means ± standard deviation over seeds. The CI accounts for new seeds and new test images."
_DIFFERENCES = "Differences ± one standard error."
_NOTES = {  # by column of the leader's comparisons
    "p (these networks)": "p (these networks): would the same networks also differ on other images?",
    "p (new seeds)": "p (new seeds): would networks trained with other seeds also differ?",
    "p Holm": "p Holm: p corrected for the number of comparisons; the verdict uses it.",
}  # fmt: skip


def explanation(drawn: list[Tables]) -> str:
    """Return an explanation of the tables' columns; empty if no column needs one."""
    groups, differences = ([row for pair in drawn for row in pair[place]] for place in (0, 1))
    columns = {column for row in differences for column in row}
    return " ".join(filter(None, [
        _MEANS if any("95 % CI" in row for row in groups) else "",
        _DIFFERENCES if any(" ± " in cell for row in differences for cell in row.values()) else "",
        *(note for column, note in _NOTES.items() if column in columns),
    ]))  # fmt: skip


def title(section: Section) -> str:
    """Return a title such as `classification on digits, by test/accuracy: 9 completed runs in 3 groups`."""
    count = len(section.runs)
    runs_text = f"{count} completed run{'' if count == 1 else 's'}"
    groups_text = "" if section.by_run else f" in {len(section.groups)} group{'' if len(section.groups) == 1 else 's'}"
    return f"{section.title}, by {section.metric}: {runs_text}{groups_text}"


def remarks(section: Section, comparisons: list[Comparison]) -> list[str]:
    """Return the verdict, and which runs are left out and why."""
    unfinished = [f"left out because its status is {run.status}: {run.name}" + _reason(run) for run in section.others]
    return [*verdict.words(section, comparisons), *section.remarks, *unfinished]


def _reason(run: Run) -> str:
    error = run.summary.get("error")
    return f" ({' '.join(str(error).split())[:100]})" if error else ""
