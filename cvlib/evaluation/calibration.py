"""Is a classifier as often right as it says? Guo et al., On Calibration of Modern Neural Networks, ICML 2017."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

BINS = 15


@dataclass(frozen=True)
class Calibration:
    """Predictions by their probability, in bins (i/15, (i+1)/15]; each array is `(15,)`."""

    counts: np.ndarray  # predictions in the bin
    confidence: np.ndarray  # their mean probability, 0–1; NaN in an empty bin
    accuracy: np.ndarray  # the share of them that is right, 0–1; NaN in an empty bin

    @property
    def error(self) -> float:
        """The expected calibration error, 0–1: the mean distance of the two, each bin counting by its predictions."""
        distance = np.abs(self.confidence - self.accuracy)
        return float(np.nansum(self.counts * distance) / max(int(self.counts.sum()), 1))

    def rows(self) -> list[dict[str, Any]]:
        """Return the bins that aren't empty, as JSON takes them."""
        return [
            {"above": i / BINS, "to": (i + 1) / BINS, "samples": int(self.counts[i]),
             "confidence": float(self.confidence[i]), "accuracy": float(self.accuracy[i])}
            for i in np.flatnonzero(self.counts)
        ]  # fmt: skip


def calibration(
    probabilities: Float[np.ndarray, "samples classes"], labels: Integer[np.ndarray, " samples"]
) -> Calibration:
    """Return the calibration of the most probable classes."""
    surest, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.clip(np.ceil(surest * BINS).astype(int) - 1, 0, BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(bins, surest, BINS) / counts
        accuracy = np.bincount(bins, right, BINS) / counts
    return Calibration(counts, confidence, accuracy)


def diagram(found: Calibration) -> np.ndarray:
    """Draw the reliability diagram: accuracy over confidence, and below it how many predictions each bin has."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 6), dpi=90, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    middles = (np.arange(BINS) + 0.5) / BINS
    upper.bar(middles, np.nan_to_num(found.accuracy), 0.92 / BINS, color="#4878b0", label="accuracy")
    upper.plot([0, 1], [0, 1], "--", color="#666666", label="as sure as right")
    upper.plot(
        middles, found.confidence, "_", color="#b03030", markersize=14, markeredgewidth=2, label="mean probability"
    )
    upper.set(
        xlim=(0, 1), ylim=(0, 1), ylabel="share that is right", title=f"calibration error (ECE) {found.error:.4f}"
    )
    upper.legend(fontsize=8, loc="upper left")
    lower.bar(middles, found.counts, 0.92 / BINS, color="#999999")
    lower.set(xlabel="probability of the prediction", ylabel="predictions")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
