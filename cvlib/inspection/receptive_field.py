"""Exact receptive fields: the input pixels that a unit sees through branches, strides, dilation and upsampling.

Per axis, a layer is described by the window of input units that an output unit reads. Windows are composed layer by
layer, following Araujo, Norris & Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill 2019. After
upsampling, not all units see the same number of pixels, but the pattern repeats. The window of every unit in one period
of the pattern is therefore stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from keras import layers


@dataclass(frozen=True)
class Field:
    """The pixels that the units of one axis see: unit i sees the pixels low(i) to high(i), both included.

    Pixels count from 0; indices outside the image are padding. The pattern repeats: unit i + period sees what unit i
    sees, moved by `shift` pixels. A shift of 0 means that all units see the same pixels.
    """

    low: tuple[int, ...]
    high: tuple[int, ...]
    shift: int

    @property
    def period(self) -> int:
        """The number of units after which the pattern repeats."""
        return len(self.low)

    @property
    def size(self) -> int:
        """The largest number of pixels that a unit sees."""
        return max(high - low + 1 for low, high in zip(self.low, self.high, strict=True))

    @property
    def jump(self) -> Fraction:
        """Pixels from one unit to the next: the effective stride, below 1 after enough upsampling."""
        return Fraction(self.shift, self.period)

    @property
    def centre(self) -> float:
        """The centre of the first unit's field in pixels; the middle of pixel 0 is 0."""
        return (self.low[0] + self.high[0]) / 2

    def at(self, unit: int) -> tuple[int, int]:
        """Return the first and the last pixel that a unit sees."""
        repeats, phase = divmod(unit, self.period)
        return self.low[phase] + repeats * self.shift, self.high[phase] + repeats * self.shift


PIXELS = Field((0,), (0,), 1)


@dataclass(frozen=True)
class Window:
    """The input units that output unit i of a layer reads: first(i) to last(i).

    Output unit i + `period` reads the same units, moved by `advance` input units.
    """

    first: Callable[[int], int]
    last: Callable[[int], int]
    period: int = 1
    advance: int = 1


def through(field: Field, window: Window) -> Field:
    """Return the field of a layer's units, given the field of its input units."""
    repeats = field.period // math.gcd(field.period, window.advance)
    period = window.period * repeats
    ranges = [range(window.first(unit), window.last(unit) + 1) for unit in range(period)]
    low = [min(field.at(seen)[0] for seen in units) for units in ranges]
    high = [max(field.at(seen)[1] for seen in units) for units in ranges]
    return _shortest(Field(tuple(low), tuple(high), field.shift * window.advance * repeats // field.period))


def union(fields: Sequence[Field]) -> Field:
    """Return the field of several merged branches: from the first pixel of any branch to the last pixel of any.

    Branches with different jumps only meet where positions are discarded, for example in a list of boxes of several
    scales. The result is then the largest field.
    """
    if len(set(fields)) == 1:
        return fields[0]
    if any(field.shift == 0 for field in fields):
        return max((field for field in fields if field.shift == 0), key=lambda field: field.size)
    if len({field.jump for field in fields}) > 1:
        return max(fields, key=lambda field: field.size)
    period = math.lcm(*(field.period for field in fields))
    low = tuple(min(field.at(unit)[0] for field in fields) for unit in range(period))
    high = tuple(max(field.at(unit)[1] for field in fields) for unit in range(period))
    return _shortest(Field(low, high, int(fields[0].jump * period)))


def whole(field: Field, units: int, pixels: int) -> Field:
    """Return the pixels of the image that all units of an axis see together."""
    seen = [field.at(unit) for unit in range(units)]
    low, high = min(low for low, _ in seen), max(high for _, high in seen)
    return Field((max(low, 0),), (min(high, pixels - 1),), 0)


def _shortest(field: Field) -> Field:
    """Return the same field with the shortest period, which keeps the numbers small through many layers."""
    for period in range(1, field.period):
        if field.period % period == 0 and (field.shift * period) % field.period == 0:
            short = Field(field.low[:period], field.high[:period], field.shift * period // field.period)
            if all(short.at(unit) == field.at(unit) for unit in range(field.period)):
                return short
    return field


def windows(operation: Any, entering: Sequence[int], leaving: Sequence[int],
            arguments: Sequence[Any] = ()) -> tuple[Window, Window] | None:  # fmt: skip
    """Return the vertical and the horizontal window of a layer; None for a layer that keeps every unit in its place.

    `entering` and `leaving` are the heights and widths of its input and output; `arguments` are the arguments of the
    call.
    """
    kind = type(operation).__name__
    if isinstance(operation, (layers.Conv2DTranspose,)):
        return _per_axis(_transposed, operation.kernel_size, operation.strides, operation.dilation_rate,
                         [operation.padding] * 2)  # fmt: skip
    if hasattr(operation, "kernel_size") and hasattr(operation, "dilation_rate"):
        return _per_axis(_sliding, operation.kernel_size, operation.strides, operation.dilation_rate,
                         [operation.padding] * 2, entering)  # fmt: skip
    if hasattr(operation, "pool_size"):
        return _per_axis(_sliding, _pair(operation.pool_size), _pair(operation.strides or operation.pool_size), (1, 1),
                         [operation.padding] * 2, entering)  # fmt: skip
    if isinstance(operation, layers.ZeroPadding2D):
        return _per_axis(_moved, [-before for before, _ in operation.padding])
    if isinstance(operation, layers.Cropping2D):
        return _per_axis(_moved, [before for before, _ in operation.cropping])
    if isinstance(operation, (layers.UpSampling2D, layers.Resizing)) or kind == "Resize":
        antialias = bool(getattr(operation, "antialias", False))
        return _per_axis(_resized, entering, leaving, [operation.interpolation] * 2, [antialias] * 2)
    if kind == "Repeat" and operation.axis in (1, 2) and isinstance(operation.repeats, int):
        return _per_axis(_resized, entering, leaving, ["nearest"] * 2, [False] * 2)
    if kind == "Pad" and len(operation.pad_width) == 4:
        return _per_axis(_moved, [-before for before, _ in operation.pad_width[1:3]])
    if kind == "GetItem" and isinstance(arguments[1], tuple):
        return _per_axis(_sliced, entering, [*arguments[1], slice(None), slice(None)][1:3])
    return None


def unfolded(entering: Sequence[int | None], leaving: Sequence[int | None]) -> tuple[Window, Window] | None:
    """Return the windows of a reshape of (height, a, width, b, channels) to (height · a, width · b, channels).

    For any other reshape, return None.
    """
    if len(entering) != 5 or len(leaving) != 3 or None in entering:
        return None
    rows, row_factor, columns, column_factor = (int(side or 0) for side in entering[:4])
    if (rows * row_factor, columns * column_factor) != tuple(leaving[:2]):
        return None
    return _per_axis(
        _resized, (rows, columns), (rows * row_factor, columns * column_factor), ["nearest"] * 2, [False] * 2
    )


def collapses(operation: Any) -> bool:
    """Return whether every output of the layer reads the whole feature map."""
    pooling = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D, layers.Flatten)
    return isinstance(operation, pooling) or type(operation).__name__ in ("Mean", "Max", "Sum", "Min")


def _per_axis(make: Callable[..., Window], *settings: Sequence[Any]) -> tuple[Window, Window]:
    return make(*(setting[0] for setting in settings)), make(*(setting[1] for setting in settings))


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _sliding(size: int, stride: int, dilation: int, padding: str, side: int) -> Window:
    """Return the window of a convolution or pooling. As in TensorFlow, odd "same" padding is larger at the end."""
    reach = dilation * (size - 1)
    needed = (-(-side // stride) - 1) * stride + reach + 1 - side if padding == "same" else 0
    before = max(needed, 0) // 2
    return Window(lambda unit: unit * stride - before, lambda unit: unit * stride - before + reach, 1, stride)


def _transposed(size: int, stride: int, dilation: int, padding: str) -> Window:
    """Return the window of a transposed convolution.

    Input unit m writes to m·stride − before + t·dilation for t = 0 … size − 1.
    """
    reach = dilation * (size - 1)
    before = max(reach + 1 - stride, 0) // 2 if padding == "same" else 0

    def last(unit: int) -> int:
        return (unit + before) // stride

    def first(unit: int) -> int:
        return min(
            -(-(unit + before - reach) // stride), last(unit)
        )  # a unit in a gap between kernels is treated like its neighbour

    return Window(first, last, stride, 1)


def _moved(by: int) -> Window:
    return Window(lambda unit: unit + by, lambda unit: unit + by)


def _sliced(side: int, key: Any) -> Window:
    chosen = range(side)[key] if isinstance(key, slice) else range(side)
    return Window(lambda unit: chosen.start + unit * chosen.step, lambda unit: chosen.start + unit * chosen.step, 1,
                  chosen.step)  # fmt: skip


def _resized(entering: int, leaving: int, interpolation: str, antialias: bool) -> Window:
    """Return the window of resizing to `leaving` units, with half-pixel centres; `antialias` smooths when shrinking."""
    ratio = Fraction(entering, leaving)

    def position(unit: int) -> Fraction:
        return (unit + Fraction(1, 2)) * ratio - Fraction(1, 2)

    period, advance = ratio.denominator, ratio.numerator
    if interpolation == "nearest":

        def nearest(unit: int) -> int:
            return math.floor(position(unit) + Fraction(1, 2))

        return Window(nearest, nearest, period, advance)
    radius = {"bilinear": 1, "bicubic": 2, "lanczos3": 3, "lanczos5": 5}[interpolation]
    reach = radius * (max(ratio, Fraction(1)) if antialias else 1)
    return Window(
        lambda unit: math.floor(position(unit) - reach) + 1, lambda unit: math.ceil(position(unit) + reach) - 1,
        period, advance,
    )  # fmt: skip
