"""Learning curves over epochs and over time: one chart, or small multiples for fractions or for many groups."""

from __future__ import annotations

from collections.abc import Sequence

from cvlib.compare.figures import Series, axis_name, contest_titles, placed, scale
from cvlib.compare.groups import Group, Section
from cvlib.compare.runs import epochs
from cvlib.compare.tables import validation_metric
from cvlib.runs.run import Run
from cvlib.viz import axes, plots
from cvlib.viz.plots import Line, Panel, Point, figure

MOST_PANELS = 24  # groups that get a chart of their own
_Curve = list[tuple[float, float, float]]  # (epoch, seconds since the start, value) of each epoch
_EPOCH, _SECONDS = 0, 1


def figures(section: Section, all_series: list[Series]) -> list[str]:
    """Return the figures of the learning curves as HTML.

    There is a panel for each fraction of the training data. If there are more groups than colours, a second figure has
    a panel for each of the first `MOST_PANELS` groups.
    """
    metric = validation_metric(section.metric)
    coloured = [one for one in all_series if one.colour is not None]
    single = len(section.contests) == 1 and len(all_series) > len(coloured)
    needed = [group for one in (all_series[:MOST_PANELS] if single else coloured) for group in one.groups]
    curves = {group: found for group in needed if (found := _curves(group, metric, scale(section.spec)))}
    if not curves:
        return []
    if single:
        captions = [f"Learning curves of the {len(coloured)} leading {_noun(section)}: {metric}",
                    f"{metric} of the {len(coloured)} leading {_noun(section)} over time"]  # fmt: skip
    else:
        captions = [f"Learning curves: {metric}", f"{metric} over time"]
    drawn = [_together(caption, x, section, coloured, curves)
             for caption, x in zip(captions, (_EPOCH, _SECONDS), strict=True)]  # fmt: skip
    return [*drawn, _one_by_one(section, all_series, curves)] if single else drawn


def note(section: Section, all_series: list[Series]) -> str:
    """Return which groups the curves leave out; empty if they show all groups."""
    single = len(section.contests) < 2
    shown = MOST_PANELS if single and len(all_series) > plots.COLOURS else plots.COLOURS
    if len(all_series) <= shown:
        return ""
    return f"The curves show the {shown} leading {_noun(section) if single else 'settings'} of {len(all_series)}."


def _together(
    caption: str, x: int, section: Section, coloured: list[Series], curves: dict[Group, list[_Curve]]
) -> str:  # fmt: skip
    panels = []
    for title, contest in zip(contest_titles(section), section.contests, strict=True):
        shown = [(one, group) for one in coloured if (group := one.within(contest)) in curves]
        panels.append(Panel(title, [_line(one.label, curves[group], x, one.colour, group.place)
                                    for one, group in shown if group]))  # fmt: skip
    everything = [line for panel in panels for line in panel.lines]
    legend = [Line(one.label, [], colour=one.colour, places=[group.place for group in one.groups]) for one in coloured]
    return _figure(caption, panels, x, section, everything, legend)


def _one_by_one(section: Section, all_series: list[Series], curves: dict[Group, list[_Curve]]) -> str:
    shown = [(one, one.groups[0]) for one in all_series[:MOST_PANELS] if one.groups[0] in curves]
    _, best = shown[0]
    reference = Line(f"for comparison: {placed(best, section)}", _mean(_points(curves[best], _EPOCH)))
    panels = [Panel(placed(group, section), [reference, _line(one.label, curves[group], _EPOCH, 0, group.place)])
              for one, group in shown]  # fmt: skip
    everything = [line for panel in panels for line in panel.lines]
    caption = f"Learning curves of each {_noun(section, 1)}: {validation_metric(section.metric)}"
    return _figure(caption, panels, _EPOCH, section, everything, [reference])


def _figure(
    caption: str, panels: list[Panel], x: int, section: Section, everything: list[Line], legend: Sequence[Line]
) -> str:  # fmt: skip
    """Return the panels with shared axes that have room for `everything`."""
    y = axes.metric(axis_name(validation_metric(section.metric), section.spec),
                    [value for line in everything for _, value in line.everything])  # fmt: skip
    along = [[place for place, _ in run] for line in everything for run in (line.thin or [line.points])]
    if x == _SECONDS:
        return figure(caption, panels, axes.elapsed("time of training", along), y, legend)
    return figure(caption, panels, axes.epochs([value for run in along for value in run]), y, legend)


def _curves(group: Group, metric: str, factor: float) -> list[_Curve]:
    return [curve for run in group.runs if (curve := _curve(run, metric, factor))]


def _curve(run: Run, metric: str, factor: float) -> _Curve:
    """Return (epoch, seconds since the start, metric times `factor`) for each epoch."""
    curve, seconds = [], 0.0
    for row in epochs(run):
        seconds += row.get("seconds", 0.0)
        if "epoch" in row and metric in row:
            curve.append((row["epoch"], seconds, factor * row[metric]))
    return curve


def _points(curves: list[_Curve], x: int) -> list[list[Point]]:
    return [[(row[x], row[2]) for row in curve] for curve in curves]


def _line(label: str, curves: list[_Curve], x: int, colour: int | None, place: int) -> Line:
    """Return the mean curve, with the single curves behind it."""
    points = _points(curves, x)
    return Line(label, _mean(points), points if len(points) > 1 else [], colour=colour, places=[place])


def _mean(curves: list[list[Point]]) -> list[Point]:
    """Return the mean curve over the epochs that all curves have."""
    return [
        (sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points))
        for points in zip(*curves, strict=False)
    ]


def _noun(section: Section, count: int = 2) -> str:
    return ("run" if section.by_run else "group") + "s" * (count != 1)
