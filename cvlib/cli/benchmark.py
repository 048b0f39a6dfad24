"""`cvlib benchmark RUN…`: accuracy, speed, size and memory of a run's network in every format."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvlib.cli.output import format_of, refuse_output, say, write_output
from cvlib.export.forms import FORMS
from cvlib.runtime import backend
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    from cvlib.benchmark.benchmark_run import Plan
    from cvlib.models.restore import SavedRun
    from cvlib.runs.benchmark import Benchmark

_OUTPUT_FORMATS = ("table", "md", "csv", "json")
_MAX_BATCH, _MAX_THREADS = 4096, 1024


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "benchmark", help="measure accuracy, latency, throughput, size and memory of a run in every format",
        description="Measures the main metric, the latency for one image, the throughput, the size on disk and the "
        "memory of a finished run's network in Keras and in every export format, on the processor. Exports that the "
        "run doesn't have are written to a temporary folder. Writes benchmark.json into the run's folder, which "
        "cvlib compare shows, too.",
    )  # fmt: skip
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a finished run's folder")
    parser.add_argument("--format", metavar="FORMAT,…", help=f"some of {', '.join(FORMS)} (default: all)")
    parser.add_argument("--split", choices=("train", "val", "test"), default="test",
                        help="split for the metric (default: test)")  # fmt: skip
    parser.add_argument("--batch", type=int, default=32, metavar="N",
                        help="images per batch for the throughput (default: 32)")  # fmt: skip
    parser.add_argument("--threads", type=int, metavar="N", help="threads of each format's runtime (default: one for "
                        "each core)")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FILE", help="write to this file instead of the screen")
    parser.add_argument("--output-format", choices=_OUTPUT_FORMATS,
                        help="(default: by --output's extension, else table)")  # fmt: skip
    parser.set_defaults(command=run)


def run(chosen: argparse.Namespace) -> int:
    """Measure the runs, write each run's benchmark.json, and print or write the table; return 0."""
    from cvlib.runtime.hardware import usable_cores

    formats = _formats(chosen.format)
    threads = usable_cores() if chosen.threads is None else chosen.threads
    _refuse_beyond("--batch", chosen.batch, _MAX_BATCH)
    _refuse_beyond("--threads", threads, _MAX_THREADS)
    form = format_of(chosen.output, chosen.output_format, _OUTPUT_FORMATS)
    refuse_output(chosen.output)
    opened = [_finished(folder) for folder in chosen.runs]
    backend.use_tensorflow("cvlib benchmark")
    from cvlib.training.devices import import_quietly

    import_quietly()
    from cvlib.benchmark.benchmark_run import Plan
    from cvlib.benchmark.table import Benchmarked, text

    plan = Plan(formats, chosen.split, chosen.batch, threads)
    results = [Benchmarked(one.record, _benchmark(one, plan)) for one in opened]
    write_output(text(results, form), chosen.output)
    return 0


def _benchmark(opened: SavedRun, plan: Plan) -> Benchmark:
    """Measure a run and save the result in its folder, if that is possible."""
    from cvlib.benchmark.benchmark_run import benchmark
    from cvlib.runs.benchmark import FILE

    for note in opened.notes:
        say(note)
    found = benchmark(opened, plan, say)
    try:
        found.write(opened.folder)
    except OSError as error:
        say(f"{opened.folder / FILE}: not saved ({error.strerror})")
    return found


def _formats(given: str | None) -> list[str]:
    if given is None:
        return list(FORMS)
    names = [name.strip() for name in given.split(",") if name.strip()]
    unknown = [name for name in names if name not in FORMS]
    if unknown or not names:
        raise UserError(f"--format {given}: expected some of {', '.join(FORMS)}, separated by commas")
    return list(dict.fromkeys(names))


def _refuse_beyond(option: str, value: int, highest: int) -> None:
    if not 1 <= value <= highest:
        raise UserError(f"{option} {value}: expected a number from 1 to {highest}")


def _finished(folder: Path) -> SavedRun:
    from cvlib.models import restore

    opened = restore.open_run(folder)
    if opened.record.status != "completed":
        raise UserError(f"{folder}: status {opened.record.status}: cvlib benchmark needs a completed run")
    return opened
