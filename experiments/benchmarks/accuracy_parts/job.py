"""`Job`: one training of one row, and the process that it runs in."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parents[1]
ROOT = BENCHMARKS.parents[1]
_WARM_UP = 300  # images that are predicted before the speed of predictions is measured


@dataclass(frozen=True)
class Job:
    """What a training process reads from its job file."""

    task: str  # detection | segmentation | classification
    row: str  # name in the table
    model: str  # the peer's name of the model
    imagenet: bool  # start from ImageNet weights
    overrides: list[str]  # of cvlib; empty for peers
    seed: int
    collection: Path  # file with images, labels and splits
    folder: Path  # for everything that the job writes
    epochs: int
    image_size: int  # pixels
    batch_size: int
    cores: int
    tiles: bool  # segmentation: crops at full resolution in place of resized images
    quick: bool

    @property
    def file(self) -> Path:
        """The job file."""
        return self.folder / "job.json"

    @property
    def result(self) -> Path:
        """The file with the training's seconds and parameters."""
        return self.folder / "result.json"

    @property
    def predictions(self) -> Path:
        """The peers' predictions for the test images: COCO results or class ids (JSON), or a folder of masks."""
        return self.folder / ("masks" if self.task == "segmentation" else "predictions.json")

    def write(self) -> None:
        """Write the job file into the job's folder."""
        self.folder.mkdir(parents=True)
        self.file.write_text(json.dumps(asdict(self), indent=1, default=str) + "\n")


def from_arguments() -> Job:
    """Return the job whose file is the only argument of this process."""
    job = Job(**json.loads(Path(sys.argv[1]).read_text()))
    return replace(job, collection=Path(job.collection), folder=Path(job.folder))


@dataclass(frozen=True)
class Usage:
    """What a process used."""

    seconds: float  # from start to end
    processor: float  # seconds of processor time, with its ended child processes
    peak_mib: float  # peak resident memory of its largest process


class Failed(Exception):
    """A process failed; the message has the end of its output."""


def run(command: list[str], log: Path, cores: int, path: list[Path], **environment: str) -> Usage:
    """Run a command, with its output in `log`, and return what it used.

    The number of threads is `cores`; the process inherits the cores of this process. `path` is prepended to PYTHONPATH.
    Raises `Failed` if the exit code isn't 0.
    """
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS",
                             "TF_NUM_INTRAOP_THREADS"), str(cores))  # fmt: skip
    # Waiting threads of OpenMP keep a core busy by default. If other programs need the cores, PyTorch takes several
    # times as long then; the processor time of its work is the same.
    threads["OMP_WAIT_POLICY"] = os.environ.get("OMP_WAIT_POLICY", "passive")
    found = os.environ.get("PYTHONPATH")
    places = os.pathsep.join([*map(str, path), *([found] if found else [])])
    started = time.perf_counter()
    with log.open("a") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                   env={**os.environ, **threads, "PYTHONPATH": places, **environment})  # fmt: skip
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise Failed(f"exit code {process.returncode}: {' '.join(command)}\n{end}\nall output: {log}")
    unit = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes there
    return Usage(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)


def images_per_second(images: int, predict: Callable[[], Any]) -> float:
    """Return how many images are predicted in a second, read from their files, after a warm-up.

    `predict` predicts all `images`.
    """
    for _ in range(math.ceil(_WARM_UP / images)):
        predict()
    started = time.perf_counter()
    predict()
    return images / (time.perf_counter() - started)


def write_result(job: Job, train_seconds: float, parameters: int, **more: Any) -> None:
    """Write the result of a row's training."""
    content = {"train_seconds": train_seconds, "parameters": parameters, **more}
    job.result.write_text(json.dumps(content, indent=1) + "\n")


def read(file: Path) -> dict[str, Any]:
    """Return the content of a JSON file."""
    content: dict[str, Any] = json.loads(file.read_text())
    return content
