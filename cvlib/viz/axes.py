"""Axes of charts: limits, round tick marks and their texts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

_LOG_FROM = 10  # a scale is logarithmic if its values span at least this factor
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_ROUND_SECONDS = [
    *(10.0**power * factor for power in range(-6, 0) for factor in (1, 2, 5)), 1, 2, 5, 10, 15, 30,
    *(_MINUTE * count for count in (1, 2, 5, 10, 15, 30)), *(_HOUR * count for count in (1, 2, 3, 6, 12)),
    *(_DAY * count for count in (1, 2, 5, 10, 20, 50)),
]  # fmt: skip


def plain(value: float) -> str:
    """Return a tick's number as text."""
    return f"{value:g}"


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`, with tick marks at `ticks` or at round numbers, written by `text`."""

    label: str
    low: float
    high: float
    log: bool = False
    ticks: Sequence[float] = ()
    text: Callable[[float], str] = plain
    whole: bool = False  # only whole numbers are marked

    def over(self, start: float, end: float) -> Callable[[float], float]:
        """Return the function that places a value between the pixels `start` and `end`."""

        def place(value: float) -> float:
            low, high, value = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
            return start + (value - low) / ((high - low) or 1.0) * (end - start)

        return place

    def marks(self, most: int = 6) -> Sequence[float]:
        """Return the values to mark, about `most` or fewer."""
        if self.ticks:
            return self.ticks
        if self.text is seconds:
            return _marks_of_time(self.low, self.high, most, self.log)
        return log_marks(self.low, self.high, most) if self.log else marks(self.low, self.high, most, self.whole)


def metric(label: str, values: Sequence[float]) -> Axis:
    """Return an axis with some room above and below the values."""
    room = 0.06 * (max(values) - min(values)) or abs(max(values)) * 0.05 or 1.0
    return Axis(label, min(values) - room, max(values) + room)


def epochs(values: Sequence[float]) -> Axis:
    """Return an axis of epochs."""
    return Axis("epoch", min(values), max(values), whole=True)


def cost(label: str, values: Sequence[float], text: Callable[[float], str]) -> Axis:
    """Return an axis of positive values, with room at both ends; it is logarithmic if the values differ widely."""
    low, high = min(values), max(values)
    if low > 0 and high >= _LOG_FROM * low:
        room = (high / low) ** 0.06
        return Axis(label, low / room, high * room, log=True, text=text)
    room = 0.06 * (high - low) or abs(high) * 0.05 or 1.0
    return Axis(label, max(low - room, min(low, 0.0)), high + room, text=text)


def elapsed(label: str, curves: Iterable[Sequence[float]]) -> Axis:
    """Return an axis of seconds since a start; it is logarithmic if some curves are much longer than others."""
    ends = [(min(curve), max(curve)) for curve in curves if curve]
    first, last = min(low for low, _ in ends), max(high for _, high in ends)
    if first > 0 and last >= _LOG_FROM * min(high for _, high in ends):
        return Axis(label, first, last, log=True, text=seconds)
    return Axis(label, min(0.0, first), last, text=seconds)


def seconds(value: float) -> str:
    """Return a round duration as text: `20 ms`, `5 s`, `2 min`, `3 h`, `1 d`."""
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1.0, "s")):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{1000 * value:g} ms" if value > 0 else "0 s"


def marks(low: float, high: float, count: int = 5, whole: bool = False) -> list[float]:
    """Return about `count` round numbers in [low, high]; with `whole`, only integers if the range is at least 1."""
    if high <= low:
        return [low]
    raw = (high - low) / count
    size = 10 ** math.floor(math.log10(raw))
    step = next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= raw * 0.999)
    if whole and high - low >= 1:
        step = max(1, math.ceil(step))
    return _multiples(step, low, high)


def log_marks(low: float, high: float, most: int) -> list[float]:
    """Return numbers such as 1, 2, 5, 10, 20 in [low, high]; only powers of ten if they are more than `most`."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [10.0**power * factor for power in powers for factor in (1, 2, 5)]
    return _thinned([value for value in found if low <= value <= high], most, _is_power)


def _marks_of_time(low: float, high: float, most: int, log: bool) -> list[float]:
    if log:
        found = [value for value in _ROUND_SECONDS if low <= value <= high and value not in (15, 15 * _MINUTE)]
        return _thinned(found, most, lambda value: _is_power(value) or value in (_MINUTE, 600.0, _HOUR, _DAY))
    raw = (high - low) / most
    step = next((value for value in _ROUND_SECONDS if value >= raw * 0.999), _DAY * math.ceil(raw / _DAY))
    return _multiples(step, low, high)


def _thinned(values: list[float], most: int, is_main: Callable[[float], bool]) -> list[float]:
    """Return all values, only the main ones, or only some of the main ones, so that at most about `most` are left."""
    main = [value for value in values if is_main(value)]
    if len(values) <= most or len(main) < 2:
        return values[:: math.ceil(len(values) / most)] if values else []
    return main[:: math.ceil(len(main) / most)]


def _is_power(value: float) -> bool:
    power = math.log10(value)
    return abs(power - round(power)) < 1e-9


def _multiples(step: float, low: float, high: float) -> list[float]:
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]
