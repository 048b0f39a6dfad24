"""A self-contained page about one run, made from the files in its folder. Needs neither Keras nor the run's data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from cvlib.report import confusion, curves, parts, robustness
from cvlib.report.headline import headline
from cvlib.runs.run import Run, read_run
from cvlib.runtime.clock import duration
from cvlib.runtime.files import write_atomically
from cvlib.viz import html_table, page

NAME = "report.html"
_UNFINISHED = {
    "running": "The run is still in progress",
    "interrupted": "The run was interrupted",
    "diverged": "The run stopped because its loss was not finite",
    "failed": "The run failed",
    "pruned": "The search stopped the run",
}
_TIMES = ("setup", "train", "evaluate")
_MOST_LISTED = 30  # names in a sentence


def write(folder: Path) -> Path:
    """Write the page of the run in `folder` to its report.html; raise `UserError` if there is no readable run."""
    path = folder / NAME
    write_atomically(path, html(read_run(folder)))
    return path


def html(run: Run) -> str:
    """Return the page about a run, finished or not."""
    title = f"{run.model}, {run.mode}, {run.data}"
    return page.whole(f"{run.summary.get('name') or run.name}: {title}", [f"<h1>{escape(title)}</h1>", *_body(run)])


def _body(run: Run) -> Iterator[str]:
    yield f'<p class="soft">{escape(str(run.summary.get("name") or run.name))} · {escape(_when(run))}</p>'
    yield _warning(run)
    yield headline(run)
    yield _metrics(run)
    yield "<section><h2>Settings</h2>" + _settings(run) + "</section>"
    yield curves.section(run)
    yield _results(run)
    yield robustness.section(run)
    yield _data(run)
    yield _frozen(run)
    yield _environment(run)


def _when(run: Run) -> str:
    return f"seed {run.seed}, started {str(run.summary.get('started')).replace('T', ' ')}"


def _warning(run: Run) -> str:
    if run.status == "completed":
        return ""
    done, planned = run.summary.get("epochs", 0), run.settings.get("trainer.epochs", "?")
    lines = [f"{_UNFINISHED.get(run.status, run.status)} after {done} of {planned} epochs."]
    if done:
        lines.append("The figures are those of the best epoch so far.")
    if run.summary.get("error"):
        lines.append(str(run.summary["error"]))
    return '<div class="warning">' + "".join(f"<p>{escape(line)}</p>" for line in lines) + "</div>"


def _metrics(run: Run) -> str:
    """Return the table of the task's metrics on validation and test."""
    found = run.summary.get("metrics") or {}
    names = [spec.name for spec in run.metric_specs] or list(dict.fromkeys(name.split("/", 1)[-1] for name in found))
    splits = {"validation": "val", "test": "test"}
    rows = [{"metric": name} | {title: _number(run.metric(f"{split}/{name}")) for title, split in splits.items()}
            for name in names if any(f"{split}/{name}" in found for split in splits.values())]  # fmt: skip
    return f"<section><h2>Metrics</h2>{html_table.table(rows)}</section>" if rows else ""


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _settings(run: Run) -> str:
    """Return the overrides that started the run, and the command that repeats it."""
    given = parts.overrides(run.folder)
    if given is None:
        return "<p>The run was started from Python without a record of its overrides; config.yaml has all settings.</p>"
    rows = [{"key": key, "value": value} for key, _, value in (one.partition("=") for one in given)]
    said = html_table.table(rows) if rows else "<p>All settings have their default values.</p>"
    return (f"{said}<p>All other settings have their default values; config.yaml lists them. "
            f"This command repeats the run:</p><pre>{escape(parts.command(given))}</pre>")  # fmt: skip


def _results(run: Run) -> str:
    """Return the pictures and tables of the results, on the test split unless their titles say otherwise."""
    shown = parts.pictures(run.folder)
    matrix = confusion.table(run.folder)
    if matrix:
        shown.pop("confusion_matrix", None)
    figures, tables = parts.figures(shown.values()), parts.tables_html(run.folder)
    if not (matrix or figures or tables):
        return ""
    return f'<section><h2>Results</h2>{matrix}{tables}<div class="figures">{figures}</div></section>'


def _data(run: Run) -> str:
    summary = run.summary
    samples = summary.get("samples") or {}
    lines = [f"{split}: {count} images" for split, count in samples.items()]
    lines += [str(line) for line in [summary.get("read_as"), *(summary.get("notes") or [])] if line]
    skipped = summary.get("skipped") or []
    if skipped:
        lines.append(f"{len(skipped)} files were not read: {_listed(skipped)}")
    if classes := summary.get("classes"):
        lines.append(f"{len(classes)} classes: {_listed(classes)}")
    if not lines:
        return ""
    return "<section><h2>Data</h2><ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul></section>"


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values[:_MOST_LISTED])) + " …" * (len(values) > _MOST_LISTED)


def _frozen(run: Run) -> str:
    """Return what the last phase trained, block by block."""
    rows = [{str(key): str(value) for key, value in row.items()} for row in run.summary.get("freeze_table") or []]
    if not rows:
        return ""
    weights = run.summary.get("weights") or {}
    source = weights.get("source")
    start = f"The base starts from {source}." if source else "All weights start from random values."
    return (f"<section><h2>What was trained</h2><p>{escape(start)} The table shows the last phase, with each block's "
            f"highest learning rate.</p>{html_table.table(rows)}</section>")  # fmt: skip


def _environment(run: Run) -> str:
    summary, timing, git = run.summary, run.summary.get("timing") or {}, run.summary.get("git") or {}
    total, trained, memory = (run.number(*path) for path in (
        ("parameters", "total"), ("parameters", "trainable"), ("peak_memory_mb",)))  # fmt: skip
    rows = {
        "parameters": f"{total:,.0f}, {trained or 0:,.0f} trained" if total else None,
        "time": ", ".join(f"{name} {duration(timing[name])}" for name in _TIMES if name in timing),
        "images per second": timing.get("images_per_second"),
        "peak memory": f"{memory:,.0f} MB" if memory else None,
        "precision": summary.get("precision"),
        "versions": ", ".join(f"{name} {version}" for name, version in (summary.get("versions") or {}).items()),
        "commit": f"{git.get('commit')}{' with changes' * bool(git.get('changed'))}" if git.get("commit") else None,
        "data fingerprint": summary.get("data_fingerprint"),
    }
    shown = [{"": key, "value": str(value)} for key, value in rows.items() if value]
    return f"<section><h2>Environment</h2>{html_table.table(shown)}</section>"
