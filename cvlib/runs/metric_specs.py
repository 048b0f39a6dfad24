"""Descriptions of metrics, so that runs can be compared without knowing their task."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_USUAL = "accuracy"  # the headline metric of a run that names none


@dataclass(frozen=True)
class MetricSpec:
    """One metric of a task.

    Attributes:
        name: without the split, such as mAP.
        higher_is_better: false for losses.
        low, high: its smallest and its largest possible value.
        column: the column of test_results.csv with its value per test sample; None: the column with its name.
        sample: what that column holds. "right": a prediction, which counts as 1 if it equals the column `truth`, else
            as 0. "share": the sample's share of the metric; the mean of the shares is the metric. "own": a metric of
            the single sample, while the metric itself is computed over all samples together. None: the metric of each
            sample; their mean is the metric.
        sample_name: the name of an "own" metric in sentences.
    """

    name: str
    higher_is_better: bool = True
    low: float = 0.0
    high: float = 1.0
    column: str | None = None
    sample: str | None = None
    sample_name: str | None = None

    @property
    def in_percent(self) -> bool:
        """Whether it is shown in percent, because it lies between 0 and 1."""
        return (self.low, self.high) == (0.0, 1.0)

    @property
    def sample_column(self) -> str:
        """The column of test_results.csv with its value per test sample."""
        return self.column or self.name


def to_json(specs: Iterable[MetricSpec]) -> list[dict[str, Any]]:
    """Return specs in the form of summary.json, where an infinite `low` or `high` is null."""
    return [{key: None if value in (math.inf, -math.inf) else value for key, value in dataclasses.asdict(spec).items()}
            for spec in specs]  # fmt: skip


def from_json(content: Any) -> tuple[MetricSpec, ...]:
    """Return the specs in summary.json, without invalid entries."""
    entries = content if isinstance(content, list) else []
    return tuple(_spec(entry) for entry in entries if isinstance(entry, dict) and isinstance(entry.get("name"), str))


def _spec(entry: dict[str, Any]) -> MetricSpec:
    known = {field.name for field in dataclasses.fields(MetricSpec)}
    values = {key: value for key, value in entry.items() if key in known}
    for key, unbounded in (("low", -math.inf), ("high", math.inf)):
        if key in values and not isinstance(values[key], int | float):
            values[key] = unbounded
    return MetricSpec(**values)


def spec_of(metric: str, specs: Iterable[MetricSpec]) -> MetricSpec:
    """Return the spec of a metric such as test/accuracy, or a default spec if none has its name.

    A metric without a spec, such as that of a single class, is taken to lie between 0 and 1 and to be better if higher,
    unless its name ends in "loss".
    """
    name = metric.split("/", 1)[-1]
    found = next((spec for spec in specs if spec.name == name), None)
    if found is not None:
        return found
    return MetricSpec(name, higher_is_better=False, high=math.inf) if name.endswith("loss") else MetricSpec(name)


def headline(summary: Mapping[str, Any]) -> str:
    """Return the main metric of a run's task on the test split, such as test/mAP."""
    specs = from_json(summary.get("metric_specs"))
    return f"test/{specs[0].name if specs else _USUAL}"
