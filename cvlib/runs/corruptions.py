"""A run's metrics under corruption, `corruptions.csv` in its folder, which its page and `cvlib compare` read, too."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cvlib.runs.config_file import regular
from cvlib.runtime.files import csv_of, write_atomically

FILE = "corruptions.csv"
_CLEAN = "none"
_KEYS = ("family", "corruption", "strength", "images")  # the other columns are metrics
_TOTAL = "all"


@dataclass(frozen=True)
class Measured:
    """The metrics for one corruption with one strength."""

    family: str  # noise | blur | weather | digital
    corruption: str
    strength: int  # 1–5
    metrics: Mapping[str, float]  # by name


@dataclass(frozen=True)
class Corruptions:
    """The metrics of a network on the same images without and with corruptions."""

    images: int
    clean: Mapping[str, float]  # without corruption, by name
    rows: Sequence[Measured]

    @cached_property
    def families(self) -> dict[str, list[str]]:
        """The corruptions of each family, in the order of the file."""
        return {family: list(dict.fromkeys(row.corruption for row in self.rows if row.family == family))
                for family in dict.fromkeys(row.family for row in self.rows)}  # fmt: skip

    @property
    def names(self) -> list[str]:
        """The corruptions."""
        return [name for names in self.families.values() for name in names]

    @cached_property
    def strengths(self) -> list[int]:
        """The strengths."""
        return sorted({row.strength for row in self.rows})

    def values(self, metric: str, name: str) -> dict[int, float]:
        """Return a metric under one corruption by strength."""
        return {row.strength: row.metrics[metric] for row in self.rows
                if row.corruption == name and metric in row.metrics}  # fmt: skip

    def mean(self, metric: str, family: str | None = None) -> float | None:
        """Return a metric's mean over corruptions and strengths; None if one of the values is unknown."""
        rows = [row for row in self.rows if family in (None, row.family)]
        mean = _mean([row.metrics.get(metric, math.nan) for row in rows])
        return mean if math.isfinite(mean) else None

    def mean_text(self, metric: str) -> str:
        """Return a metric's mean and its share of the metric without corruption, as text; empty if it is unknown."""
        mean, clean = self.mean(metric), self.clean[metric]
        if mean is None:
            return ""
        return f"{mean:.4f}" + (f", {100 * mean / clean:.1f} % of {clean:.4f} without corruption" if clean else "")

    def table(self, metric: str) -> list[dict[str, str]]:
        """Return the table for people: a metric by corruption and strength, the means, and their share of clean."""
        lines = {name: self.values(metric, name) for name in self.names}
        if len(lines) > 1:
            lines[_TOTAL] = {strength: _mean([line[strength] for line in lines.values() if strength in line])
                             for strength in self.strengths}  # fmt: skip
        return [self._line(metric, name, values) for name, values in lines.items()]

    def _line(self, metric: str, name: str, values: Mapping[int, float]) -> dict[str, str]:
        mean, clean = _mean(list(values.values())), self.clean.get(metric, math.nan)
        share = f"{100 * mean / clean:.1f} %" if clean and math.isfinite(mean / clean) else "–"
        by_strength = {f"strength {strength}": _text(values.get(strength, math.nan)) for strength in self.strengths}
        return {"corruption": name.replace("_", " "), **by_strength, "mean": _text(mean), "of clean": share}

    def write(self, folder: Path) -> None:
        """Write the file into a folder, atomically."""
        clean = Measured("", _CLEAN, 0, self.clean)
        keys = [dict(zip(_KEYS, (row.family, row.corruption, row.strength, self.images), strict=True))
                for row in (clean, *self.rows)]  # fmt: skip
        rows = [key | dict(row.metrics) for key, row in zip(keys, (clean, *self.rows), strict=True)]
        write_atomically(folder / FILE, csv_of(rows))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _text(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "–"


def read(folder: Path) -> Corruptions | None:
    """Return the content of a folder's file; None if there is none, or if it can't be read."""
    try:
        with regular(folder / FILE).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        found = [Measured(str(row["family"]), str(row["corruption"]), int(row["strength"]),
                          {key: float(value) for key, value in row.items() if key not in _KEYS})
                 for row in rows]  # fmt: skip
        images = int(rows[0]["images"])
    except (OSError, ValueError, TypeError, KeyError, IndexError, csv.Error):
        return None
    clean = next((row.metrics for row in found if row.corruption == _CLEAN), None)
    corrupted = [row for row in found if row.corruption != _CLEAN]
    return None if clean is None or not corrupted else Corruptions(images, clean, corrupted)
