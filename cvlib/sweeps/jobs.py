"""A sweep's jobs: which are done, the progress, and the table at the end. Imports neither Hydra nor TensorFlow."""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cvlib.runs import record
from cvlib.runs.metric_specs import headline
from cvlib.runtime.clock import about
from cvlib.runtime.errors import RunFailed, UserError, complain
from cvlib.runtime.files import csv_of, write_atomically
from cvlib.runtime.live import print_statuses

PLAN = "sweep.json"
_FINISHED = ("completed", "failed", "diverged", "pruned")  # statuses of runs that a sweep doesn't run again by default
_FAILED = ("failed", "diverged")


@dataclass(frozen=True)
class Job:
    """One combination of a sweep, with the folder of its run."""

    label: str  # the overrides that not all jobs share
    overrides: tuple[str, ...]
    folder: Path
    mistake: str | None = None  # why its config is invalid
    identity: str | None = None  # of its config


@dataclass(frozen=True)
class Row:
    """The result of one job; `folder` is the name of its folder in the sweep's folder."""

    job: str
    status: str
    metric: str | None
    value: float | None
    seconds: float | None
    error: str | None
    folder: str


def labels(jobs: list[tuple[str, ...]]) -> list[str]:
    """Return one line for each job: the overrides that not all jobs share."""
    jobs = [tuple(re.sub(r"\\([{}])", r"\1", override) for override in job) for job in jobs]  # as the user wrote them
    common = set.intersection(*map(set, jobs)) if len(jobs) > 1 else set()
    return [" ".join(override for override in job if override not in common) or " ".join(job) for job in jobs]


def row_of(job: Job, metric: str | None = None) -> Row:
    """Return the job's result as recorded in its folder, with `metric` or else the task's usual metric."""
    try:
        summary = record.read_summary(job.folder)
    except UserError as error:
        return Row(job.label, "failed", None, None, None, str(error), job.folder.name)
    if summary is None:
        status = "failed" if job.mistake else "pending"
        return Row(job.label, status, None, None, None, job.mistake, job.folder.name)
    metric = metric or headline(summary)
    value = (summary.get("metrics") or {}).get(metric)
    seconds = round(sum((summary.get("timing") or {}).get(part, 0.0) for part in ("setup", "train", "evaluate")), 1)
    status, mistake = str(summary.get("status")), job.mistake
    if status == "completed" and job.identity and summary.get("config_hash") == job.identity:
        mistake = None  # a process of another sweep was writing the run and has completed it
    if status == "completed" and mistake:  # the folder holds the run of another job
        return Row(job.label, "failed", None, None, None, mistake, job.folder.name)
    return Row(job.label, status, metric, value, seconds, summary.get("error") or mistake, job.folder.name)


def to_run(jobs: list[Job], rerun_failed: bool) -> list[Job]:
    """Return the jobs to run: not completed, not running elsewhere and, unless `rerun_failed`, not failed before."""
    done = ("completed", "running") if rerun_failed else (*_FINISHED, "running")
    return [job for job in jobs if not job.mistake and (row_of(job).status not in done or _of_another_config(job))]


def _of_another_config(job: Job) -> bool:
    """Return whether the folder holds a run of another config; running the job then fails and names the difference."""
    try:
        summary = record.read_summary(job.folder) or {}
    except UserError:  # the table lists it as a failed job
        return False
    return None not in (job.identity, found := summary.get("config_hash")) and found != job.identity


def settle(jobs: list[Job], seconds: float = 15) -> None:
    """Wait at most `seconds` until the processes of a stopped sweep have recorded that they stopped."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(row_of(job).status == "running" for job in jobs):
        time.sleep(0.2)


def announce(jobs: list[Job], running: list[Job], rerun_failed: bool) -> str:
    """Return a line with the number of jobs, and why some are not run."""
    statuses = [row_of(job).status for job in jobs if not job.mistake]
    counts = {status: statuses.count(status) for status in dict.fromkeys(statuses)}
    parts = [f"{len(jobs)} jobs"]
    if rejected := len(jobs) - len(statuses):
        parts.append(f"{rejected} rejected as invalid")
    if done := counts.get("completed"):
        parts.append(f"{done} already completed")
    if (failed := sum(counts.get(status, 0) for status in _FAILED)) and not rerun_failed:
        parts.append(f"{failed} failed before (hydra.sweeper.rerun_failed=true runs them again)")
    if elsewhere := counts.get("running"):
        parts.append(f"{elsewhere} running in another process")
    return ", ".join(parts) + f"; {len(running)} to run"


def write_plan(folder: Path, jobs: list[Job], running: list[Job]) -> None:
    """Write `sweep.json` before the first job."""
    names = {job.folder for job in running}
    rows = [asdict(row_of(job)) | {"to_run": job.folder in names} for job in jobs]
    content = {"status": "running", "began": time.time(), "jobs": rows}
    write_atomically(folder / PLAN, (json.dumps(content, indent=2) + "\n").encode())


def progress(sweep_folder: Path, folder: Path) -> str:
    """Return e.g. `job 3 of 12: model=cnn seed=1 (2 of 12 done, about 4 min left …)`; works in any process."""
    try:
        plan = json.loads((sweep_folder / PLAN).read_text(encoding="utf-8"))
        places = [sweep_folder / job["folder"] for job in plan["jobs"]]
        title, began = _title(plan, places.index(folder)), plan["began"]
        waiting = [place for place, job in zip(places, plan["jobs"], strict=True) if job["to_run"]]
    except (OSError, ValueError, KeyError):  # also if the sweep has ended, and sweep.json holds its results
        return folder.name
    statuses = [(record.read_summary(place) or {}).get("status") for place in waiting]
    done = sum(status in _FINISHED for status in statuses)
    failed = sum(status in _FAILED for status in statuses)
    left = f", {failed} of them failed" if failed else ""
    if done:
        seconds = (time.time() - began) / done * (len(waiting) - done)
        left += f", about {about(seconds)} left if the others take as long"
    scheduled = " scheduled jobs" * (len(waiting) < len(places))
    return f"{title} ({done} of {len(waiting)}{scheduled} done{left})"


def states(sweep_folder: Path, folder: Path) -> list[str]:
    """Return a table with the status of every job; the job in `folder` is about to run. Works in any process."""
    try:
        plan = json.loads((sweep_folder / PLAN).read_text(encoding="utf-8"))
        found = [row_of(Job(job["job"], (), sweep_folder / job["folder"], job["error"])) for job in plan["jobs"]]
    except (OSError, ValueError, KeyError):
        return []
    return table([replace(row, status="running") if row.folder == folder.name else row for row in found])


def title(sweep_folder: Path, folder: Path) -> str:
    """Return e.g. `job 3 of 12: model=cnn seed=1`; works in any process."""
    try:
        plan = json.loads((sweep_folder / PLAN).read_text(encoding="utf-8"))
        return _title(plan, [sweep_folder / job["folder"] for job in plan["jobs"]].index(folder))
    except (OSError, ValueError, KeyError):
        return folder.name


def _title(plan: dict[str, Any], index: int) -> str:
    return f"job {index + 1} of {len(plan['jobs'])}: {plan['jobs'][index]['job']}"


def write_results(folder: Path, rows: list[Row], status: str) -> None:
    """Write `sweep.json` with a row per job, and `sweep.csv`, which also has the folder's runs of earlier sweeps."""
    content = {"status": status, "jobs": [asdict(row) for row in rows]}
    write_atomically(folder / PLAN, (json.dumps(content, indent=2) + "\n").encode())
    own = {row.folder for row in rows}
    others = sorted(path.parent for path in folder.glob("*/summary.json") if path.is_file())
    rows = rows + [row_of(Job(other.name, (), other)) for other in others if other.name not in own]
    write_atomically(folder / "sweep.csv", csv_of([asdict(row) for row in rows]))


def conclude(folder: Path, jobs: list[Job], errors: dict[Path, str], interrupted: bool = False) -> None:
    """Write the results, print the table and the comparison; raises `RunFailed` if a job isn't completed.

    `errors` holds errors that no run's folder records: those of invalid configs and of killed processes.
    """
    rows = [row_of(replace(job, mistake=errors.get(job.folder, job.mistake))) for job in jobs]
    done = sum(row.status == "completed" for row in rows)
    status = "completed" if done == len(rows) else "unfinished"
    if interrupted:
        status = "interrupted"
    elif done < len(rows) and all(row.status in _FINISHED for row in rows):
        status = "failed"
    write_results(folder, rows, status)
    print_statuses(["", *table(rows), "", f"{done} of {len(rows)} jobs completed; recorded in {folder}"])
    if interrupted:
        print("interrupted: the same command with the same hydra.sweep.dir resumes from here", flush=True)
        return
    _compare([folder / row.folder for row in rows if row.status == "completed"])
    incomplete = [row for row in rows if row.status != "completed"]
    for row in incomplete:
        complain(f"{row.job}: {row.error or row.status}")
    if incomplete and all(row.status == "running" for row in incomplete):
        raise RunFailed(f"{len(incomplete)} of {len(rows)} jobs are still running in another process: repeat the "
                        "command after it has ended")  # fmt: skip
    if incomplete:
        raise RunFailed(f"{len(incomplete)} of {len(rows)} jobs are not completed; repeat the command to resume "
                        "interrupted jobs; add hydra.sweeper.rerun_failed=true to run failed jobs again")  # fmt: skip


def _compare(folders: list[Path]) -> None:
    from cvlib.compare import compare

    if len(folders) > 1:
        print("\n" + compare(folders, lambda line: print(line, file=sys.stderr)), flush=True)


def table(rows: list[Row]) -> list[str]:
    """Return the lines of a table with one row per job."""
    from cvlib.viz.text_table import ruled

    metrics = {row.metric for row in rows if row.metric}
    title = metrics.pop() if len(metrics) == 1 else "metric"
    return ruled([
        {"job": row.job, "status": row.status, title: number(row.value, 4), "seconds": number(row.seconds, 1)}
        for row in rows
    ])  # fmt: skip


def number(value: float | None, digits: int) -> str:
    """Return the value with this number of decimals, or a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}"
