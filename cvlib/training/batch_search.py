"""Search for the largest batch that fits in memory, for `data.batch_size=auto`.

A process of its own trains two steps with batches of doubling size, so that running out of memory ends only this
process. On a GPU, the search ends when a step runs out of memory. In the memory of the machine, where the system would
kill processes or swap, it ends before a batch that would need more than 60 % of the free memory. The batch never
exceeds the training split.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from cvlib.config.schema import AUTO, Config, as_mapping
from cvlib.runs.record import Record
from cvlib.runtime import hardware
from cvlib.runtime.errors import INTERRUPTED, MISTAKE, RunFailed, UserError
from cvlib.training import data_parallel

SHARE = 0.6  # of the free memory of the machine
_LARGEST = 2**20
_COMMAND = "from cvlib import experiment; experiment.try_batch_sizes()"


def replace_auto(config: Config, record: Record) -> Config:
    """Return the config with the batch size that a search finds, if it is `auto`; record what was found.

    A resumed run takes the recorded size, without another search. Raises `RunFailed` if not even one image for each
    device fits.
    """
    if config.data.batch_size != AUTO:
        return config
    found, earlier = record.summary.get("batch_size_search"), ", as found when this run began"
    if found is None:
        _refuse_used_gpu()
        record.say("data.batch_size=auto: training steps with growing batches, in a process of its own …")
        found, earlier = search(config), ""
        record.update(batch_size_search=found)
    record.say(f"data.batch_size=auto: {found['batch_size']}, because {found['reason']}{earlier}")
    return with_batch_size(config, found["batch_size"])


def _refuse_used_gpu() -> None:
    """Raise `UserError` if this process may hold the memory of the GPU, so that a new process finds none."""
    if "keras" in sys.modules and hardware.gpus():
        raise UserError("data.batch_size=auto: this process may already use the GPU: start the run in a new process, "
                        "or set a number")  # fmt: skip


def with_batch_size(config: Config, size: int) -> Config:
    """Return the config with another batch size."""
    return dataclasses.replace(config, data=dataclasses.replace(config.data, batch_size=size))


def search(config: Config) -> dict[str, Any]:
    """Return the largest `batch_size` that fits, the `reason` why no larger one does, and the `peak_mb` of each size.

    The sizes start near the model's recommended one, and double; if that doesn't fit, they start with one image for
    each device.
    """
    devices = data_parallel.count(config)
    first = devices * math.ceil(config.model.suited.batch_size / devices)
    peaks, reason = _tried(config, _doubled(first, _LARGEST))
    if not peaks and first > devices:
        peaks, smaller = _tried(config, _doubled(devices, first - 1))
        reason = smaller or reason
    if not peaks:
        raise RunFailed(f"data.batch_size=auto: no batch fits, because {reason}: try a smaller data.image_size or "
                        "model, or trainer.precision=bfloat16")  # fmt: skip
    return {"batch_size": max(peaks), "reason": reason, "peak_mb": {str(size): peak for size, peak in peaks.items()}}


def _doubled(first: int, last: int) -> list[int]:
    sizes = []
    while first <= last:
        sizes.append(first)
        first *= 2
    return sizes


def _tried(config: Config, sizes: list[int]) -> tuple[dict[int, float], str]:
    """Try sizes in a new process until one doesn't fit.

    Returns the peak of the memory in MiB of each size that fits, and why the next one doesn't; "" if all fit.
    """
    reader, writer = os.pipe()
    request = {"config": as_mapping(config), "sizes": sizes, "limit_mb": SHARE * hardware.free_memory_mb(),
               "pipe": writer}  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    peaks: dict[int, float] = {}
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen([sys.executable, "-c", _COMMAND], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                   stderr=errors, pass_fds=[writer], text=True, env=environment)  # fmt: skip
        os.close(writer)
        try:
            _send(process, request)
            for line in _lines(reader):
                if "reason" in line:
                    return peaks, line["reason"]
                peaks[line["size"]] = line["peak_mb"]
            code = process.wait()
        finally:
            process.kill()
            process.wait()
        errors.seek(0)
        text = errors.read().split("\n")
    return peaks, _reason(code, [line for line in text if line.strip()], sizes[len(peaks) :])


def _send(process: subprocess.Popen[str], request: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(request))
    process.stdin.close()


def _reason(code: int, errors: list[str], left: list[int]) -> str:
    """Return why a process with this exit code ended before the sizes that are `left`; raise if not for memory."""
    if not left:
        return ""
    if code < 0:
        return f"{left[0]} was killed by {signal.Signals(-code).name} (out of memory?)"
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    last = errors[-1] if errors else f"exit code {code}"
    if code == MISTAKE:
        raise UserError(last.removeprefix("error: "))
    raise RunFailed(f"data.batch_size=auto: training steps with a batch of {left[0]} fail: {last}")


def _lines(reader: int) -> Iterator[dict[str, Any]]:
    with open(reader, encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
