"""Charts as SVG text, drawn without any library; the page's style sheet sets the colours, dashes and fonts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

from cvlib.viz.axes import Axis

COLOURS = 8  # the style sheet defines the classes s0 … s7
LARGE, SMALL = (560, 330), (340, 230)  # width and height
_TOP, _BOTTOM = 12, 44  # margins
_CHARACTER = 7  # width of a character of the tick labels
_TICK_SPACE = 62  # between tick marks on the x axis
_SHAPES = (  # markers, distinguishable without colours
    "m-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0", "m-4-4h8v8h-8z", "m0-5.5l5 9h-10z", "m0-6l5 6l-5 6l-5-6z",
)  # fmt: skip

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """What is drawn in one colour: a line through (x, y) points, or only its points.

    Attributes:
        label: the text of the legend, and of a tooltip.
        thin: further lines behind it.
        bars: vertical bars (x, low, high).
        markers: whether the points are marked.
        joined: whether the line is drawn.
        hollow: whether the markers are hollow.
        names: a text at the upper left of each point; a text that would cover another is left out.
        names_below: whether the texts are at the lower left.
        hints: the tooltip of each point; empty for the label.
        colour: number of the colour and of the dashes; None for a grey line.
        places: the places of the groups that it shows. The page's filter uses them.
    """

    label: str
    points: list[Point]
    thin: list[list[Point]] = field(default_factory=list)
    bars: list[tuple[float, float, float]] = field(default_factory=list)
    markers: bool = False
    joined: bool = True
    hollow: bool = False
    names: Sequence[str] = ()
    names_below: bool = False
    hints: Sequence[str] = ()
    colour: int | None = None
    places: Sequence[int] = ()

    @property
    def everything(self) -> list[Point]:
        """All points that are drawn."""
        ends = [(x, y) for x, *values in self.bars for y in values]
        return [*self.points, *(point for run in self.thin for point in run), *ends]


@dataclass(frozen=True)
class Panel:
    """One chart of a figure, with a title and a note below it."""

    title: str
    lines: list[Line]
    note: str = ""


def chart(lines: Sequence[Line], x: Axis, y: Axis, size: tuple[int, int] = LARGE) -> str:
    """Return an SVG figure of the lines within the axes' limits; an empty string if there are no points."""
    if not any(line.everything for line in lines):
        return ""
    frame = _Frame.around(x, y, size)
    label = escape(f"{y.label} over {x.label}")
    parts = [*_grid(frame, y), *_ticks(frame, x)]
    for line in lines:
        parts += _drawn(line, frame)
    return f'<svg viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def figure(caption: str, panels: Sequence[Panel], x: Axis, y: Axis, legend: Sequence[Line]) -> str:
    """Return one chart, or small multiples with the same axes, as HTML; empty if there is nothing to draw."""
    size = LARGE if len(panels) == 1 else SMALL
    drawn = [(panel, drawing) for panel in panels if (drawing := chart(panel.lines, x, y, size))]
    if not drawn:
        return ""
    shown = "".join(f"<li{places([line])}>{key(line)}{escape(line.label)}</li>"
                    for line in legend if line.label)  # fmt: skip
    listed = f'<ul class="legend">{shown}</ul>' if shown else ""
    if len(panels) == 1:
        (panel, drawing), *_ = drawn
        return f"<figure><figcaption>{escape(caption)}</figcaption>{drawing}{_note(panel)}{listed}</figure>"
    small = "".join(f'<div class="panel"{places(panel.lines)}><p class="title">{escape(panel.title)}</p>'
                    f"{drawing}{_note(panel)}</div>" for panel, drawing in drawn)  # fmt: skip
    return (f'<figure class="wide"><figcaption>{escape(caption)}</figcaption>{listed}'
            f'<div class="panels">{small}</div></figure>')  # fmt: skip


def _note(panel: Panel) -> str:
    return f'<p class="soft note">{escape(panel.note)}</p>' if panel.note else ""


@dataclass(frozen=True)
class _Frame:
    """The area of the lines in pixels, and where values are placed."""

    left: float
    right: float
    bottom: float
    x: Callable[[float], float]
    y: Callable[[float], float]
    x_marks: Sequence[float]

    @classmethod
    def around(cls, x: Axis, y: Axis, size: tuple[int, int]) -> _Frame:
        """Return a frame whose margins have room for the axes' texts."""
        width, height = size
        left = 32 + _CHARACTER * max((len(y.text(value)) for value in y.marks()), default=1)
        x_marks = x.marks(max((width - left) // _TICK_SPACE, 2))
        right = width - max(10, _CHARACTER / 2 * max((len(x.text(value)) for value in x_marks), default=1) + 3)
        return cls(left, right, height - _BOTTOM, x.over(left, right), y.over(height - _BOTTOM, _TOP), x_marks)

    def path(self, points: Sequence[Point]) -> str:
        """Return the points as the commands of an SVG path."""
        return "M" + "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points)


def key(line: Line) -> str:
    """Return a short piece of the line, for a legend."""
    dashes = ' class="line"' if line.points or not line.bars else ""  # bars have none
    stroke = f'<path{dashes} d="M1 6H29"/>' if line.joined else ""
    marker = f'<path class="{_marker(line)}" d="M15 6{_shape(line)}"/>' if line.markers else ""
    return f'<svg class="key {_style(line)}" viewBox="0 0 30 12" aria-hidden="true">{stroke}{marker}</svg>'


def places(lines: Sequence[Line]) -> str:
    """Return the attribute that tells the page's filter which groups are shown; empty if it is unknown."""
    shown = sorted({place for line in lines for place in line.places})
    return f' data-g="{" ".join(map(str, shown))}"' if shown else ""


def _grid(frame: _Frame, y: Axis) -> list[str]:
    middle = f'transform="translate(13 {(_TOP + frame.bottom) / 2:g}) rotate(-90)"'
    parts = [f'<text class="name" {middle} text-anchor="middle">{escape(y.label)}</text>']
    for value in y.marks():
        place = frame.y(value)
        parts.append(f'<path class="grid" d="M{frame.left} {place:.1f}H{frame.right:g}"/>')
        parts.append(f'<text x="{frame.left - 8}" y="{place + 4:.1f}" text-anchor="end">{y.text(value)}</text>')
    return parts


def _ticks(frame: _Frame, x: Axis) -> list[str]:
    parts = [f'<path class="tick" d="M{frame.left} {frame.bottom}H{frame.right:g}"/>']
    for value in frame.x_marks:
        place = f"{frame.x(value):.1f}"
        parts.append(f'<path class="tick" d="M{place} {frame.bottom}v5"/>')
        parts.append(f'<text x="{place}" y="{frame.bottom + 19}" text-anchor="middle">{x.text(value)}</text>')
    middle = (frame.left + frame.right) / 2
    parts.append(f'<text class="name" x="{middle:g}" y="{frame.bottom + _BOTTOM - 6}" text-anchor="middle">'
                 f"{escape(x.label)}</text>")  # fmt: skip
    return parts


def _drawn(line: Line, frame: _Frame) -> list[str]:
    if not line.everything:
        return []
    hint = f"<title>{escape(line.label)}</title>" if line.label else ""
    parts = [f'<g class="{_style(line)}"{places([line])}>']
    parts += [f'<path class="thin" d="{frame.path(run)}"/>' for run in line.thin if run]
    parts += [f'<path d="{frame.path([(x, low), (x, high)])}"/>' for x, low, high in line.bars]
    if line.joined and len(line.points) > 1:
        parts.append(f'<path class="line" d="{frame.path(line.points)}">{hint}</path>')
    if line.markers or (line.joined and len(line.points) == 1):
        for index, point in enumerate(line.points):
            own = f"<title>{escape(line.hints[index])}</title>" if line.hints else hint
            parts.append(f'<path class="{_marker(line)}" d="{frame.path([point])}{_shape(line)}">{own}</path>')
    return [*parts, *_texts(line, frame), "</g>"]


def _texts(line: Line, frame: _Frame) -> list[str]:
    """Write the names beside the points, the last one first."""
    parts: list[str] = []
    taken: list[tuple[float, float, float]] = []
    for (x, y), text in reversed(list(zip(line.points, line.names, strict=False))):
        end = max(frame.x(x) - 7, frame.left + _CHARACTER * len(text))
        start, base = end - _CHARACTER * len(text), frame.y(y) + (15 if line.names_below else -6)
        if all(end < left or right < start or abs(base - other) > 11 for left, right, other in taken):
            taken.append((start, end, base))
            place = f'x="{end:.1f}" y="{base:.1f}" text-anchor="end"'
            parts.append(f'<text class="name over" {place}>{escape(text)}</text>')
    return parts


def _style(line: Line) -> str:
    return "grey" if line.colour is None else f"s{line.colour % COLOURS}"


def _marker(line: Line) -> str:
    return "mark hollow" if line.hollow else "mark"


def _shape(line: Line) -> str:
    return _SHAPES[(line.colour or 0) % len(_SHAPES)]
