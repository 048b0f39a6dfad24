"""A segmenter's predictions for a split: metrics from one confusion matrix, tables and pictures. Needs no Keras."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cvlib.data import resampling
from cvlib.data.dataset import Dataset
from cvlib.data.input_spec import InputSpec
from cvlib.tasks import pseudo_values
from cvlib.tasks.predictions import Predictions, Row
from cvlib.tasks.segmentation import counts
from cvlib.viz import masks
from cvlib.viz import pictures as draw

_WORST_KEPT = 12  # images whose masks are kept because their mIoU is the lowest
Masks = tuple[np.ndarray, np.ndarray]  # truth and prediction, uint8 (height, width)


@dataclass
class MaskPredictions(Predictions):
    """A segmenter's predictions for a split, counted batch by batch; only the masks to be shown are kept."""

    classes: Sequence[str]
    confusion: np.ndarray  # int64 (classes, classes): pixels of each true class (row) and predicted class (column)
    losses: list[float] = field(default_factory=list)  # each image's sum of −log p over labelled pixels, nats
    samples: list[tuple[float, float]] = field(default_factory=list)  # each image's mIoU and pixel accuracy
    counts: list[np.ndarray] = field(default_factory=list)  # each image's intersections and unions (2, classes)
    edges: list[np.ndarray] = field(default_factory=list)  # the same of the boundary regions
    shown: dict[int, Masks] = field(default_factory=dict)  # by image index
    chosen: list[int] = field(default_factory=list)  # indices of the representative images in `shown`
    lowest: list[int] = field(default_factory=list)  # indices of the images with the lowest mIoU, lowest first

    @classmethod
    def none(cls, classes: Sequence[str]) -> MaskPredictions:
        """Return predictions without any images; `add` adds batches of images."""
        return cls(classes, np.zeros((len(classes), len(classes)), np.int64))

    def add(
        self, truth: np.ndarray, logits: np.ndarray, keep: set[int] | None = None, shrunk: InputSpec | None = None
    ) -> None:  # fmt: skip
        """Add a batch; keep the masks of the images whose index is in `keep`, and of those with the lowest mIoU.

        `truth` is `(batch, height, width)` class ids or IGNORE, `logits` are `(batch, height, width, classes)`. The
        kept masks are resized as `shrunk` says.
        """
        guesses = logits.argmax(axis=-1)
        for mask, guess in zip(truth, guesses, strict=True):
            matrix = counts.confusion(mask, guess, len(self.classes))
            self.confusion += matrix
            self.shown[len(self.samples)] = _shown(mask, shrunk), _shown(guess, shrunk)
            self.samples.append((counts.mean_iou(matrix), counts.pixel_accuracy(matrix)))
            self.counts.append(np.stack(counts.by_class(matrix)[:2]))
            self.edges.append(counts.boundaries(mask, guess, len(self.classes)))
            self._forget(bool(keep and len(self.samples) - 1 in keep))
        self.losses += [counts.loss_sum(mask[None], own[None]) for mask, own in zip(truth, logits, strict=True)]

    def _forget(self, chosen: bool) -> None:
        """Drop the masks that are neither chosen nor among the worst; `chosen` is about the newest image."""
        newest = len(self.samples) - 1
        if chosen:
            self.chosen.append(newest)
        self.lowest = sorted([*self.lowest, newest], key=lambda index: self.samples[index][0])
        for index in self.lowest[_WORST_KEPT:]:
            if index not in self.chosen:
                del self.shown[index]
        del self.lowest[_WORST_KEPT:]

    def metrics(self) -> dict[str, float]:
        """Return mIoU, pixel accuracy, mean dice and boundary IoU of the split, 0–1, and the mean cross-entropy (nats).

        `IoU/CLASS` is included for every class that occurs in the truth. All metrics exclude ignored pixels. Means
        exclude classes that occur in neither truth nor prediction.
        """
        hits, union, _ = counts.by_class(self.confusion)
        return {
            "mIoU": counts.mean_iou(self.confusion),
            "pixel_accuracy": counts.pixel_accuracy(self.confusion),
            "dice": counts.mean_dice(self.confusion),
            "boundary_IoU": counts.mean_ratio(np.sum(self.edges, axis=0)) if self.edges else 0.0,
            "loss": sum(self.losses) / pixels if (pixels := int(self.confusion.sum())) else math.nan,
            **{
                f"IoU/{self.classes[i]}": float(hits[i] / union[i])
                for i in np.flatnonzero(self.confusion.sum(axis=1)).tolist()
            },
        }  # fmt: skip

    def results(self, names: Sequence[str]) -> list[Row]:
        """Return each image's name, its mIoU over the classes in it, its pixel accuracy, and its pseudo-values.

        A pseudo-value is the image's contribution to a metric over all images; `cvlib compare` uses it for paired
        comparisons.
        """
        pixels = np.array([[int(one[1].sum() + one[0].sum()) / 2] for one in self.counts])
        parts = counts.contributions(np.array(self.counts))
        parts["boundary_IoU"] = pseudo_values.of_ratios(*np.array(self.edges).swapaxes(0, 1))
        parts["loss"] = pseudo_values.of_ratios(np.array(self.losses)[:, None], pixels)
        rows = zip(names, self.samples, pseudo_values.columns(parts), strict=True)
        return [
            {"name": name, "mIoU": f"{miou:.6f}", "pixel_accuracy": f"{accuracy:.6f}"} | contributions
            for name, (miou, accuracy), contributions in rows
        ]

    def by_class(self) -> list[Row]:
        """Return IoU (0–1; None for a class in neither truth nor prediction) and share of the true pixels by class."""
        hits, union, _ = counts.by_class(self.confusion)
        pixels = self.confusion.sum(axis=1) / max(int(self.confusion.sum()), 1)
        return [{"class": name, "IoU": float(hits[i] / union[i]) if union[i] else None, "pixels": float(pixels[i])}
                for i, name in enumerate(self.classes)]  # fmt: skip

    def worst(self, count: int) -> np.ndarray:
        """Return the indices of at most `count` imperfect images, lowest mIoU first."""
        values = np.array([miou for miou, _ in self.samples])
        order = np.argsort(values, kind="stable")[:count]
        return order[values[order] < 1]

    def representative(self) -> np.ndarray:
        """Return the indices that `add` was asked to keep, evenly spaced over the split."""
        return np.array(self.chosen)

    def charts(self, dataset: Dataset) -> dict[str, np.ndarray]:
        """Return the confusion matrix."""
        return {"confusion_matrix": draw.confusion_matrix(self.confusion, dataset.classes)}

    def drawn(
        self, images: np.ndarray, indices: np.ndarray, dataset: Dataset, names: Sequence[str] = ()
    ) -> np.ndarray:  # fmt: skip
        """Return a sheet of image | truth | prediction, with each image's mIoU and a legend."""
        truths, guesses = zip(*(self.shown[int(index)] for index in indices), strict=True)
        captions = ["mIoU {:.2f}, pixels {:.1%}".format(*self.samples[int(index)]) for index in indices]
        captions = draw.with_names(captions, names, ": ")
        colours = masks.palette(len(dataset.classes), dataset.colours)
        return masks.sheet(images, [("truth", truths), ("prediction", guesses)], captions, dataset.classes, colours)


def _shown(mask: np.ndarray, shrunk: InputSpec | None) -> np.ndarray:
    ids = mask.astype(np.uint8)
    return ids if shrunk is None else resampling.mask(ids, shrunk.size, shrunk.resize)
