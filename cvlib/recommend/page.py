"""The page of a recommendation: one self-contained file, from the parts of the other pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from cvlib.compare import report as comparison
from cvlib.compare.groups import Group, Section
from cvlib.recommend import finish, insights, words
from cvlib.recommend.ranking import Ranked
from cvlib.recommend.result import Result
from cvlib.recommend.session import Session, validation_metric
from cvlib.report import parts
from cvlib.runs.run import Run
from cvlib.runtime.files import write_atomically
from cvlib.viz import axes, html_table, page
from cvlib.viz.plots import Line, chart

NAME = "recommendation.html"
_KEY = "candidate.name"  # a setting that is shown by its value alone
_MOST_FINDINGS = 20
_SHOWN = ("confusion_matrix", "worst", "explained")  # pictures of the winner
_MOST_BYTES = 150_000


def write(session: Session, checked: dict[str, Any], ranked: Sequence[Ranked], result: Result, target: Path,
          again: str) -> Path:  # fmt: skip
    """Write the page into the folder of the recommended run; return its path."""
    body = [
        f"<h1>Recommendation for {escape(target.name)}</h1>", _verdict(session, ranked, result, target, again),
        _commands(session, result, target), _candidates(result), _ranking(ranked),
        _insights(session, ranked), _results(target), _findings(checked), _method(session, result),
    ]  # fmt: skip
    write_atomically(target / NAME, page.whole(f"Recommendation for {target.name}", body))
    return target / NAME


def summary(session: Session, ranked: Sequence[Ranked], result: Result, target: Path, again: str) -> Iterator[str]:
    """Yield the lines for a terminal."""
    yield ""
    yield from words.verdict(session, result)
    yield words.tested(target)
    found = session.journal.get("more data")
    if found:
        yield insights.more_data_words(found)
    yield from words.next_steps(session, result, ranked, again)
    for what, command in words.commands(session, finish.winner(result), target):
        yield f"{what}:\n  {command}"


def _paragraphs(lines: Iterator[str] | Sequence[str]) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _verdict(session: Session, ranked: Sequence[Ranked], result: Result, target: Path, again: str) -> str:
    inner = _paragraphs([*words.verdict(session, result), words.tested(target)])
    steps = list(words.next_steps(session, result, ranked, again))
    after = (
        "<h3>What to do next</h3><ul>" + "".join(f"<li>{escape(one)}</li>" for one in steps) + "</ul>" if steps else ""
    )
    return f'<section><div class="verdict">{inner}</div>{after}</section>'


def _commands(session: Session, result: Result, target: Path) -> str:
    found = words.commands(session, finish.winner(result), target)
    inner = "".join(f"<h3>{escape(what)}</h3><pre>{escape(command)}</pre>" for what, command in found)
    return f"<section><h2>Commands</h2>{inner}</section>"


def _candidates(result: Result) -> str:
    """Return the table of the candidates, and their curves and Pareto fronts."""
    shown = {name: [one.run for one in runs if one.value is not None] for name, (_, runs) in result.last_runs.items()}
    drawn = comparison.figures_of(_section({name: runs for name, runs in shown.items() if runs}))
    return f"<section><h2>Candidates</h2>{html_table.table(words.rows(result))}{drawn}</section>"


def _section(shown: dict[str, list[Run]]) -> Section:
    """Return the candidates in the form of a comparison's section, with a group for each."""
    first = next(iter(shown.values()))[0]
    metric = validation_metric(first.summary)
    groups = [
        Group(name, {_KEY: name}, {_KEY: name}, runs, place) for place, (name, runs) in enumerate(shown.items(), 1)
    ]
    return Section("", metric, first.metric_spec(metric), [_KEY], [groups], [], [], by_run=False)


def _ranking(ranked: Sequence[Ranked]) -> str:
    rows = [{
        "backbone": one.base.name, "linear probe": f"{100 * one.probe:.1f} %",
        "nearest neighbours": "–" if one.neighbours is None else f"{100 * one.neighbours:.1f} %",
        "images": str(one.images), "seconds": f"{one.seconds:.1f}",
    } for one in ranked]  # fmt: skip
    note = ("Of the training images, on features of the frozen backbone; the probe is cross-validated. For boxes and "
            "masks, the samples are boxes, with background as a further class, or pixels. Backbones within one "
            "standard error of the best count as equally good; the smallest of them comes first.")  # fmt: skip
    return f'<section><h2>Pretrained backbones</h2>{html_table.table(rows)}<p class="soft">{note}</p></section>'


def _insights(session: Session, ranked: Sequence[Ranked]) -> str:
    found = session.journal.get("more data")
    shown: list[str] = []
    if found:
        means = 100 * np.array(found["accuracies"]).mean(0)
        points = [(float(count), float(mean)) for count, mean in zip(found["counts"], means, strict=True)]
        spread = 100 * np.array(found["accuracies"]).std(0)
        bars = [(x, y - float(s), y + float(s)) for (x, y), s in zip(points, spread, strict=True)]
        line = Line("linear probe", points, bars=bars, markers=True, colour=0)
        drawn = chart([line], axes.cost("training images", found["counts"], lambda value: f"{value:.0f}"),
                      axes.metric("accuracy in %", [value for _, *ends in bars for value in ends]))  # fmt: skip
        shown.append(f"<h3>More images</h3><p>{escape(insights.more_data_words(found))}</p>"
                      f'<div class="figures"><figure>{drawn}</figure></div>')  # fmt: skip
    doubts = session.journal.get("doubtful labels")
    if doubts:
        rows = [{"image": one["name"], "label": one["label"], "probably": one["other"],
                 "probability": f"{one['probability']:.3f}"} for one in doubts]  # fmt: skip
        sheet = insights.sheet(session, doubts)
        picture = "" if sheet is None else (f'<figure class="wide"><img alt="Images whose labels look wrong" '
                                            f'src="{page.embedded(sheet, _MOST_BYTES)}"></figure>')  # fmt: skip
        shown.append("<h3>Labels to check</h3><p>A probe that was not fitted on these training images is sure of "
                      f"another class.</p>{picture}{html_table.table(rows)}")  # fmt: skip
    return f"<section><h2>Your images</h2>{''.join(shown)}</section>" if shown else ""


def _results(target: Path) -> str:
    """Return the classes and the worst mistakes of the winner on the test part."""
    pictures = parts.pictures(target)
    tables = parts.tables_html(target)
    figures = parts.figures(pictures[name] for name in pictures if name in _SHOWN)
    if not (tables or figures):
        return ""
    return f'<section><h2>The winner on the test part</h2>{tables}<div class="figures">{figures}</div></section>'


def _findings(checked: dict[str, Any]) -> str:
    found = [one for one in checked["findings"] if one["severity"] != "remark"][:_MOST_FINDINGS]
    if not found:
        return ""
    items = "".join(f"<li>{escape(str(one['path'] or ''))} {escape(one['message'])}</li>" for one in found)
    return f"<section><h2>Findings in the data</h2><ul>{items}</ul></section>"


def _method(session: Session, result: Result) -> str:
    return f"<section><h2>How this was decided</h2>{_paragraphs(words.method(session, result))}</section>"
