"""Figures of the page: series with their colours, and data efficiency."""

from __future__ import annotations

from dataclasses import dataclass

from cvlib.compare import statistics
from cvlib.compare.groups import FRACTION, Group, Section, plain
from cvlib.runs.metric_specs import MetricSpec
from cvlib.viz import axes, plots
from cvlib.viz.plots import Line, Panel, figure


@dataclass(frozen=True, eq=False)
class Series:
    """What has one colour in all figures: a group, or the groups that differ only in the training-data fraction."""

    label: str  # for legends: without settings that are the same for all coloured series
    groups: list[Group]
    colour: int | None  # None if there are more series than colours

    def within(self, contest: list[Group]) -> Group | None:
        """Return the series' group in the contest, if it has one."""
        return next((group for group in self.groups if group in contest), None)


def series(section: Section) -> list[Series]:
    """Return the section's series, best first; with several contests, in the order of the last one."""
    others = [key for key in section.keys if key != FRACTION or len(section.contests) < 2]
    alike: dict[tuple[str, ...], list[Group]] = {}
    for group in (group for contest in reversed(section.contests) for group in contest):
        name = (group.label,) if len(section.contests) < 2 else tuple(group.words[key] for key in others)
        alike.setdefault(name, []).append(group)
    firsts = [groups[0] for groups in alike.values()]
    labels = [*section.legend(firsts[: plots.COLOURS]), *map(section.described, firsts[plots.COLOURS :])]
    return [Series(label, groups, index if index < plots.COLOURS else None)
            for index, (label, groups) in enumerate(zip(labels, alike.values(), strict=True))]  # fmt: skip


def contest_titles(section: Section) -> list[str]:
    """Return a panel's title for each contest; empty if there is only one."""
    several = len(section.contests) > 1
    return [f"{FRACTION}={plain(contest[0].settings[FRACTION])}" if several else "" for contest in section.contests]


def data_efficiency(section: Section, all_series: list[Series]) -> str:
    """Draw the metric over the fraction of the training data, one line per series."""
    if section.by_run or FRACTION not in section.keys:
        return ""
    if len(section.contests) < 2:  # the groups differ only in the fraction
        all_series = [Series("", section.groups, 0)]
    lines = [_over_fractions(one, section) for one in all_series if one.colour is not None]
    lines = [line for line in lines if line.points]
    if not lines:
        return ""
    ticks = sorted({x for line in lines for x, _ in line.points})
    x = axes.Axis("% of the training data", ticks[0] / 1.15, ticks[-1] * 1.15, log=True, ticks=ticks)
    y = axes.metric(axis_name(section.metric, section.spec), [y for line in lines for _, y in line.everything])
    caption = f"Data efficiency: {section.metric}, ± standard deviation over seeds"
    return figure(caption, [Panel("", lines)], x, y, lines)


def _over_fractions(one: Series, section: Section) -> Line:
    points = []
    for group in one.groups:
        fraction = group.settings[FRACTION]
        if isinstance(fraction, (int, float)) and fraction > 0:
            mean, deviation, _, _ = statistics.interval(group.values(section.metric))
            points.append((100 * fraction, *(scale(section.spec) * value for value in (mean, deviation))))
    points.sort()
    bars = [(x, mean - deviation, mean + deviation) for x, mean, deviation in points if deviation == deviation]
    return Line(one.label, [(x, mean) for x, mean, _ in points], bars=bars, markers=True, colour=one.colour,
                places=[group.place for group in one.groups])  # fmt: skip


def scale(spec: MetricSpec) -> float:
    """Return the factor between a metric's value and its value in a figure."""
    return 100.0 if spec.in_percent else 1.0


def placed(group: Group, section: Section) -> str:
    """Return the group with its place, such as `#2 finetune`."""
    name = section.described(group)
    return name if group.numbered else f"#{group.place} {name}"


def axis_name(metric: str, spec: MetricSpec) -> str:
    """Return the name of a metric's axis, with its unit."""
    return f"{metric} in %" if spec.in_percent else metric
