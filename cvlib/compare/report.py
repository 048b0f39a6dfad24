"""The comparison as one self-contained HTML page: verdict, tables, curves, differences between the configs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from html import escape

from cvlib.compare import caveats, plots, statistics, wording
from cvlib.compare.groups import FRACTION, Section, differing_keys, listed, plain
from cvlib.compare.names import LONGEST
from cvlib.compare.plots import Line
from cvlib.compare.runs import epochs
from cvlib.compare.tables import Row, validation_metric
from cvlib.compare.verdict import Comparison, words
from cvlib.runs.metric_specs import MetricSpec
from cvlib.runs.run import SEED_KEYS, Run
from cvlib.viz.text_table import number_columns

_MOST_COLUMNS = 8

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5c6670; --rule: #d9dee3; --page: #fff; --tint: #f1f6fb;
  --edge: #0003; --warn: #8a4b00; --warn-page: #fff6e6;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #b65a92; --c4: #b98500; --c5: #3b9ed8; --c6: #6b5b95; --c7: #555; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaed; --soft: #a0a9b2; --rule: #3a4148; --page: #16191c;
  --tint: #1e2831; --edge: #fff4; --warn: #ffca80; --warn-page: #33270f;
  --c0: #56b4e9; --c1: #ff8c42; --c2: #2fd0a0; --c3: #e39bc6; --c4: #f0c040; --c5: #8fd0ff; --c6: #b9a9e6;
  --c7: #bbb; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 96rem;
  margin: 2.5rem auto; padding: 0 1.5rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: 0 0 1.2rem; } h2 { font-size: 1.25rem; margin: 2.6rem 0 .3rem; }
h3 { font-size: 1rem; margin: 1.8rem 0 .5rem; } .soft, figcaption { color: var(--soft); }
.scroll { overflow-x: auto; background: linear-gradient(to right, var(--page) 30%, transparent) left / 3rem 100% local,
  linear-gradient(to left, var(--page) 30%, transparent) right / 3rem 100% local,
  linear-gradient(to right, var(--edge), transparent) left / .8rem 100%,
  linear-gradient(to left, var(--edge), transparent) right / .8rem 100%; background-repeat: no-repeat; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .32rem .8rem .32rem 0; text-align: left; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
.number { text-align: right; } .long { white-space: normal; min-width: 18rem; }
.leader td { font-weight: 600; background: var(--tint); } td:first-child, th:first-child { padding-left: .5rem; }
.verdict { padding: .9rem 1.2rem; background: var(--tint); border-left: 4px solid var(--c0); margin: 1rem 0; }
.verdict p, .warning p { margin: .2rem 0; }
.warning { padding: .5rem 1.2rem; color: var(--warn); background: var(--warn-page); }
.figures { display: grid; margin-top: 1.8rem; grid-template-columns: repeat(auto-fit, minmax(min(28rem, 100%), 1fr));
  gap: 1.2rem 2rem; }
figure { margin: 0; } figcaption { font-weight: 600; margin-bottom: .3rem; } figure > svg { width: 100%; height: auto; }
svg text { font-size: 12px; fill: var(--soft); } svg path { fill: none; stroke-width: 1.6; }
svg .line { stroke-width: 2.4; }
svg .thin { stroke-width: 1; opacity: .3; } svg .grid { stroke: var(--rule); stroke-width: 1; }
svg .tick { stroke: var(--soft); stroke-width: 1; } .legend { list-style: none; padding: 0; margin: .6rem 0;
  display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; } .key { width: 30px; height: 10px; margin-right: .4rem; }
"""


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
    body.append(f'<p class="soft">{escape(wording.explanation(drawn))}</p>')
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>Comparison of runs</title><style>{_STYLE}</style></head>\n<body>\n" + "\n".join(body)
        + "\n</body></html>\n"
    )  # fmt: skip


def _section(section: Section, comparisons: list[Comparison], shown: list[Row], against: list[Row]) -> Iterator[str]:
    verdict = list(words(section, comparisons))
    rest = wording.remarks(section, comparisons)[len(verdict) :]
    yield f"<h2>{escape(wording.title(section))}</h2>"
    if verdict:
        yield '<div class="verdict">' + "".join(f"<p>{escape(line)}</p>" for line in verdict) + "</div>"
    leaders = {section.groups.index(contest[0]) for contest in section.contests if len(contest) > 1}
    yield _table(shown, leaders)
    yield _figures(section)
    if comparisons:
        yield "<h3>The leading group against every other group</h3>" + _table(against)
    yield _config_differences(section)
    if rest:
        yield "<h3>Remarks</h3><ul>" + "".join(f"<li>{escape(line)}</li>" for line in rest) + "</ul>"


def _table(rows: list[Row], leaders: Collection[int] = ()) -> str:
    if not rows:
        return ""
    right = number_columns(rows)

    def cell(kind: str, column: str, text: str) -> str:
        inner = escape(text).replace(" (", "<br/>(") if kind == "th" else escape(text)
        css_class = "long" if len(text) > LONGEST else "number" if column in right else ""
        return f"<{kind}{css_class and f' class={css_class}'}>{inner}</{kind}>"

    lines = ["<tr>" + "".join(cell("th", column, column) for column in rows[0]) + "</tr>"]
    for index, row in enumerate(rows):
        cells = "".join(cell("td", column, text) for column, text in row.items())
        lines.append(f"<tr{' class=leader' if index in leaders else ''}>{cells}</tr>")
    return f'<div class="scroll"><table>{"".join(lines)}</table></div>'


def _figures(section: Section) -> str:
    metric = validation_metric(section.metric)
    contest = section.contests[-1] if section.contests else []
    shown = contest[: plots.COLOURS]
    over_epochs, over_time = [], []
    for group in shown:
        curves = [curve for run in group.runs if (curve := _curve(run, metric, _scale(section.spec)))]
        name = section.described(group)
        over_epochs.append(_line(name, [[(epoch, value) for epoch, _, value in curve] for curve in curves]))
        over_time.append(_line(name, [[(seconds, value) for _, seconds, value in curve] for curve in curves]))
    y_label = _axis_name(metric, section.spec)
    figures = [
        _figure(f"Learning curves: {metric}", plots.chart(over_epochs, "epoch", y_label), over_epochs),
        _figure(f"{metric} over time", plots.chart(over_time, "seconds of training", y_label, least=0.0), over_time),
        _data_efficiency(section),
    ]
    note = ""
    if len(section.groups) > len(shown):
        condition = f" with {FRACTION}={plain(contest[0].settings[FRACTION])}" if len(section.contests) > 1 else ""
        count = f"{len(shown)} of {len(section.groups)} groups"
        note = f'<p class="soft">The curves show {count}: the leading ones{condition}.</p>'
    return f'<div class="figures">{"".join(figures)}</div>{note}' if any(figures) else ""


def _figure(caption: str, drawing: str, lines: Sequence[Line]) -> str:
    if not drawing:
        return ""
    legend = "".join(f"<li>{plots.key(i)}{escape(line.label)}</li>" for i, line in enumerate(lines) if line.points)
    return f'<figure><figcaption>{escape(caption)}</figcaption>{drawing}<ul class="legend">{legend}</ul></figure>'


def _curve(run: Run, metric: str, scale: float) -> list[tuple[float, float, float]]:
    """Return (epoch, seconds since the start, metric times `scale`) for each epoch."""
    curve, seconds = [], 0.0
    for row in epochs(run):
        seconds += row.get("seconds", 0.0)
        if "epoch" in row and metric in row:
            curve.append((row["epoch"], seconds, scale * row[metric]))
    return curve


def _line(name: str, curves: list[list[plots.Point]]) -> Line:
    """Return the mean curve over the epochs that all curves have, with the single curves drawn behind it."""
    mean = [
        (sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points))
        for points in zip(*curves, strict=False)
    ]
    return Line(name, mean, curves if len(curves) > 1 else [])


def _data_efficiency(section: Section) -> str:
    """Draw the metric over the fraction of the training data, one line per regime."""
    if section.by_run or FRACTION not in section.keys:
        return ""
    others = [key for key in section.keys if key != FRACTION]
    regimes: dict[str, list[tuple[float, float, float, float]]] = {}
    for group in (group for contest in reversed(section.contests) for group in contest):  # same colours as the curves
        fraction = group.settings[FRACTION]
        if isinstance(fraction, (int, float)) and fraction > 0:
            values = [_scale(section.spec) * value for value in group.values(section.metric)]
            mean, deviation, _, _ = statistics.interval(values)
            point = (100 * fraction, mean, mean - deviation, mean + deviation)
            regimes.setdefault(group.settings_text(others), []).append(point)
    lines = []
    for name, points in list(regimes.items())[: plots.COLOURS]:
        points.sort()
        bars = [(x, low, high) for x, _, low, high in points if low == low]
        lines.append(Line(name, [(x, mean) for x, mean, *_ in points], bars=bars, markers=True))
    ticks = sorted({x for line in lines for x, _ in line.points})
    drawing = plots.chart(lines, "% of the training data", _axis_name(section.metric, section.spec), ticks)
    return _figure(f"Data efficiency: {section.metric}, ± standard deviation over seeds", drawing, lines)


def _config_differences(section: Section) -> str:
    keys = [key for key in differing_keys(section.runs) if section.by_run or key not in SEED_KEYS]
    if not keys:
        return ""
    if len(section.groups) <= _MOST_COLUMNS:
        heads = [group.label if group.numbered else f"#{i} {group.label}" for i, group in enumerate(section.groups, 1)]
        values = {key: [_written(group.runs[0], key) for group in section.groups] for key in keys}
        rows = [{"key": key, **dict(zip(heads, values[key], strict=True))} for key in keys]
    else:
        rows = [{"key": key, "values": _values(section.runs, key)} for key in keys]
    return "<h3>Differences between the configs</h3>" + _table(rows)


def _values(runs: list[Run], key: str) -> str:
    return listed(dict.fromkeys(_written(run, key) for run in runs), 10)


def _written(run: Run, key: str) -> str:
    """Return the setting as it is written in YAML, or a dash if the run's config doesn't have the key."""
    return plain(run.settings[key]) if key in run.settings else "–"


def _scale(spec: MetricSpec) -> float:
    return 100.0 if spec.in_percent else 1.0


def _axis_name(metric: str, spec: MetricSpec) -> str:
    return f"{metric} in %" if spec.in_percent else metric
