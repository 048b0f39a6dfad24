"""A class for every pixel: loss, metrics from one confusion matrix, and what is drawn. Metrics need no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib.config.schema import Config
from cvlib.data.dataset import IGNORE, Dataset, Split
from cvlib.tasks import balanced, loss_and_metric, of_logits
from cvlib.viz import masks
from cvlib.viz import pictures as draw

if TYPE_CHECKING:
    import keras

    from cvlib.data.feed import Feed

METRICS = ("mIoU", "pixel_accuracy", "dice", "loss")
CLASS_METRIC = "IoU"

_PICTURED = 12


@dataclass
class Scores:
    """What a network said of a split, counted as it came: no mask is kept but those that are shown."""

    classes: list[str]
    confusion: np.ndarray  # int64 (classes, classes): pixels of each class (row) taken for each class (column)
    loss_sum: float = 0.0  # of −log p over labelled pixels, nats
    samples: list[tuple[float, float]] = field(default_factory=list)  # each image's mIoU and pixel accuracy
    counts: list[np.ndarray] = field(default_factory=list)  # each image's intersections and unions (2, classes)
    shown: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)  # index → truth, prediction

    def add(self, truth: np.ndarray, logits: np.ndarray, keep: set[int] | None = None) -> None:
        """Count a batch: class ids or `IGNORE` `(batch, height, width)`, logits `(batch, height, width, classes)`."""
        guesses = logits.argmax(axis=-1)
        for mask, guess in zip(truth, guesses, strict=True):
            matrix = confusion(mask, guess, len(self.classes))
            self.confusion += matrix
            if keep and len(self.samples) in keep:
                self.shown[len(self.samples)] = mask.astype(np.uint8), guess.astype(np.uint8)
            self.samples.append((mean_iou(matrix), pixel_accuracy(matrix)))
            self.counts.append(np.stack(_counts(matrix)[:2]))
        self.loss_sum += _loss_sum(truth, logits)

    def metrics(self) -> dict[str, float]:
        """mIoU, pixel accuracy and mean dice of the whole split, 0–1, and the mean cross-entropy (nats).

        Then `IoU/CLASS` of every class that the truth has. Ignored pixels count nowhere; a class that neither truth
        nor prediction has is left out of the means.
        """
        hits, union, sizes = _counts(self.confusion)
        occurring = union > 0
        pixels = max(int(self.confusion.sum()), 1)
        return {
            "mIoU": mean_iou(self.confusion),
            "pixel_accuracy": pixel_accuracy(self.confusion),
            "dice": float((2 * hits[occurring] / sizes[occurring]).mean()) if occurring.any() else 0.0,
            "loss": self.loss_sum / pixels,
            **{
                f"IoU/{self.classes[i]}": float(hits[i] / union[i])
                for i in np.flatnonzero(self.confusion.sum(axis=1))
            },
        }  # fmt: skip


def confusion(truth: np.ndarray, guess: np.ndarray, classes: int) -> np.ndarray:
    """Pixels of each class (row) that were taken for each class (column), int64 `(classes, classes)`."""
    valid = truth != IGNORE
    pairs = truth[valid].astype(np.int64) * classes + guess[valid]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def mean_iou(matrix: np.ndarray) -> float:
    """The mean of intersection / union over the classes that occur in truth or prediction; 0 where none does."""
    hits, union, _ = _counts(matrix)
    occurring = union > 0
    return float((hits[occurring] / union[occurring]).mean()) if occurring.any() else 0.0


def shares(counts: np.ndarray) -> np.ndarray:
    """Each image's share in the mIoU of all, float `(n,)`, of intersections and unions `(n, 2, classes)`.

    Their mean is the mIoU and their spread says how uncertain it is: a ratio of sums, linearized about the sums
    (the infinitesimal jackknife; Efron, The Jackknife, the Bootstrap and Other Resampling Plans, 1982, chapter 6).
    """
    hits, unions = counts.sum(axis=0)
    occurring = unions > 0
    if not occurring.any():
        return np.zeros(len(counts))
    iou = hits[occurring] / unions[occurring]
    ahead = (counts[:, 0, occurring] - iou * counts[:, 1, occurring]) / unions[occurring]
    found: np.ndarray = iou.mean() + len(counts) * ahead.mean(axis=1)
    return found


def pixel_accuracy(matrix: np.ndarray) -> float:
    """The share of labelled pixels whose class is right; 0 where none is labelled."""
    return float(np.trace(matrix) / max(int(matrix.sum()), 1))


def _counts(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By class: intersection, union, and the sizes of truth and prediction together."""
    hits = np.diag(matrix)
    sizes = matrix.sum(axis=0) + matrix.sum(axis=1)
    return hits, sizes - hits, sizes


def _loss_sum(truth: np.ndarray, logits: np.ndarray) -> float:
    valid = truth != IGNORE
    chosen = logits[valid].astype(np.float32)
    most = chosen.max(axis=-1)
    normalizers = most + np.log(np.exp(chosen - most[:, None]).sum(axis=-1))
    return float((normalizers - chosen[np.arange(len(chosen)), truth[valid]]).sum(dtype=np.float64))


def evaluate(network: keras.Model, feed: Feed, classes: list[str]) -> Scores:
    """What the network says of a whole split, in the split's order, at the network's input size."""
    scores = Scores(classes, np.zeros((len(classes), len(classes)), np.int64))
    keep = set(np.linspace(0, len(feed.split) - 1, _PICTURED).astype(int).tolist())
    for images, truth in feed.dataset:
        scores.add(truth.numpy(), np.asarray(network.predict_on_batch(images)), keep)
    return scores


def network(model: keras.Model) -> keras.Model:
    """The network with the logits as its only output."""
    from cvlib import models

    return models.logits(model)


def inference(model: keras.Model, size: tuple[int, int], how: str) -> keras.Model:
    """The network as it is saved: see `cvlib.models.segmenter.inference`."""
    from cvlib.models import segmenter

    return segmenter.inference(model, size, how)


def results(names: list[str], classes: list[str], scores: Scores) -> list[dict[str, Any]]:
    """The rows of test_results.csv: each image's name, mIoU over the classes in it, pixel accuracy, and `shares`."""
    rows = zip(names, scores.samples, shares(np.array(scores.counts)), strict=True)
    return [
        {"name": name, "mIoU": f"{miou:.6f}", "pixel_accuracy": f"{accuracy:.6f}", "mIoU_share": f"{share:.6f}"}
        for name, (miou, accuracy), share in rows
    ]


def by_class(scores: Scores, classes: list[str]) -> list[dict[str, Any]]:
    """A row per class: its IoU, 0–1 (None where neither truth nor prediction has it), and its share of the pixels."""
    hits, union, _ = _counts(scores.confusion)
    shares = scores.confusion.sum(axis=1) / max(int(scores.confusion.sum()), 1)
    return [{"class": name, "IoU": float(hits[i] / union[i]) if union[i] else None, "pixels": float(shares[i])}
            for i, name in enumerate(classes)]  # fmt: skip


def worst(scores: Scores, count: int) -> np.ndarray:
    """Indices of at most `count` images with the least mIoU of their own, the worst first; perfect ones left out."""
    values = np.array([miou for miou, _ in scores.samples])
    order = np.argsort(values, kind="stable")[:count]
    return order[values[order] < 1]


def flip_averaged(network: keras.Model) -> keras.Model:
    """The network whose logits are of the mean probability over an image and its mirror image, mirrored back."""
    import keras

    from cvlib import models

    return models.flip_averaged(network, lambda probabilities: keras.ops.flip(probabilities, axis=2))


def compile_arguments(model: keras.Model, config: Config, weights: np.ndarray | None = None) -> dict[str, Any]:
    """Loss and training metrics for the network, as `keras.Model.compile` takes them; `weights` are its classes'."""
    from cvlib.tasks.segmentation.loss import PixelAccuracy, SegmentationLoss

    def loss() -> keras.losses.Loss:
        return SegmentationLoss(config.model.loss, config.model.focal_gamma, weights)

    return loss_and_metric(model, config, loss, PixelAccuracy())


def targets(stream: Any, model: keras.Model, weights: np.ndarray | None) -> Any:
    """The tf.data stream of (images, masks), the masks for every output: weights of classes are the loss's."""
    outputs = model.output_names
    return stream if len(outputs) == 1 else stream.map(lambda images, truth: (images, dict.fromkeys(outputs, truth)))


def class_weights(split: Split, classes: int, how: str) -> np.ndarray:
    """Float `(classes,)`, by how many pixels each has: see `cvlib.tasks.balanced`."""
    counts = np.zeros(IGNORE + 1, np.int64)
    for mask in split.labels:
        read = mask() if callable(mask) else np.asarray(mask)
        counts += np.bincount(read.ravel(), minlength=IGNORE + 1)
    return balanced(counts[:classes], how)


def training_metrics(logs: dict[str, float]) -> dict[str, float]:
    """Loss and pixel accuracy out of what Keras reports."""
    return of_logits(logs, "pixel_accuracy")


def samples(images: np.ndarray, labels: Any, dataset: Dataset) -> np.ndarray:
    """A picture of training images `(n, height, width, channels)` with their masks."""
    colours = masks.palette(len(dataset.classes), dataset.colours)
    count = min(len(images), _PICTURED)
    truths = np.asarray(labels)[:count]
    return masks.sheet(images[:count], [("truth", truths)], [""] * count, dataset.classes, colours, columns=3)


def pictures(scores: Scores, dataset: Dataset) -> dict[str, np.ndarray]:
    """By tag, what is drawn of the scores alone."""
    return {"confusion_matrix": draw.confusion_matrix(scores.confusion, dataset.classes)}


def chosen(scores: Scores) -> np.ndarray:
    """Indices of the samples that are shown, evenly over the split."""
    return np.array(sorted(scores.shown))


def predictions(images: np.ndarray, indices: np.ndarray, scores: Scores, dataset: Dataset) -> np.ndarray:
    """A picture of these samples: image | truth | prediction, each with its mIoU, and the classes' colours."""
    truths, guesses = zip(*(scores.shown[int(index)] for index in indices), strict=True)
    captions = ["mIoU {:.2f}, pixels {:.1%}".format(*scores.samples[int(index)]) for index in indices]
    colours = masks.palette(len(dataset.classes), dataset.colours)
    return masks.sheet(images, [("truth", truths), ("prediction", guesses)], captions, dataset.classes, colours)
