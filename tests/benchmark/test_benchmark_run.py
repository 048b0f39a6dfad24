"""A run's network is measured in every format with the metrics of its evaluation."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvlib.benchmark import benchmark_run
from cvlib.benchmark.benchmark_run import Plan, benchmark
from cvlib.evaluation import evaluate_run, samples
from cvlib.export import forms
from cvlib.models.restore import open_run
from cvlib.runtime.errors import UserError
from tests.small_runs import write_run

SPEED = {"latency_ms": 1.5, "latency_p95_ms": 2.0, "images_per_second": 900.0, "peak_memory_mib": 100.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    write_run(folder)
    return folder


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, np.ndarray]]:
    """Replace the measurement of speed and memory; return the formats and images that are measured."""
    calls: list[tuple[str, np.ndarray]] = []

    def measure(path: Path, form: str, images: Path, threads: int) -> dict[str, float]:
        assert path.exists()
        calls.append((form, np.load(images)))
        return dict(SPEED)

    monkeypatch.setattr(benchmark_run, "measure", measure)
    return calls


def plan(*formats: str, **changes: Any) -> Plan:
    return Plan(**({"formats": formats, "split": "test", "batch": 5, "threads": 2} | changes))


@pytest.mark.slow
def test_every_format_has_the_metric_of_the_evaluation(folder: Path, measured: list[tuple[str, np.ndarray]]) -> None:
    run = open_run(folder)
    expected = evaluate_run.evaluate(run, samples.choose(run, "test")).metrics["accuracy"]
    found = benchmark(run, plan(*reversed(forms.FORMS)), print)
    assert list(found.formats) == list(forms.FORMS)
    assert found.left_out == {}
    assert found.formats["keras"]["metric"] == expected
    for form in ("saved_model", "onnx", "litert"):
        assert found.formats[form] == {
            **SPEED, "precision": "float32", "metric": pytest.approx(expected, abs=0.005), "file": None,
            "size_mib": found.formats[form]["size_mib"],
        }  # fmt: skip
    int8 = found.formats["litert_int8"]
    assert int8["precision"] == "int8"
    assert int8["metric"] == pytest.approx(expected, abs=0.1)
    assert found.formats["keras"]["size_mib"] == (folder / "model.keras").stat().st_size / 2**20
    assert int8["size_mib"] < found.formats["litert"]["size_mib"]
    assert [(form, images.shape) for form, images in measured] == [(form, (5, 12, 12, 1)) for form in forms.FORMS]
    assert not (folder / "export").exists()
    assert found.conditions["metric"] == "test/accuracy"
    assert found.conditions["threads"] == 2


def test_an_export_of_the_run_is_used_unless_it_is_older_than_the_network(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    run, own = open_run(tmp_path / "run"), tmp_path / "run/export/model.tflite"
    own.parent.mkdir()
    own.write_bytes(b"no network")
    with pytest.raises(UserError, match="nothing was measured: litert: "):
        benchmark(run, plan("litert"), print)
    os.utime(own, (0, 0))
    found = benchmark(run, plan("keras", "litert"), print)
    assert found.formats["litert"]["file"] is None
    # the exported network gives the same answers, up to rounding
    assert found.formats["litert"]["metric"] == pytest.approx(found.formats["keras"]["metric"], abs=0.005)


def test_formats_that_cannot_be_written_are_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "find_spec", lambda name: None if name == "tf2onnx" else object())
    found = benchmark(open_run(folder), plan("keras", "onnx"), print)
    assert list(found.formats) == ["keras"]
    assert found.left_out == {"onnx": "--format onnx needs tf2onnx: pip install -e '.[export]'"}
    with pytest.raises(UserError, match="nothing was measured: onnx: --format onnx needs tf2onnx"):
        benchmark(open_run(folder), plan("onnx"), print)


def test_without_data_the_metric_is_left_out(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    config = (tmp_path / "run/config.yaml").read_text()
    (tmp_path / "run/config.yaml").write_text(
        config.replace("name: digits", "name: folder").replace("path: null", f"path: {tmp_path / 'absent'}")
    )
    said: list[str] = []
    found = benchmark(open_run(tmp_path / "run"), plan("keras", "litert_int8"), said.append)
    assert found.formats["keras"]["metric"] is None
    assert found.conditions["data"] is None
    assert "needs the run's training images" in found.left_out["litert_int8"]
    assert "no accuracy, because the run's data is missing" in said[0]


def test_a_damaged_network_is_an_error(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    (tmp_path / "run/model.keras").write_bytes(b"no network")
    with pytest.raises(UserError, match="can't be loaded"):
        benchmark(open_run(tmp_path / "run"), plan("keras", "onnx"), print)


def test_the_result_can_be_written_as_json(folder: Path) -> None:
    found = benchmark(open_run(folder), plan("keras"), print)
    assert json.loads(json.dumps(found.as_json())) == found.as_json()
