"""A table of numbers as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def heat_map(values: np.ndarray, rows: Sequence[str], columns: Sequence[str], label: str, title: str) -> np.ndarray:
    """Draw numbers `(rows, columns)` as coloured cells, uint8 `(height, width, 3)`; NaN stays white.

    `label` is the name of the columns' axis.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 + 0.7 * len(columns), 1.4 + 0.3 * len(rows)), dpi=90, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    low, high = (float(np.nanmin(values)), float(np.nanmax(values))) if np.isfinite(values).any() else (0.0, 1.0)
    axes.imshow(values, cmap="viridis", vmin=low, vmax=max(high, low + 1e-9), aspect="auto")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel(label)
    figure.suptitle(title, fontsize=9)
    for row, column in np.argwhere(np.isfinite(values)):
        value = values[row, column]
        colour = "black" if value > (low + high) / 2 else "white"
        axes.text(column, row, f"{value:.3f}", ha="center", va="center", color=colour, fontsize=8)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
