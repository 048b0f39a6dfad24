"""Find the precision in which this machine computes natively, for `trainer.precision=auto`."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from cvlib.runtime import backend

_BFLOAT16 = ("amx_bf16", "avx512_bf16")  # flags of x86 processors, the faster first
_CAPABILITIES = """
import json
import tensorflow as tf
known = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
print(json.dumps([details.get("compute_capability", (0, 0)) for details in known]))
"""
_CAPABILITIES_OF_JAX = """
import json
import os
os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
import jax
print(json.dumps([list(map(int, gpu.compute_capability.split("."))) for gpu in jax.devices("gpu")]))
"""

_PLATFORMS = """
import json
import jax
print(json.dumps([device.platform for device in jax.local_devices()]))
"""


def precision(asked: str, depthwise: bool = False) -> str:
    """Return the precision to compute in: `asked`, or the native precision if `asked` is auto."""
    return native(depthwise)[0] if asked == "auto" else asked


@functools.cache
def native(depthwise: bool = False) -> tuple[str, str]:
    """Return the precision in which the GPU, or else the processor, multiplies natively, and the reason as text.

    `depthwise`: whether the network consists of depthwise convolutions, which processors compute faster in float32.
    """
    if capabilities := gpus():
        return of_gpu(min(capabilities))
    if depthwise:
        return "float32", "depthwise convolutions are slower in bfloat16 on a processor"
    cpuinfo = Path("/proc/cpuinfo")
    return of_processor(cpuinfo.read_text() if cpuinfo.exists() else "")


def of_gpu(capability: tuple[int, int]) -> tuple[str, str]:
    """Return bfloat16 for NVIDIA Ampere (8.0) and later, and float16 for Volta and Turing, which lack it."""
    chosen = "bfloat16" if capability >= (8, 0) else "float16" if capability >= (7, 0) else "float32"
    return chosen, f"the GPU's compute capability is {capability[0]}.{capability[1]}"


def of_processor(cpuinfo: str) -> tuple[str, str]:
    """Return bfloat16 if the first processor in Linux's /proc/cpuinfo has instructions to multiply it, else float32."""
    flags = next((line.split() for line in cpuinfo.splitlines() if line.startswith("flags")), [])
    found = [flag for flag in _BFLOAT16 if flag in flags]
    return ("bfloat16", f"the processor has {found[0]}") if found else ("float32", "the processor has no bfloat16")


def gpus() -> list[tuple[int, int]]:
    """Return the compute capabilities of the GPUs, from a separate process because this one may fork later."""
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/dxg").exists():  # the latter under WSL
        return []
    code = _CAPABILITIES_OF_JAX if backend.name() == "jax" else _CAPABILITIES
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return [(major, minor) for major, minor in json.loads(result.stdout.splitlines()[-1])] if result.stdout else []


@functools.cache
def jax_devices() -> list[str]:
    """Return the platform of each of JAX's devices: "cpu", "gpu", ….

    A separate process counts them, because counting would start JAX here, before a fork or before its settings.
    """
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    result = subprocess.run([sys.executable, "-c", _PLATFORMS], capture_output=True, text=True, check=True,
                            env=environment)  # fmt: skip
    found: list[str] = json.loads(result.stdout.splitlines()[-1])
    return found


def processor() -> str:
    """Return the name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def usable_cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory_mb() -> float:
    """Return the memory that new processes can use, in MiB: that of the machine, or of a container's limit."""
    meminfo, limits = Path("/proc/meminfo"), []
    if meminfo.exists():
        values = dict(line.split(":") for line in meminfo.read_text().splitlines())
        limits.append(int(values["MemAvailable"].split()[0]) / 2**10)
    else:
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20 / 2)  # macOS: half of it
    group = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError, KeyError):  # no limit ("max"), or another version of control groups
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        used = int((group / "memory.current").read_text()) - int(stat["inactive_file"])  # without the cache of files
        limits.append((int((group / "memory.max").read_text()) - used) / 2**20)
    return max(0.0, min(limits))
