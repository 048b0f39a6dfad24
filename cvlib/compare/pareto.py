"""The metric against what it costs (training time, parameters, latency), with the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from cvlib.compare import benchmarks, statistics
from cvlib.compare.figures import Series, axis_name, contest_titles, placed, scale
from cvlib.compare.groups import Group, Section
from cvlib.compare.tables import average, count, with_error
from cvlib.runtime.clock import duration
from cvlib.viz import axes
from cvlib.viz.plots import Line, Panel, Point, figure


@dataclass(frozen=True)
class Cost:
    """A number of a group that should be low."""

    name: str
    of: Callable[[Group], float | None]
    text: Callable[[float], str]
    tick: Callable[[float], str]


def _recorded(*path: str) -> Callable[[Group], float | None]:
    """Return a function that gives the mean of a number in the summaries of a group's runs."""
    return lambda group: average([run.number(*path) for run in group.runs])


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms"


def costs(section: Section) -> list[Cost]:
    """Return the costs that are known: training time, parameters, and the latency of one format in seconds."""
    found = [
        Cost("training time", _recorded("timing", "train"), duration, axes.seconds),
        Cost("parameters", _recorded("parameters", "total"), count, count),
    ]
    if form := benchmarks.common_format(section):

        def latency(group: Group) -> float | None:
            value = benchmarks.measured(group, form, benchmarks.LATENCY)
            return None if value is None else value / 1000

        found.append(Cost(f"latency ({form})", latency, _milliseconds, axes.seconds))
    return found


def front(points: Sequence[Point], higher_is_better: bool) -> list[int]:
    """Return the indices of the points on the Pareto front, by rising cost.

    A (cost, value) point is on the front unless another point is at least as good in both and better in one. Equal
    points are on the front together.
    """
    sign = 1 if higher_is_better else -1
    order = sorted(range(len(points)), key=lambda index: (points[index][0], -sign * points[index][1]))
    found: list[int] = []
    for _, same in groupby(order, key=lambda index: points[index][0]):
        first, *rest = same
        if not found or sign * points[first][1] > sign * points[found[-1]][1]:
            found += [first, *(index for index in rest if points[index][1] == points[first][1])]
    return found


def differing(section: Section, cost: Cost) -> dict[Group, float]:
    """Return the cost of each group; empty if fewer than two groups have one, or if all costs are equal."""
    means = {group: cost.of(group) for group in section.groups}
    known = {group: mean for group, mean in means.items() if mean is not None and mean >= 0}
    return known if len(set(known.values())) > 1 else {}


def figures(section: Section, all_series: list[Series]) -> Iterator[str]:
    """Yield a figure for each cost that differs between the groups, with a panel for each training-data fraction."""
    for cost in costs(section):
        if known := differing(section, cost):
            yield _Plot(section, all_series, cost, known).html()


@dataclass(frozen=True)
class _Plot:
    """The metric against one cost."""

    section: Section
    all_series: list[Series]
    cost: Cost
    known: dict[Group, float]

    def html(self) -> str:
        section, name = self.section, self.cost.name
        x = axes.cost(name, list(self.known.values()), self.cost.tick)
        panels = [self._panel(title, [group for group in contest if group in self.known], x.high)
                  for title, contest in zip(contest_titles(section), section.contests, strict=True)]  # fmt: skip
        values = [value for panel in panels for line in panel.lines for _, value in line.everything]
        y = axes.metric(axis_name(section.metric, section.spec), values)
        return figure(f"{section.metric} against {name}", panels, x, y, self._legend())

    def _panel(self, title: str, groups: list[Group], end: float) -> Panel:
        points = [self._point(group) for group in groups]
        best = [groups[index] for index in front(points, self.section.spec.higher_is_better)]
        corners = [self._point(group) for group in best]
        lines = [_staircase(corners, end)] if best else []
        for one in reversed(self.all_series):  # the best groups are drawn last, over the others
            if group := one.within(groups):
                lines.append(self._marker(one, group, group in best))
        lines.append(Line("", corners, joined=False, names=[f"#{group.place}" for group in best],
                          names_below=not self.section.spec.higher_is_better))  # fmt: skip
        texts = [f"{placed(group, self.section)} ({self._numbers(group)})" for group in best]
        return Panel(title, lines, f"Pareto front: {', '.join(texts)}" if texts else "")

    def _marker(self, one: Series, group: Group, on_front: bool) -> Line:
        x, (mean, deviation) = self.known[group], self._value(group)
        bars = [] if math.isnan(deviation) else [(x, mean - deviation, mean + deviation)]
        return Line(
            one.label, [(x, mean)], bars=bars, markers=True, joined=False, hollow=not on_front, colour=one.colour,
            places=[group.place], hints=[f"{placed(group, self.section)}: {self._numbers(group)}"],
        )  # fmt: skip

    def _legend(self) -> list[Line]:
        noun = "run" if self.section.by_run else "group"
        lines, rest = [], []
        for one in self.all_series:
            shown = [group.place for group in one.groups if group in self.known]
            if one.colour is None:
                rest += shown
            elif shown:
                lines.append(Line(one.label, [], markers=True, joined=False, colour=one.colour, places=shown))
        if rest:
            lines.append(Line(f"other {noun}s", [], markers=True, joined=False, places=rest))
        return [*lines, Line(f"Pareto front: no other {noun} is both better and cheaper", [])]

    def _point(self, group: Group) -> Point:
        return self.known[group], self._value(group)[0]

    def _value(self, group: Group) -> tuple[float, float]:
        """Return the mean and the deviation as they are drawn."""
        mean, deviation, _, _ = statistics.interval(group.values(self.section.metric))
        return scale(self.section.spec) * mean, scale(self.section.spec) * deviation

    def _numbers(self, group: Group) -> str:
        """Return the metric and the cost as text, such as `80.56 ± 1.02 %, 3 min 50 s`."""
        spec = self.section.spec
        mean, deviation, _, _ = statistics.interval(group.values(self.section.metric))
        return f"{with_error(mean, deviation, spec)}{' %' * spec.in_percent}, {self.cost.text(self.known[group])}"


def _staircase(points: list[Point], end: float) -> Line:
    """Return the front as a line: the best value that is reached at each cost, up to `end`."""
    corners: list[Point] = []
    for x, y in points:
        corners += [(x, corners[-1][1]), (x, y)] if corners else [(x, y)]
    return Line("Pareto front", [*corners, (end, corners[-1][1])])
