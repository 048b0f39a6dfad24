"""Learning curves of one run, with the phases of training marked."""

from __future__ import annotations

from collections.abc import Sequence

from cvlib.compare.runs import epochs
from cvlib.runs.run import Run
from cvlib.viz import axes
from cvlib.viz.plots import Line, Panel, figure

_Row = dict[str, float]


def section(run: Run) -> str:
    """Return the curves of loss, main metric and learning rates; empty before the first epoch."""
    rows = [row for row in epochs(run) if "epoch" in row]
    if not rows:
        return ""
    metric = run.headline.split("/", 1)[1]
    pairs = {split: f"{split}/{{}}" for split in ("train", "val")}
    drawn = [_figure(name, rows, run, {split: key.format(name) for split, key in pairs.items()})
             for name in dict.fromkeys(["loss", metric])]  # fmt: skip
    drawn.append(_figure("learning rate", rows, run, _rates(rows)))
    note = _phases(run)
    return (f'<section><h2>Learning curves</h2>{"<p>" + note + "</p>" if note else ""}'
            f'<div class="figures">{"".join(drawn)}</div></section>')  # fmt: skip


def _rates(rows: Sequence[_Row]) -> dict[str, str]:
    """Return the columns of the learning rates: one, unless head and base differ."""
    differ = any(row.get("lr_head") != row.get("lr_backbone") for row in rows)
    return {"head": "lr_head", "base": "lr_backbone"} if differ else {"learning rate": "lr"}


def _figure(name: str, rows: Sequence[_Row], run: Run, keys: dict[str, str]) -> str:
    """Draw one column of metrics.csv for each key (title → column) over the epochs."""
    lines = [Line(title, [(row["epoch"], row[key]) for row in rows if key in row], colour=number)
             for number, (title, key) in enumerate(keys.items())]  # fmt: skip
    lines = [line for line in lines if line.points]
    values = [value for line in lines for _, value in line.points]
    if not values:
        return ""
    y = axes.metric(name, values)
    marks = [Line("phase starts", [], bars=[(first, y.low, y.high)]) for first in _starts(run)]
    best = run.summary.get("best_epoch")
    if isinstance(best, int) and any(row["epoch"] == best for row in rows):
        marks.append(Line("kept epoch", [], bars=[(best, y.low, y.high)], colour=len(keys)))
    legend = [*lines, *{line.label: line for line in marks}.values()]
    return figure(name, [Panel("", [*lines, *marks])], axes.epochs([row["epoch"] for row in rows]), y, legend)


def _starts(run: Run) -> list[int]:
    """Return the first epochs of the phases after the first one."""
    return [first for one in run.summary.get("phases") or [] if (first := one["first_epoch"]) > 1]


def _phases(run: Run) -> str:
    """Return what each phase trains, in words; empty for a single phase."""
    found = run.summary.get("phases") or []
    if len(found) < 2:
        return ""
    return "; ".join(f"epochs {one['first_epoch']} to {one['last_epoch']} train {one['trained']:,} parameters"
                     for one in found).capitalize() + "."  # fmt: skip
