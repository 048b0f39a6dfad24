"""Benchmarks as a table, as Markdown, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from cvlib.benchmark.table import Benchmarked, digits, text
from cvlib.runs.benchmark import Benchmark
from cvlib.runs.run import Run

SPEED = {"latency_ms": 1.234, "latency_p95_ms": 20.04, "images_per_second": 1234.5, "size_mib": 0.0456,
         "peak_memory_mib": 99.6}  # fmt: skip
SPECS = [{"name": "accuracy"}, {"name": "mAP"}]


def result(folder: str, metric: str = "test/accuracy", value: float | None = 0.9722, **left_out: str) -> Benchmarked:
    conditions: dict[str, Any] = {
        "processor": "Xeon", "threads": 2, "batch": 32, "image_size": [8, 16], "channels": 1, "metric": metric,
        "data": None if value is None else "digits, test", "images": None if value is None else 269,
    }  # fmt: skip
    row = {"precision": "float32", "metric": value, **SPEED}
    run = Run(Path(folder), folder, {"metric_specs": SPECS}, {}, frozenset())
    return Benchmarked(run, Benchmark(conditions, {"keras": row, "onnx": row | {"latency_ms": 0.05}}, left_out))


def test_the_table_of_one_run() -> None:
    lines = text([result("a", litert="needs ai_edge_litert")], "table").splitlines()
    assert lines[0].split("  ")[0] == "format"
    assert lines[2].split() == ["keras", "float32", "97.22", "1.23", "20", "1234", "0.0456", "100"]
    assert lines[3].split() == ["onnx", "float32", "97.22", "0.05", "20", "1234", "0.0456", "100"]
    assert "measured on Xeon with 2 threads" in lines
    assert "269 images of digits, test; 8×16 pixels, 1 channel" in lines
    assert lines[-1] == "left out: litert: needs ai_edge_litert"


def test_runs_with_different_metrics_have_a_column_for_each() -> None:
    rows = text([result("a"), result("b", "test/mAP", 0.5)], "md").splitlines()
    assert rows[0].startswith("| run | format | precision | test/accuracy % | test/mAP % | latency in ms |")
    assert rows[2].startswith("| a | keras | float32 | 97.22 | – | 1.23 |")
    assert rows[4].startswith("| b | keras | float32 | – | 50.00 | 1.23 |")


def test_without_data_there_is_no_column_for_the_metric() -> None:
    found = text([result("a", value=None)], "table")
    assert "accuracy %" not in found
    assert "random images, and no test/accuracy, because the run's data is missing" in found


def test_csv_and_json_have_full_precision() -> None:
    rows = list(csv.DictReader(io.StringIO(text([result("a")], "csv"))))
    assert [(row["format"], row["value"], row["latency_ms"], row["threads"]) for row in rows] == [
        ("keras", "0.9722", "1.234", "2"), ("onnx", "0.9722", "0.05", "2"),
    ]  # fmt: skip
    (run,) = json.loads(text([result("a", litert="why")], "json"))["runs"]
    assert run["formats"]["keras"]["images_per_second"] == 1234.5
    assert run["left_out"] == {"litert": "why"}


@pytest.mark.parametrize(
    ("value", "shown"), [(0.04567, "0.0457"), (3.2, "3.2"), (45.67, "45.7"), (999.9, "1000"), (123456.7, "123457")]
)
def test_numbers_have_three_significant_digits(value: float, shown: str) -> None:
    assert digits(value) == shown
