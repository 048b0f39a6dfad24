"""The metrics of groups of runs on corrupted images, as `cvlib evaluate --corrupt` measured them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cvlib.compare.groups import Group, listed
from cvlib.runs.run import Run

MEAN = "under_corruption"
CLEAN = "without_corruption"  # on the same images, which may be a part of the test split


def columns(group: Group, metric: str) -> dict[str, float | None]:
    """Return a test metric's mean under and without corruption over the group's runs, for tables of numbers.

    The mean under corruption is also given by family.
    """
    split, _, name = metric.rpartition("/")
    if split != "test":
        return {}
    measured = [run.corruptions for run in group.runs if run.corruptions]
    families = dict.fromkeys(family for one in measured for family in one.families)
    found: dict[str, list[float | None]] = {}
    if measured:
        found = {MEAN: [one.mean(name) for one in measured], CLEAN: [one.clean.get(name) for one in measured]}
    found |= {f"{MEAN}/{family}": [one.mean(name, family) for one in measured] for family in families}
    return {column: _mean(values) for column, values in found.items()}


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def warnings(runs: Iterable[Run]) -> Iterator[str]:
    """Yield a line if the runs of one comparison were measured on different numbers of corrupted images."""
    counts = sorted({run.corruptions.images for run in runs if run.corruptions})
    if len(counts) > 1:
        yield f"cvlib evaluate --corrupt used different numbers of test images: {listed(map(str, counts), 5)}"
