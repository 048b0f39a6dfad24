"""The results of `cvlib benchmark`, a file in a run's folder, which `cvlib compare` reads, too."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cvlib.runs.config_file import regular
from cvlib.runtime.files import write_atomically

FILE = "benchmark.json"
MEASURES = ("latency_ms", "latency_p95_ms", "images_per_second", "size_mib", "peak_memory_mib")


@dataclass(frozen=True)
class Benchmark:
    """The measurements of one run's network.

    Attributes:
        conditions: what they depend on: "processor", "threads", "batch" (images per batch for the throughput),
            "image_size" [height, width] and "channels"; and "split", "images", "metric" of the accuracy.
        formats: for each format "precision", "metric" (the value; None without data) and the numbers in `MEASURES`.
        left_out: why formats weren't measured, by format.
    """

    conditions: dict[str, Any]
    formats: dict[str, dict[str, Any]]
    left_out: dict[str, str] = field(default_factory=dict)

    def number(self, form: str, measure: str) -> float | None:
        """Return a measurement of a format; None if it is missing or not finite."""
        value: Any = self.formats.get(form, {}).get(measure)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if is_number and math.isfinite(value) else None

    def as_json(self) -> dict[str, Any]:
        """Return the content of the file."""
        return {"conditions": self.conditions, "formats": self.formats, "left_out": self.left_out}

    def write(self, folder: Path) -> None:
        """Write the file into a run's folder, atomically; raise `OSError` if that isn't possible."""
        text = json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n"
        write_atomically(folder / FILE, text.encode())


def read(folder: Path) -> Benchmark | None:
    """Return the benchmark in a run's folder; None if there is none, or if its file can't be read."""
    try:
        content = json.loads(regular(folder / FILE).read_text(encoding="utf-8"))
        conditions, formats = dict(content["conditions"]), dict(content["formats"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return Benchmark(conditions, {name: row for name, row in formats.items() if isinstance(row, dict)})
