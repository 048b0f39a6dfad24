"""Columns of the comparison that come from `cvlib benchmark`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

from cvlib.compare import benchmarks, compare, runs
from cvlib.compare.groups import sections
from cvlib.runs.benchmark import FILE, Benchmark

MakeRun = Callable[..., Path]


def measure(folder: Path, processor: str = "Xeon", **latencies: float) -> None:
    rows = {form: {"latency_ms": latency, "size_mib": 10 * latency} for form, latency in latencies.items()}
    Benchmark({"processor": processor, "threads": 2}, rows).write(folder)


def test_the_tables_show_the_mean_latency_of_each_group(tmp_path: Path, make_run: MakeRun) -> None:
    for seed, latency in enumerate((1.0, 2.0)):
        measure(make_run(f"cnn{seed}", {"seed": seed}), keras=30.0, onnx=latency)
    make_run("vgg", {"model.name": "vgg"}, right=[1, 0])
    text = compare([tmp_path], print)
    header, _, first, second = text.splitlines()[2:6]
    assert header.endswith("memory  latency (keras)  latency (onnx)")
    assert first.endswith("30 ms          1.5 ms")
    assert second.split()[-2:] == ["–", "–"]
    rows = list(csv.DictReader(io.StringIO(compare([tmp_path], print, form="csv"))))
    assert [(row["latency_ms/onnx"], row["size_mib/keras"], row["peak_memory_mib/keras"]) for row in rows] == [
        ("1.5", "300.0", ""), ("", "", ""),
    ]  # fmt: skip
    groups = json.loads(compare([tmp_path], print, form="json"))["sections"][0]["groups"]
    assert [group["latency_ms"] for group in groups] == [{"keras": 30.0, "onnx": 1.5}, {}]


def test_without_benchmarks_there_are_no_such_columns(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a")
    (make_run("b", {"model.name": "vgg"}) / FILE).write_text("damaged")
    assert "latency" not in compare([tmp_path], print)
    assert "latency_ms" not in compare([tmp_path], print, form="csv")


def test_the_common_format_is_measured_for_the_most_groups(tmp_path: Path, make_run: MakeRun) -> None:
    measure(make_run("a", {"model.name": "a"}), keras=9.0, litert=5.0, onnx=0.1)
    measure(make_run("b", {"model.name": "b"}), keras=9.0, litert=7.0)
    (section,) = sections(runs.find([tmp_path], print), None, None)
    assert benchmarks.common_format(section) == "litert"


def test_different_conditions_give_a_warning(tmp_path: Path, make_run: MakeRun) -> None:
    measure(make_run("a", {"model.name": "a"}), onnx=1.0)
    measure(make_run("b", {"model.name": "b"}), onnx=1.0)
    assert "latencies with different" not in compare([tmp_path], print)
    measure(make_run("c", {"model.name": "c"}), "EPYC", onnx=1.0)
    warning = "warning: cvlib benchmark measured the latencies with different processor: EPYC, Xeon"
    assert warning in compare([tmp_path], print)
