"""A run's metrics on corrupted images, if `cvlib evaluate --corrupt` has measured them."""

from __future__ import annotations

import math
from html import escape

from cvlib.runs.corruptions import Corruptions
from cvlib.runs.run import Run
from cvlib.viz import axes, html_table
from cvlib.viz.plots import Line, Panel, figure


def section(run: Run) -> str:
    """Return the main metric by corruption and strength, as curves and as a table; empty if it wasn't measured."""
    found, metric = run.corruptions, run.headline.split("/", 1)[-1]
    if found is None or metric not in found.clean or found.mean(metric) is None:
        return ""
    return (f"<section><h2>Robustness</h2><p>{escape(_words(found, metric))}</p>"
            f'<div class="figures">{_curves(found, metric)}</div>{html_table.table(found.table(metric))}</section>'
            )  # fmt: skip


def _words(found: Corruptions, metric: str) -> str:
    families = ", ".join(f"{family} {found.mean(metric, family):.4f}" for family in found.families)
    return (f"Mean {metric} over {len(found.names)} corruptions in {len(found.strengths)} strengths of {found.images} "
            f"test images: {found.mean_text(metric)}. By family: {families}.")  # fmt: skip


def _curves(found: Corruptions, metric: str) -> str:
    """Draw one chart per family, over the strength; strength 0 is without corruption."""
    start = (0.0, found.clean[metric])
    panels, values = [], [start[1]]
    for family, names in found.families.items():
        lines = []
        for number, name in enumerate(names):
            points = [(float(strength), value) for strength, value in found.values(metric, name).items()
                      if math.isfinite(value)]  # fmt: skip
            values += [value for _, value in points]
            lines.append(Line(name.replace("_", " "), [start, *points], colour=number, markers=True))
        panels.append((family, lines))
    x = axes.Axis("strength", 0, max(found.strengths), whole=True)
    y = axes.metric(metric, values)
    return "".join(figure(family, [Panel("", lines)], x, y, lines) for family, lines in panels)
