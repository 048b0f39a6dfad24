"""Measure contenders in turns, and make the rows of the table.

Each contender runs in a separate process, so that its thread pools, precision and memory don't affect the others. In
every round, each contender has one turn, so that other load on the machine affects all of them equally. A ratio
compares ours with theirs in the same round. The table shows the median over the rounds, by wall-clock time and by
processor time. Other programs hardly change the processor time. "load" is the number of processes that wanted a core.
If it exceeds the number of cores, wall-clock times are unreliable. PyTorch's threads use busy waiting, which is slow on
a busy machine. Therefore, PyTorch and everything compared with it run on one core. A bare `fit` can wait for seconds
until its data threads end, which is a large part of such short epochs. Here, too, the processor time is more reliable.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("tensorflow", "keras", "numpy", "torch", "torchvision", "timm", "segmentation-models-pytorch",
            "ultralytics", "pycocotools", "faster-coco-eval")  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """The cost of one turn."""

    units: float  # number of images, epochs, …
    seconds: float
    processor: float  # seconds of processor time

    @property
    def rate(self) -> float:
        return self.units / self.seconds


Turns = list[dict[str, Cost]]  # for each round: costs by label


@dataclass(frozen=True)
class Row:
    """One comparison. For every unit, a ratio above 1 means that cvlib is faster."""

    what: str
    unit: str
    ours: float
    against: str
    theirs: float | None = None
    ratio: float | None = None
    by_processor: float | None = None
    target: str = ""
    note: str = ""
    rounds: int = 1
    load: float = 0.0  # load of the machine at the end
    date: str = ""


def timed(function: Callable[[], Any], units: float = 1) -> Cost:
    """Time one call of `function`; processor time includes all threads of this process."""
    used, started = sum(os.times()[:2]), time.perf_counter()
    function()
    return Cost(units, time.perf_counter() - started, sum(os.times()[:2]) - used)


def timed_command(command: list[str], folder: Path, **environment: str) -> Cost:
    """Run and time a command; processor time includes all its processes."""

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before, started = used(), time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, **environment},
                          check=False)  # fmt: skip
    cost = Cost(1, time.perf_counter() - started, used() - before)
    if done.returncode not in (0, 2):
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
    return cost


def speed_of(run: Path) -> float:
    """Return the median of the images/s that the epochs of a run report, without the first one, which compiles."""
    log = (run / "train.log").read_text(encoding="utf-8")
    rates = [float(found.replace(",", "")) for found in re.findall(r"([\d,]+) images/s", log)]
    return statistics.median(rates[1:])


def in_turns(contenders: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]], rounds: int,
             one_core: bool = False) -> dict[str, Turns]:  # fmt: skip
    """Return the turns of each contender.

    Each contender's function is called once in its own process and returns a function that does one turn. The first
    turn is a warm-up and isn't counted. With `one_core`, which comparisons with PyTorch use, each process
    runs on a single core.
    """
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for name, (prepare, arguments) in contenders.items():
        pipes[name], remote_end = context.Pipe()
        process = context.Process(target=_serve, args=(remote_end, prepare, arguments, one_core), daemon=True)
        process.start()
        remote_end.close()
        processes.append(process)
    turns: dict[str, Turns] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, pipe in pipes.items():
            pipe.send("turn")
            costs = pipe.recv()
            if number:
                turns[name].append(costs)
                rates = ", ".join(f"{label} {cost.rate:.4g}/s" for label, cost in costs.items())
                print(f"  {name}, round {number}: {rates}", flush=True)
    for pipe, process in zip(pipes.values(), processes, strict=True):
        pipe.send("end")
        process.join()
    return turns


def _serve(pipe: Any, prepare: Callable[..., Any], arguments: tuple[Any, ...], one_core: bool) -> None:
    if one_core:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  (open until the process ends)
    turn = prepare(*arguments)
    while pipe.recv() == "turn":
        pipe.send(turn())


def faster(what: str, unit: str, ours: Turns, theirs: Turns, label: str, against: str, **more: Any) -> Row:
    """Return a row that compares rates: the ratio is our units per second to theirs."""
    pairs = [(one[label], other[label]) for one, other in zip(ours, theirs, strict=True)]
    return Row(
        what, unit, statistics.median(one.rate for one, _ in pairs), against,
        statistics.median(other.rate for _, other in pairs),
        statistics.median(one.rate / other.rate for one, other in pairs),
        statistics.median((one.units / one.processor) / (other.units / other.processor) for one, other in pairs),
        rounds=len(pairs), load=os.getloadavg()[0], date=time.strftime("%Y-%m-%d"), **more,
    )  # fmt: skip


def sooner(what: str, ours: list[Cost], theirs: list[Cost], against: str, **more: Any) -> Row:
    """Return a row that compares durations: the ratio is their seconds to ours."""
    pairs = list(zip(ours, theirs, strict=True))
    return Row(
        what, "s", statistics.median(one.seconds for one in ours), against,
        statistics.median(other.seconds for other in theirs),
        statistics.median(other.seconds / one.seconds for one, other in pairs),
        statistics.median(other.processor / one.processor for one, other in pairs),
        rounds=len(pairs), load=os.getloadavg()[0], date=time.strftime("%Y-%m-%d"), **more,
    )  # fmt: skip


def alone(what: str, costs: list[Cost], **more: Any) -> Row:
    """Return a row with our seconds, without a comparison."""
    return Row(what, "s", statistics.median(cost.seconds for cost in costs), "", rounds=len(costs),
               load=os.getloadavg()[0], date=time.strftime("%Y-%m-%d"), **more)  # fmt: skip


def left_out(what: str, why: str) -> Row:
    """Return a row for a comparison that isn't possible here."""
    return Row(what, "", 0, "", note=f"left out: {why}", rounds=0, date=time.strftime("%Y-%m-%d"))


def installed(*packages: str) -> str:
    """Return the first package that isn't installed, or an empty string."""
    for package in packages:
        try:
            metadata.version(package)
        except metadata.PackageNotFoundError:
            return package
    return ""


def machine() -> dict[str, Any]:
    """Describe the machine and the versions of packages."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": model, "cores": len(os.sched_getaffinity(0)), "memory_gb": round(pages / 2**30),
        "bfloat16": [flag for flag in ("avx512_bf16", "amx_bf16") if flag in flags],
        "system": f"{platform.system()} {platform.machine()}", "python": platform.python_version(),
        **{package: metadata.version(package) for package in PACKAGES if not installed(package)},
    }  # fmt: skip


def as_json(rows: list[Row]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""

    def cell(value: float | None, form: str = ".3g") -> str:
        return "" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:{form}}"

    lines = ["| what | unit | ours | against | theirs | ratio | by processor time | target | rounds | load |",
             "|---|---|---:|---|---:|---:|---:|---|---:|---:|"]  # fmt: skip
    for row in rows:
        cells = [row.what, row.unit, cell(row.ours) if row.rounds else "", row.against, cell(row.theirs),
                 cell(row.ratio, ".2f"), cell(row.by_processor, ".2f"), row.target, str(row.rounds or ""),
                 f"{row.load:.1f}" if row.rounds else ""]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    notes = [f"- {row.what}{f', against {row.against}' if row.against else ''}: {row.note}" for row in rows if row.note]
    return "\n".join([*lines, "", *notes])
