"""Speed and memory are measured in a process of their own."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
import pytest

from cvlib.benchmark import process


def test_warm_up_calls_are_not_timed() -> None:
    now, calls = [0.0], []

    def call(number: int) -> None:
        calls.append(number)
        now[0] += 3.0 if len(calls) == 1 else 0.25

    found = process.durations(call, least=2, seconds=4.0, clock=lambda: now[0])
    # the warm-up takes one call of 3 s, more than a quarter of 4 s; 16 calls of 0.25 s take 4 s
    assert found == [0.25] * 16
    assert calls == [0, *range(16)]


def test_slow_calls_are_timed_at_least_so_often() -> None:
    ticks = count(0, 10)
    assert len(process.durations(lambda number: None, least=3, seconds=1.0, clock=lambda: float(next(ticks)))) == 3


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from onnx import TensorProto, helper, save

    shape = ["batch", 4, 4, 1]
    image, output = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("image", "output"))
    graph = helper.make_graph([helper.make_node("Relu", ["image"], ["output"])], "graph", [image], [output])
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_the_process_needs_only_the_memory_of_its_own_runtime(onnx_file: Path, tmp_path: Path) -> None:
    ballast = np.ones(60_000_000)  # 458 MiB, which must not count for the new process
    np.save(tmp_path / "images.npy", np.zeros((3, 4, 4, 1), np.float32))
    found = process.measure(onnx_file, "onnx", tmp_path / "images.npy", threads=1, seconds=0.01)
    assert isinstance(found, dict), found
    assert ballast.nbytes / 2**20 > 400 > found.pop("peak_memory_mib") > 20  # TensorFlow alone needs more than 400
    assert set(found) == {"latency_ms", "latency_p95_ms", "images_per_second"}
    assert 0 < found["latency_ms"] <= found["latency_p95_ms"]


def test_a_file_that_cannot_be_opened_gives_the_reason(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no network")
    np.save(tmp_path / "images.npy", np.zeros((1, 4, 4, 1), np.float32))
    found = process.measure(tmp_path / "model.onnx", "onnx", tmp_path / "images.npy", threads=1, seconds=0.01)
    assert isinstance(found, str)
    assert "model.onnx" in found
    assert "\n" not in found
