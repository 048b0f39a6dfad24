"""benchmark.json in a run's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvlib.runs.benchmark import FILE, Benchmark, read


def test_a_written_benchmark_is_read_again(tmp_path: Path) -> None:
    written = Benchmark({"threads": 2}, {"onnx": {"metric": None, "latency_ms": 0.5}})
    written.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    found = read(tmp_path)
    assert found == written
    assert found is not None and found.number("onnx", "latency_ms") == 0.5


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"conditions": 3, "formats": 4}', '{"conditions": {}'])
def test_a_damaged_file_counts_as_no_benchmark(tmp_path: Path, content: str) -> None:
    assert read(tmp_path) is None
    (tmp_path / FILE).write_text(content)
    assert read(tmp_path) is None


@pytest.mark.parametrize("row", ['{"latency_ms": null}', '{"latency_ms": NaN}', '{"latency_ms": "1"}', "3", "{}"])
def test_a_measurement_that_is_no_number_is_unknown(tmp_path: Path, row: str) -> None:
    (tmp_path / FILE).write_text(f'{{"conditions": {{}}, "formats": {{"onnx": {row}}}}}')
    found = read(tmp_path)
    assert found is not None
    assert found.number("onnx", "latency_ms") is None
    assert found.number("keras", "latency_ms") is None
