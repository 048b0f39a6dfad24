"""A picture of a learning-rate search: the loss against the rate, with the suggestion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def draw(curves: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray, float]]) -> np.ndarray:
    """Draw one chart for each curve, side by side, as uint8 `(height, width, 3)`.

    Args:
        curves: (title, rates, losses, smoothed losses, suggested rate); the arrays are float `(steps,)`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(curves), 4), dpi=90, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for axes, (title, rates, losses, means, suggestion) in zip(
        figure.subplots(1, len(curves), squeeze=False)[0], curves, strict=True
    ):
        axes.plot(rates, losses, color="#bbbbbb", linewidth=1, label="loss")
        axes.plot(rates, means, color="#4878b0", label="smoothed")
        axes.axvline(suggestion, color="#b03030", linestyle="--", label=f"suggestion {suggestion:g}")
        highest = max(float(means[0]), float(np.median(means))) * 1.5  # a diverging loss would flatten the rest
        axes.set(xscale="log", xlabel="learning rate", ylabel="training loss", title=title,
                 ylim=(min(0.0, float(means.min())), highest))  # fmt: skip
        axes.legend(fontsize=8, loc="lower left")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
