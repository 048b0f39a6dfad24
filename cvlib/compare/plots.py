"""Line charts as SVG text, drawn without any library; the page's style sheet sets the colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

COLOURS = 8  # the page defines --c0 … --c7
_WIDTH, _HEIGHT = 560, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 14, 12, 44
_DASHES = ("", "7 4", "2 4", "9 3 2 3")

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A line through (x, y) points, with `thin` lines behind it and vertical `bars` (x, low, high)."""

    label: str
    points: list[Point]
    thin: list[list[Point]] = field(default_factory=list)
    bars: list[tuple[float, float, float]] = field(default_factory=list)
    markers: bool = False


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        low, high, value = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (value - low) / ((high - low) or 1.0) * (self.end - self.start)


def chart(
    lines: Sequence[Line], x_label: str, y_label: str, ticks: Sequence[float] | None = None, least: float = math.inf
) -> str:
    """Return an SVG figure of the lines.

    The x axis includes `least`. With `ticks`, it is logarithmic and has these tick marks.
    """
    points = [point for line in lines for run in (line.points, *line.thin) for point in run]
    points += [(x, y) for line in lines for x, *ends in line.bars for y in ends]
    if not points:
        return ""
    x_axis = _x_axis([x for x, _ in points], ticks, least)
    y_axis = _y_axis([y for _, y in points])
    parts = [*_frame(x_axis, y_axis, ticks), *_labels(x_label, y_label)]
    for index, line in enumerate(lines):
        parts += _drawn(line, index, x_axis, y_axis)
    return (f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(y_label)} over {escape(x_label)}">'
            + "".join(parts) + "</svg>")  # fmt: skip


def key(index: int) -> str:
    """Return a short stroke in the style of line `index`, for a legend."""
    return f'<svg class="key" viewBox="0 0 30 10"><path d="M1 5H29" {_style(index)}/></svg>'


def marks(low: float, high: float, count: int = 5, whole: bool = False) -> list[float]:
    """Return about `count` round numbers in [low, high]; with `whole`, only integers if the range is at least 1."""
    if high <= low:
        return [low]
    raw = (high - low) / count
    size = 10 ** math.floor(math.log10(raw))
    step = next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= raw * 0.999)
    if whole and high - low >= 1:
        step = max(1, math.ceil(step))
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _x_axis(values: list[float], ticks: Sequence[float] | None, least: float) -> _Axis:
    start, end = _LEFT, _WIDTH - _RIGHT
    if ticks:
        return _Axis(min(values) / 1.15, max(values) * 1.15, start, end, log=True)
    return _Axis(min(*values, least), max(values), start, end)


def _y_axis(values: list[float]) -> _Axis:
    room = 0.06 * (max(values) - min(values)) or abs(max(values)) * 0.05 or 1.0
    return _Axis(min(values) - room, max(values) + room, _HEIGHT - _BOTTOM, _TOP)


def _frame(x_axis: _Axis, y_axis: _Axis, ticks: Sequence[float] | None) -> list[str]:
    parts = []
    for value in marks(y_axis.low, y_axis.high):
        y = y_axis.place(value)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in ticks or marks(x_axis.low, x_axis.high, 6, whole=True):
        x = x_axis.place(value)
        parts.append(f'<path class="tick" d="M{x:.1f} {_HEIGHT - _BOTTOM}v5"/>')
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 19}" text-anchor="middle">{value:g}</text>')
    parts.append(f'<path class="tick" d="M{_LEFT} {_HEIGHT - _BOTTOM}H{_WIDTH - _RIGHT}"/>')
    return parts


def _labels(x_label: str, y_label: str) -> list[str]:
    across, down = (_LEFT + _WIDTH - _RIGHT) / 2, (_TOP + _HEIGHT - _BOTTOM) / 2
    places = (f'x="{across}" y="{_HEIGHT - 6}"', f'transform="translate(13 {down}) rotate(-90)"')
    return [
        f'<text class="name" {place} text-anchor="middle">{escape(text)}</text>'
        for place, text in zip(places, (x_label, y_label), strict=True)
    ]


def _drawn(line: Line, index: int, x_axis: _Axis, y_axis: _Axis) -> list[str]:
    def path(points: list[Point]) -> str:
        return "M" + "L".join(f"{x_axis.place(x):.1f} {y_axis.place(y):.1f}" for x, y in points)

    hint = f"<title>{escape(line.label)}</title>"
    parts = [f'<path class="thin" d="{path(run)}" {_style(index, dashed=False)}/>' for run in line.thin if run]
    for x, low, high in line.bars:
        parts.append(f'<path d="{path([(x, low), (x, high)])}" {_style(index, dashed=False)}/>')
    if len(line.points) > 1:
        parts.append(f'<path class="line" d="{path(line.points)}" {_style(index)}>{hint}</path>')
    if line.markers or len(line.points) == 1:
        parts += [f'<circle cx="{x_axis.place(x):.1f}" cy="{y_axis.place(y):.1f}" r="4" '
                  f'style="fill:var(--c{index % COLOURS})">{hint}</circle>' for x, y in line.points]  # fmt: skip
    return parts


def _style(index: int, dashed: bool = True) -> str:
    dash = _DASHES[index % len(_DASHES)] if dashed else ""
    return f'style="stroke:var(--c{index % COLOURS});stroke-dasharray:{dash or "none"}"'
