"""The precision that `trainer.precision=auto` selects on each kind of hardware."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvlib.runtime import hardware


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512_bf16 amx_bf16 avx\n", ("bfloat16", "the processor has amx_bf16")),
        ("flags : fpu avx512_bf16\nflags : fpu avx512_bf16\n", ("bfloat16", "the processor has avx512_bf16")),
        ("flags : fpu avx2 avx512f\n", ("float32", "the processor has no bfloat16")),
        ("flags : fpu not_amx_bf16\nmodel name : amx_bf16\n", ("float32", "the processor has no bfloat16")),
        ("Features : fp asimd\n", ("float32", "the processor has no bfloat16")),
        ("", ("float32", "the processor has no bfloat16")),
    ],
)
def test_the_precision_depends_on_the_processors_flags(cpuinfo: str, expected: tuple[str, str]) -> None:
    assert hardware.of_processor(cpuinfo) == expected


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((9, 0), "bfloat16"), ((8, 0), "bfloat16"), ((7, 5), "float16"), ((7, 0), "float16"), ((6, 1), "float32"),
     ((0, 0), "float32")],
)  # fmt: skip
def test_the_precision_depends_on_the_gpus_compute_capability(capability: tuple[int, int], expected: str) -> None:
    assert hardware.of_gpu(capability)[0] == expected


def test_the_weakest_gpu_decides_and_takes_precedence_over_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "gpus", lambda: [(9, 0), (6, 1)])
    assert hardware.native.__wrapped__() == ("float32", "the GPU's compute capability is 6.1")


@pytest.mark.parametrize("found", ["float32", "bfloat16", "float16"])
def test_auto_selects_the_native_precision_of_the_hardware(found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "native", lambda depthwise: (found, "so"))
    assert hardware.precision("auto") == found
    for chosen in ("float32", "bfloat16", "float16"):
        assert hardware.precision(chosen) == chosen


@pytest.mark.parametrize(("gpus", "expected"), [([], "float32"), ([(8, 0)], "bfloat16")])
def test_depthwise_convolutions_stay_in_float32_on_a_processor(
    gpus: list[tuple[int, int]], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "gpus", lambda: gpus)
    assert hardware.native.__wrapped__(depthwise=True)[0] == expected


def test_a_machine_without_gpus_starts_no_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hardware, "Path", lambda name: tmp_path / "absent")
    monkeypatch.setattr(hardware.subprocess, "run", lambda *_, **__: pytest.fail("started a process"))
    assert hardware.gpus() == []


def test_the_free_memory_is_part_of_the_machine() -> None:
    assert 50 < hardware.free_memory_mb() < 2**27


def test_the_processor_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("vendor_id\t: x\nmodel name\t: Fast: CPU\n\nmodel name\t: Other\n")
    monkeypatch.setattr(hardware, "Path", lambda name: tmp_path / "cpuinfo")
    assert hardware.processor() == "Fast: CPU"
    (tmp_path / "cpuinfo").unlink()
    assert hardware.processor()
