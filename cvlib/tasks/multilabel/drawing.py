"""Pictures of images with their sets of classes, as uint8 arrays (height, width, 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cvlib.viz import pictures as draw

if TYPE_CHECKING:
    from cvlib.tasks.multilabel.predictions import SetPredictions

_LINES = 3  # maximum per caption
_CURVES = 12  # maximum in the precision–recall chart
NOTHING = "–"  # caption of an image without classes


def labelled(images: np.ndarray, sets: Sequence[Sequence[str]]) -> np.ndarray:
    """Draw images `(n, height, width, channels)` with the names of their classes."""
    return draw.contact_sheet(images, [listed(names) for names in sets])


def decisions(
    images: np.ndarray, found: np.ndarray, truth: np.ndarray, classes: Sequence[str], names: Sequence[str] = ()
) -> np.ndarray:
    """Draw images with true positives (✓), false positives (+) and false negatives (−).

    Captions are green if all decisions are right, else red. `found` and `truth` are bool `(n, classes)`.
    """
    captions, colours = [], []
    for predicted, true in zip(found, truth, strict=True):
        marked = [(mark, _names(which, classes)) for mark, which in
                  (("✓", predicted & true), ("+", predicted & ~true), ("−", true & ~predicted))]  # fmt: skip
        captions.append("\n".join(f"{mark} {names}" for mark, names in marked if names) or f"✓ {NOTHING}")
        colours.append(draw.GREEN if (predicted == true).all() else draw.RED)
    return draw.contact_sheet(images, draw.with_names(captions, names), colours)


def listed(names: Sequence[str]) -> str:
    """Return a caption with one class per line; if there are more than three, the third line counts the rest."""
    if len(names) > _LINES:
        names = [*names[: _LINES - 1], f"+ {len(names) - _LINES + 1} more"]
    return "\n".join(names) or NOTHING


def precision_recall(found: SetPredictions, classes: Sequence[str]) -> np.ndarray:
    """Draw the precision–recall curves of the classes that occur: at most the 12 with the lowest average precision."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), dpi=90, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    known = np.flatnonzero(~np.isnan(found.precisions))
    for label in known[np.argsort(found.precisions[known], kind="stable")][:_CURVES]:
        order = np.argsort(-found.logits[:, label], kind="stable")
        hits = np.cumsum(found.truth[order, label])
        name = draw.shortened(classes[label], 16)
        axes.step(hits / hits[-1], hits / np.arange(1, len(hits) + 1), where="post",
                  label=f"{name} {found.precisions[label]:.2f}")  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.set_title("average precision by class" + (f": the {_CURVES} lowest" if len(known) > _CURVES else ""))
    if len(known):
        axes.legend(fontsize=8, loc="lower left")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _names(marks: np.ndarray, classes: Sequence[str]) -> str:
    return ", ".join(classes[label] for label in np.flatnonzero(marks).tolist())
