"""Benchmarks as text: a table for people, or JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cvlib.compare.names import shortened
from cvlib.compare.tables import amount
from cvlib.runs.benchmark import MEASURES, Benchmark
from cvlib.runs.run import Run
from cvlib.viz import text_table


@dataclass(frozen=True)
class Benchmarked:
    """A run and its benchmark."""

    run: Run
    found: Benchmark


def text(results: Sequence[Benchmarked], form: str) -> str:
    """Return the results in one of the formats table, md, csv and json."""
    if form == "json":
        rows = [{"run": str(one.run.folder), **one.found.as_json()} for one in results]
        return json.dumps({"runs": rows}, indent=2, ensure_ascii=False) + "\n"
    if form == "csv":
        return _csv(results)
    rows = _rows(results)
    lines = [f"{'- ' * (form == 'md')}{line}" for line in _notes(results)]
    return "\n".join([*(text_table.markdown if form == "md" else text_table.ruled)(rows), "", *lines]) + "\n"


def _csv(results: Sequence[Benchmarked]) -> str:
    """Return a row for each run and format, in full precision."""
    rows: list[dict[str, Any]] = []
    for one in results:
        conditions = one.found.conditions
        for form, row in one.found.formats.items():
            rows.append({
                "run": str(one.run.folder), "format": form, "precision": row["precision"],
                "metric": conditions["metric"], "value": row["metric"], **{name: row[name] for name in MEASURES},
                **{key: conditions[key] for key in ("images", "batch", "threads", "processor")},
            })  # fmt: skip
    lines = io.StringIO()
    writer = csv.DictWriter(lines, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return lines.getvalue()


def _rows(results: Sequence[Benchmarked]) -> list[dict[str, str]]:
    """Return a row of formatted text for each run and format, without columns that are empty in all rows."""
    names = shortened(str(one.run.folder) for one in results)
    metrics = {one.found.conditions["metric"]: one.run for one in results}
    headings = {name: name + " %" * run.metric_spec(name).in_percent for name, run in metrics.items()}
    (batch,) = {one.found.conditions["batch"] for one in results}
    rows = []
    for one in results:
        for form, row in one.found.formats.items():
            own, value = one.found.conditions["metric"], row["metric"]
            accuracy = "" if value is None else amount(value, one.run.metric_spec(own))
            rows.append({
                "run": names[str(one.run.folder)] if len(results) > 1 else "", "format": form,
                "precision": row["precision"],
                **{heading: accuracy if name == own else "" for name, heading in headings.items()},
                "latency in ms": digits(row["latency_ms"]), "95th percentile": digits(row["latency_p95_ms"]),
                f"images/s (batches of {batch})": digits(row["images_per_second"]),
                "size in MiB": digits(row["size_mib"]), "memory in MiB": f"{row['peak_memory_mib']:.0f}",
            })  # fmt: skip
    filled = [column for column in rows[0] if any(row[column] for row in rows)]
    return [{column: row[column] or "–" for column in filled} for row in rows]


def _notes(results: Sequence[Benchmarked]) -> list[str]:
    """Return what was measured, on what, and what was left out."""
    first = results[0].found.conditions
    count = first["threads"]
    on = f"{first['processor']} with {count} thread{'s' * (count > 1)}"
    lines = [
        f"measured on {on}",
        "latency is the median for one image, without reading and decoding it",
        "memory is the peak of a process that runs only this format",
    ]
    for one in results:
        conditions, prefix = one.found.conditions, f"{one.run.folder}: " if len(results) > 1 else ""
        height, width = conditions["image_size"]
        without = f"random images, and no {conditions['metric']}, because the run's data is missing"
        data = f"{conditions['images']} images of {conditions['data']}" if conditions["data"] else without
        channels = f"{conditions['channels']} channel{'s' * (conditions['channels'] > 1)}"
        lines.append(f"{prefix}{data}; {height}×{width} pixels, {channels}")
        lines += [f"{prefix}left out: {form}: {reason}" for form, reason in one.found.left_out.items()]
    return lines


def digits(value: float) -> str:
    """Return a positive number with at least three significant digits, such as 0.0512, 3.21 or 1234."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
