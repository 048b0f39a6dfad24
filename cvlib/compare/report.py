"""The comparison as one self-contained HTML page: verdict, tables, curves, differences between the configs."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from cvlib.compare import caveats, curves, figures, pareto, wording
from cvlib.compare.groups import Section, differing_keys, listed, plain
from cvlib.compare.tables import Row, heading
from cvlib.compare.verdict import Comparison, words
from cvlib.runs.run import SEED_KEYS, Run
from cvlib.viz import html_table, page

_MOST_COLUMNS = 8
_PLACES = "#: place in its section by the metric."


def html(
    sections: list[Section], comparisons: list[list[Comparison]], drawn: list[wording.Tables], warnings: list[str]
) -> str:  # fmt: skip
    """Return the page as HTML; it loads no other files."""
    body = ["<h1>Comparison of runs</h1>"]
    if apart := caveats.apart(sections):
        body.append(f"<p>{escape(apart)}</p>")
    if warnings:
        body.append('<div class="warning">' + "".join(f"<p>{escape(line)}</p>" for line in warnings) + "</div>")
    for section, compared, rows in zip(sections, comparisons, drawn, strict=True):
        body += _section(section, compared, *rows)
    body.append(f'<p class="soft">{escape(" ".join(filter(None, [_PLACES, wording.explanation(drawn)])))}</p>')
    return page.whole("Comparison of runs", body)


def _section(section: Section, comparisons: list[Comparison], shown: list[Row], against: list[Row]) -> Iterator[str]:
    verdict = list(words(section, comparisons))
    rest = wording.remarks(section, comparisons)[len(verdict) :]
    yield f"<section><h2>{escape(wording.title(section))}</h2>"
    if verdict:
        yield '<div class="verdict">' + "".join(f"<p>{escape(line)}</p>" for line in verdict) + "</div>"
    yield _groups(section, shown)
    yield figures_of(section)
    if comparisons:
        yield "<h3>The leading group against every other group</h3>" + html_table.table(against)
    yield _config_differences(section)
    if rest:
        yield "<h3>Remarks</h3><ul>" + "".join(f"<li>{escape(line)}</li>" for line in rest) + "</ul>"
    yield "</section>"


def _groups(section: Section, shown: list[Row]) -> str:
    """Return the table of the groups, with their places; its filter also selects what the figures show."""
    numbered = any(group.numbered for group in section.groups)
    places = [group.place for group in section.groups]
    rows = shown if numbered else [{"#": str(place), **row} for place, row in zip(places, shown, strict=True)]
    leaders = {contest[0].place for contest in section.contests if len(contest) > 1}
    return html_table.table(rows, places, leaders, [heading(key) for key in section.keys])


def figures_of(section: Section) -> str:
    """Return the curves, the data efficiency and the Pareto fronts of a section, with a note; empty without any."""
    all_series = figures.series(section)
    drawn = [*curves.figures(section, all_series), figures.data_efficiency(section, all_series),
             *pareto.figures(section, all_series)]  # fmt: skip
    if not any(drawn):
        return ""
    note = curves.note(section, all_series) if drawn[0] else ""
    below = f'<p class="soft">{escape(note)}</p>' if note else ""
    return f'<div class="figures">{"".join(drawn)}</div>{below}'


def _config_differences(section: Section) -> str:
    keys = [key for key in differing_keys(section.runs) if section.by_run or key not in SEED_KEYS]
    if not keys:
        return ""
    if len(section.groups) <= _MOST_COLUMNS:
        heads = [group.label if group.numbered else f"#{group.place} {group.label}" for group in section.groups]
        values = {key: [_written(group.runs[0], key) for group in section.groups] for key in keys}
        rows = [{"key": key, **dict(zip(heads, values[key], strict=True))} for key in keys]
    else:
        rows = [{"key": key, "values": _values(section.runs, key)} for key in keys]
    return "<h3>Differences between the configs</h3>" + html_table.table(rows)


def _values(runs: list[Run], key: str) -> str:
    return listed(dict.fromkeys(_written(run, key) for run in runs), 10)


def _written(run: Run, key: str) -> str:
    """Return the setting as it is written in YAML, or a dash if the run's config doesn't have the key."""
    return plain(run.settings[key]) if key in run.settings else "–"
