"""What `cvlib benchmark` measured, for groups of runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cvlib.compare.groups import Group, Section, listed
from cvlib.runs.benchmark import MEASURES
from cvlib.runs.run import Run

LATENCY = "latency_ms"
_CONDITIONS = ("processor", "threads")  # numbers of runs can be compared if these are equal


def formats(runs: Iterable[Run]) -> list[str]:
    """Return the formats that were measured for any of the runs."""
    return list(dict.fromkeys(form for run in runs if run.benchmark for form in run.benchmark.formats))


def measured(group: Group, form: str, measure: str) -> float | None:
    """Return the mean of a measurement over the group's runs; None if it is unknown for all of them."""
    found = [run.benchmark.number(form, measure) for run in group.runs if run.benchmark]
    known = [value for value in found if value is not None]
    return sum(known) / len(known) if known else None


def latencies(group: Group) -> dict[str, float]:
    """Return the latency for one image in milliseconds, by format."""
    found = {form: measured(group, form, LATENCY) for form in formats(group.runs)}
    return {form: value for form, value in found.items() if value is not None}


def columns(group: Group) -> dict[str, float | None]:
    """Return the measurements of every format, such as "latency_ms/onnx", for tables of numbers."""
    return {f"{measure}/{form}": measured(group, form, measure) for form in formats(group.runs) for measure in MEASURES}


def common_format(section: Section) -> str | None:
    """Return the format that was measured for the most groups; of several, the one with the lowest mean latency."""
    found = [latencies(group) for group in section.groups]
    known = {form: [one[form] for one in found if form in one] for form in formats(section.runs)}
    ranked = [form for form, values in known.items() if values]
    return min(ranked, key=lambda form: (-len(known[form]), sum(known[form]) / len(known[form])), default=None)


def warnings(runs: Iterable[Run]) -> Iterator[str]:
    """Yield a line if the runs were measured under different conditions."""
    conditions = [run.benchmark.conditions for run in runs if run.benchmark]
    for name in _CONDITIONS:
        values = sorted({str(one.get(name)) for one in conditions})
        if len(values) > 1:
            yield f"cvlib benchmark measured the latencies with different {name}: {listed(values, 5)}"
