"""A metric by slice of the images, such as by camera or site, and tests of each slice against the rest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from cvlib.compare import statistics
from cvlib.compare.tables import amount, span
from cvlib.compare.verdict import SIGNIFICANT, p_text, scaling
from cvlib.runs.metric_specs import MetricSpec

ALL = "all"
_DRAWS = 10_000
_Z = 1.959964  # the 97.5 % quantile of the normal distribution


@dataclass(frozen=True)
class Slice:
    """A metric's mean over the images of a slice, with its 95 % interval and its difference to the other images."""

    name: str
    images: int
    value: float
    low: float
    high: float
    difference: float = math.nan
    p: float = math.nan
    corrected: float = math.nan  # after Holm's correction for the number of slices


def image_values(rows: Sequence[Mapping[str, Any]], spec: MetricSpec) -> Float[np.ndarray, " images"] | None:
    """Return the metric's value for each image from rows of test_results.csv; None if they don't have it."""
    if not rows or spec.sample_column not in rows[0]:
        return None
    if spec.sample == "right":
        return np.array([float(row["truth"] == row[spec.sample_column]) for row in rows])
    return np.array([float(row[spec.sample_column]) for row in rows])


def by_slice(values: Float[np.ndarray, " images"], names: Sequence[str], spec: MetricSpec) -> list[Slice]:
    """Return the slices, sorted by name or number, and all images as the last one.

    The means of the slices, weighted by their numbers of images, recombine to the mean of all images. Each slice is
    tested against all other images by a permutation test.

    Args:
        values: the metric's value for each image; their mean is the metric.
        names: the slice of each image.
        spec: of the metric.
    """
    slices = []
    for name in sorted(set(names), key=_order):
        member = np.array([other == name for other in names])
        low, high = _interval(values[member], spec)
        difference = float(values[member].mean() - values[~member].mean()) if not member.all() else math.nan
        p = permutation(values, member) if not member.all() else math.nan
        slices.append(Slice(name, int(member.sum()), float(values[member].mean()), low, high, difference, p))
    tested = [one.p for one in slices]
    if len(slices) > 1:
        corrected = statistics.holm(tested, len(slices))
        slices = [replace(one, corrected=p) for one, p in zip(slices, corrected, strict=True)]
    return [*slices, Slice(ALL, len(values), float(values.mean()), *_interval(values, spec))]


def _order(name: str) -> tuple[bool, float, str]:
    """Return a sort key: numbers by value, then texts."""
    return (False, float(name), "") if name.isdecimal() else (True, 0.0, name)


def permutation(values: Float[np.ndarray, " images"], member: np.ndarray, seed: int = 0) -> float:
    """Return the two-sided p-value of the difference between the mean of a slice and that of the other images.

    It is the share of random slices of the same size whose difference is at least as large. `member` is bool
    `(images,)`.
    """
    random, size = np.random.default_rng(seed), int(member.sum())
    if set(np.unique(values)) <= {0.0, 1.0}:  # the number of ones in a random slice is hypergeometric
        ones = int(values.sum())
        sums = random.hypergeometric(ones, len(values) - ones, size, _DRAWS).astype(float)
    else:
        sums = np.array([values[random.choice(len(values), size, replace=False, shuffle=False)].sum()
                         for _ in range(_DRAWS)])  # fmt: skip
    expected = size * values.mean()
    as_far = np.abs(sums - expected) >= abs(values[member].sum() - expected) - 1e-9
    return float((1 + as_far.sum()) / (1 + _DRAWS))


def _interval(values: Float[np.ndarray, " images"], spec: MetricSpec) -> tuple[float, float]:
    """Return the 95 % interval of the mean: Wilson's (1927) for values of 0 and 1, otherwise the t-interval."""
    if set(np.unique(values)) <= {0.0, 1.0}:
        return statistics.wilson(float(values.mean()), len(values), _Z)
    bounds = (-math.inf, math.inf) if spec.sample == "share" else (spec.low, spec.high)  # shares may lie outside
    _, _, low, high = statistics.interval(values.tolist(), *bounds)
    return low, high


def records(slices: Sequence[Slice], spec: MetricSpec) -> list[dict[str, Any]]:
    """Return the rows of by_slice.csv for one metric; unknown numbers are None."""
    return [
        {"metric": spec.name, "slice": one.name, "images": one.images}
        | {key: None if math.isnan(value) else value for key, value in (
            ("value", one.value), ("ci95_low", one.low), ("ci95_high", one.high), ("difference", one.difference),
            ("p", one.p), ("p_holm", one.corrected))}
        for one in slices
    ]  # fmt: skip


def display(slices: Sequence[Slice], spec: MetricSpec, heading: str) -> list[dict[str, str]]:
    """Return the slices as rows of formatted text; `heading` names the slices."""
    scale, digits, unit = scaling(spec)
    return [
        {heading: one.name, "images": str(one.images), f"{spec.name}{' %' if spec.in_percent else ''}":
            amount(one.value, spec), "95 % CI": span(one.low, one.high, spec) or "–",
         f"against the rest{unit and ', in' + unit}":
            "–" if math.isnan(one.difference) else f"{scale * one.difference:.{digits}f}",
         "p Holm": "–" if math.isnan(one.corrected) else p_text(one.corrected).removeprefix("p ").removeprefix("= ")}
        for one in slices
    ]  # fmt: skip


def words(slices: Sequence[Slice], spec: MetricSpec) -> list[str]:
    """Return what the table shows, in sentences."""
    scale, digits, unit = scaling(spec)
    lines = [
        f"{one.name} is {scale * abs(one.difference):.{digits}f}{unit} {'above' if one.difference > 0 else 'below'} "
        f"the rest ({p_text(one.corrected)})"
        for one in slices[:-1]
        if one.corrected < SIGNIFICANT
    ] or ["no slice differs clearly from the rest"]
    if spec.sample == "share":
        lines.append(f"values are means of the images' contributions to {spec.name}, which recombine to the total; "
                     "they are not the metric of the slice alone")  # fmt: skip
    elif spec.sample == "own":
        own = spec.sample_name or spec.sample_column
        lines.append(f"values are means of the images' {own}, because {spec.name} is computed over all images together")
    return lines
