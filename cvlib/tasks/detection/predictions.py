"""A detector's predictions for a split: COCO's metrics, tables and pictures. Needs no Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cvlib.data import resize
from cvlib.data.dataset import Boxes, Dataset
from cvlib.tasks import pseudo_values
from cvlib.tasks.detection import coco, drawing, errors, jackknife
from cvlib.tasks.detection.coco import Detections, Measures
from cvlib.tasks.predictions import Predictions, Row
from cvlib.viz import pictures as draw

_IMAGES_SHOWN = 12


@dataclass(frozen=True)
class BoxPredictions(Predictions):
    """The detections and true boxes in n images, both in pixels of the original images."""

    found: list[Detections]
    truths: list[Boxes]
    classes: Sequence[str]
    sizes: np.ndarray  # int (n, 2): height and width of the original images
    resize: str  # stretch | letterbox: how the images were resized to the network's size
    loss: float | None = None  # mean loss of the images, if it was computed

    @cached_property
    def measures(self) -> Measures:
        """The results as defined by COCO."""
        return coco.measure(self.truths, self.found, len(self.classes))

    @cached_property
    def image_precisions(self) -> np.ndarray:
        """Each image's own average precision at IoU 0.5, float `(n,)`."""
        return np.array([coco.image_precision(*pair) for pair in zip(self.truths, self.found, strict=True)])

    def metrics(self) -> dict[str, float]:
        """Return mAP, mAP50, mAP75, ar_100, mAP by box size, and AP for each class with true boxes, all 0–1.

        If the loss was computed, it comes first.
        """
        loss = {} if self.loss is None else {"loss": self.loss}
        by_class = {f"AP/{name}": float(ap) for name, ap in zip(self.classes, self.measures.per_class, strict=True)
                    if not np.isnan(ap)}  # fmt: skip
        return loss | self.measures.metrics | by_class

    def results(self, names: Sequence[str]) -> list[Row]:
        """Return a row for each image: name, objects, objects found, average precision and pseudo-values.

        An object counts as found if a detection of its class, with any score, matches it at an IoU of at least 0.5.
        "average_precision50" is `coco.image_precision`. The pseudo-values are for paired comparisons.
        """
        shares = jackknife.contributions(self.truths, self.found, len(self.classes))
        columns = pseudo_values.columns(shares)
        rows = zip(names, self.truths, self.found, self.image_precisions, columns, strict=True)
        return [
            {
                "name": name,
                "truths": int((~truth.crowd).sum()),
                "found": int((coco.match(truth, found) == 1).sum()),
                "average_precision50": f"{precision:.6f}",
            }
            | contributions
            for name, truth, found, precision, contributions in rows
        ]

    def by_class(self) -> list[Row]:
        """Return AP over IoU 0.5 to 0.95, AP at 0.5, and the number of non-crowd objects for each class.

        AP is 0–1, or None for a class without true boxes.
        """
        labels = np.concatenate([np.empty(0, np.int64), *(truth.classes[~truth.crowd] for truth in self.truths)])
        objects = np.bincount(labels, minlength=len(self.classes))
        at50 = self.measures.precision.mean(axis=1)
        return [{"class": name, "AP": _known(self.measures.per_class[i]), "AP50": _known(at50[i]),
                 "objects": int(objects[i])} for i, name in enumerate(self.classes)]  # fmt: skip

    def tables(self) -> dict[str, list[Row]]:
        """Return the results by class, and the errors by kind."""
        return super().tables() | {"errors": errors.by_kind(self.truths, self.found, self.classes)}

    def worst(self, count: int) -> np.ndarray:
        """Return the indices of at most `count` imperfect images, lowest average precision first."""
        order = np.argsort(self.image_precisions, kind="stable")[:count]
        return order[self.image_precisions[order] < 1]

    def representative(self) -> np.ndarray:
        """Return evenly spaced indices; up to a third of them are of images with an average precision below 0.5."""
        low = np.flatnonzero(self.image_precisions < 0.5)
        bad = draw.spread(low, _IMAGES_SHOWN // 3)
        others = np.setdiff1d(np.arange(len(self.image_precisions)), low)
        return np.sort(np.concatenate([bad, draw.spread(others, _IMAGES_SHOWN - len(bad))]))

    def charts(self, dataset: Dataset) -> dict[str, np.ndarray]:
        """Return the precision–recall curves."""
        return {"precision_recall": drawing.precision_recall(self.measures.precision, dataset.classes)}

    def drawn(
        self, images: np.ndarray, indices: np.ndarray, dataset: Dataset, names: Sequence[str] = ()
    ) -> np.ndarray:  # fmt: skip
        """Return a sheet that shows each image twice: with the true boxes and with the detections."""
        truths, found = [], []
        for i in indices:
            height, width = self.sizes[i].tolist()
            scale_x, scale_y, offset_x, offset_y = resize.placement(height, width, images.shape[1:3], self.resize)
            scale, offset = np.array([scale_x, scale_y] * 2), np.array([offset_x, offset_y] * 2)
            truth, guesses = self.truths[i], self.found[i]
            truths.append(replace(truth, corners=truth.corners * scale + offset))
            found.append(replace(guesses, corners=guesses.corners * scale + offset))
        return drawing.sheet(images, truths, found, dataset.classes, names)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def detections(outputs: Mapping[str, np.ndarray]) -> list[Detections]:
    """Return the detections in each image of a batch.

    `outputs` are "boxes" `(batch, n, 4)`, "scores" `(batch, n)` and "classes" `(batch, n)`; class −1 means no box.
    """
    rows = zip(outputs["boxes"], outputs["scores"], outputs["classes"], strict=True)
    return [Detections(boxes[labels >= 0], scores[labels >= 0], labels[labels >= 0]) for boxes, scores, labels in rows]
