"""What is known of each metric, so that runs can be compared without knowing their task."""

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
        low, high: between what it lies.
        column: of test_results.csv, what stands for it in each test sample; None: the column of its own name.
        sample: what that column holds: "right", a prediction that counts as 1 where it equals the column `truth`, else
            0; "share", the sample's share, whose mean is the metric; "own", a measure of the sample by itself, while
            the metric is one of all samples together; None, the metric of each sample, whose mean is the metric.
        sample_name: what an "own" measure is called in sentences.
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
        """Whether people read it in percent: it lies between 0 and 1."""
        return (self.low, self.high) == (0.0, 1.0)

    @property
    def sample_column(self) -> str:
        """The column of test_results.csv that stands for it."""
        return self.column or self.name


def to_json(specs: Iterable[MetricSpec]) -> list[dict[str, Any]]:
    """Return specs as summary.json holds them; an infinite `low` or `high` is null there."""
    return [{key: None if value in (math.inf, -math.inf) else value for key, value in dataclasses.asdict(spec).items()}
            for spec in specs]  # fmt: skip


def from_json(content: Any) -> tuple[MetricSpec, ...]:
    """Return the specs that summary.json holds; entries that are none are left out."""
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
    """Return the spec of a metric such as test/accuracy; of one that no spec names, what its name says.

    A metric without a spec, such as the one of a single class, lies between 0 and 1 and is better if higher, unless
    its name ends in "loss".
    """
    name = metric.split("/", 1)[-1]
    found = next((spec for spec in specs if spec.name == name), None)
    if found is not None:
        return found
    return MetricSpec(name, higher_is_better=False, high=math.inf) if name.endswith("loss") else MetricSpec(name)


def headline(summary: Mapping[str, Any]) -> str:
    """Return the metric that a run's task is judged by, on the test split, such as test/mAP."""
    specs = from_json(summary.get("metric_specs"))
    return f"test/{specs[0].name if specs else _USUAL}"
