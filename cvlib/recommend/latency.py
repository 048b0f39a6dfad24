"""How long the candidates' networks take for one image, with `cvlib benchmark`, on validation images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cvlib.recommend.result import Result
from cvlib.recommend.session import Session
from cvlib.runtime import isolation
from cvlib.runtime.errors import RunFailed, UserError
from cvlib.runtime.hardware import usable_cores

_FORM, _BATCH = "keras", 16
_FIRST = 25.0  # seconds that a measurement is expected to take, until one is measured


def measure(session: Session, result: Result) -> None:
    """Measure one network of each candidate, the finalists first, as far as the time allows."""
    needed = _FIRST
    for name, (_, runs) in result.last_runs.items():
        done = [one for one in runs if one.value is not None]
        if not done or session.seconds - session.journal.elapsed < needed:
            continue
        began = session.journal.elapsed
        error = _measured(done[0].folder) if done[0].run.benchmark is None else None
        if error:
            session.say(f"the latency of {name} was not measured: {error}")
        needed = max(session.journal.elapsed - began, needed if error else 1.0)


def _measured(folder: Path) -> str | None:
    """Write the run's benchmark.json; return why that wasn't possible."""
    from cvlib.training.devices import import_frameworks

    try:
        found: str | None = isolation.call(_in_process, folder, quiet=True, prepare=import_frameworks)
        return found
    except isolation.Killed as error:
        return str(error)


def _in_process(folder: Path) -> str | None:
    from cvlib.benchmark.benchmark_run import Plan, benchmark
    from cvlib.models import restore

    def say(line: str) -> Any:
        """Leave out the progress."""

    try:
        found = benchmark(restore.open_run(folder), Plan((_FORM,), "val", _BATCH, usable_cores()), say)
        found.write(folder)
    except (UserError, RunFailed, OSError) as error:
        return str(error)
    return None
