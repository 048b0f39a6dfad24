"""Calibration of probabilities. Guo et al., On Calibration of Modern Neural Networks, ICML 2017."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from cvlib.tasks import temperature
from cvlib.tasks.predictions import Predictions

BINS = 15


@dataclass(frozen=True)
class Calibration:
    """Predictions binned by probability; the bins are (i/15, (i+1)/15], and each array is `(15,)`."""

    counts: np.ndarray  # number of predictions in the bin
    confidence: np.ndarray  # mean probability of these predictions, 0–1; NaN in an empty bin
    accuracy: np.ndarray  # share of correct predictions, 0–1; NaN in an empty bin

    @property
    def error(self) -> float:
        """The expected calibration error, 0–1: the mean of |confidence − accuracy|, weighted by the bins' counts."""
        distance = np.abs(self.confidence - self.accuracy)
        return float(np.nansum(self.counts * distance) / max(int(self.counts.sum()), 1))

    def rows(self) -> list[dict[str, Any]]:
        """Return the non-empty bins as JSON-serializable rows."""
        return [
            {"above": i / BINS, "to": (i + 1) / BINS, "samples": int(self.counts[i]),
             "confidence": float(self.confidence[i]), "accuracy": float(self.accuracy[i])}
            for i in np.flatnonzero(self.counts)
        ]  # fmt: skip


def summary(results: Mapping[str, Predictions], decision: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the temperature, and each split's calibration errors with and without it.

    None for a task without calibration.
    """
    errors = {}
    for name, found in results.items():
        scaled, unscaled = calibration_of(found), calibration_of(found.decided({}))
        if scaled is None or unscaled is None:
            return None
        errors[name] = {"ece": scaled.error, "ece_unscaled": unscaled.error}
    return {"temperature": temperature.of_decision(decision), **errors}


def calibration_of(found: Predictions) -> Calibration | None:
    """Return the calibration of a split's predictions; None for a task without calibration."""
    pair = found.confidences()
    return None if pair is None else calibration(*pair)


def calibration(scores: Float[np.ndarray, " predictions"], correct: Bool[np.ndarray, " predictions"]) -> Calibration:
    """Return the calibration of predictions with the probabilities `scores`."""
    bins = np.clip(np.ceil(scores * BINS).astype(int) - 1, 0, BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(bins, scores, BINS) / counts
        accuracy = np.bincount(bins, correct, BINS) / counts
    return Calibration(counts, confidence, accuracy)


def diagram(found: Calibration) -> np.ndarray:
    """Draw the reliability diagram: the accuracy and, below it, the number of predictions in each probability bin."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 6), dpi=90, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    middles = (np.arange(BINS) + 0.5) / BINS
    upper.bar(middles, np.nan_to_num(found.accuracy), 0.92 / BINS, color="#4878b0", label="accuracy")
    upper.plot([0, 1], [0, 1], "--", color="#666666", label="perfect calibration")
    upper.plot(
        middles, found.confidence, "_", color="#b03030", markersize=14, markeredgewidth=2, label="mean probability"
    )
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy", title=f"calibration error (ECE) {found.error:.4f}")
    upper.legend(fontsize=8, loc="upper left")
    lower.bar(middles, found.counts, 0.92 / BINS, color="#999999")
    lower.set(xlabel="predicted probability", ylabel="predictions")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
