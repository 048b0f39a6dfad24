"""What a task is: which labels it needs, what a network learns of them, and how its results are measured and shown.

A task is one folder in `cvlib/tasks/` whose `__init__.py` sets `TASK` to an object of a subclass of `Task`. The
declaration needs no Keras; methods import it when they compute.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np

from cvlib.config.schema import Config
from cvlib.data.dataset import Dataset, Split
from cvlib.data.labels import LabelKind
from cvlib.runs.metric_specs import MetricSpec
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras

    from cvlib.data.feed import Feed
    from cvlib.models.network import Network


class Predictions(Protocol):
    """What a network says of the n samples of a split, with the truth."""

    def metrics(self) -> dict[str, float]:
        """Return every metric by name, the task's headline metric among them."""


P = TypeVar("P", bound=Predictions)
Row = dict[str, Any]  # of a table


@dataclass(frozen=True)
class Served:
    """What the saved network's answer is made of, for exports and their comparison with Keras.

    Attributes:
        tolerance: the largest difference of an output that is allowed.
        unit: what answers are counted in, for people: "images", "boxes", "pixels".
        int8: whether the network can be exported with 8-bit weights; else why it can't, in words.
    """

    tolerance: float
    unit: str
    int8: str | None = None


class Task(ABC, Generic[P]):
    """One task; `P` is the type of its predictions.

    Attributes:
        name: the folder's name, and the value of `task`.
        label_kind: what a sample's label must be.
        metrics: those that a run records of every split, the headline metric first.
        class_metric: the column of `by_class` that says how well a class is done.
        heads: names of the heads that answer it.
        default_resize: stretch | letterbox, where `data.resize` is null.
        largest_default_side: in pixels, where `data.image_size` is null; None: the data's own.
        caches_features: whether a frozen base's features may be computed once.
        mosaic: whether `augment.mosaic` can be used.
        served: see `Served`.
        worst_shown: samples in the picture of the worst.
    """

    name: ClassVar[str]
    label_kind: ClassVar[LabelKind]
    metrics: ClassVar[tuple[MetricSpec, ...]]
    class_metric: ClassVar[str]
    heads: ClassVar[tuple[str, ...]]
    default_resize: ClassVar[str] = "stretch"
    largest_default_side: ClassVar[int | None] = None
    caches_features: ClassVar[bool] = False
    mosaic: ClassVar[bool] = False
    served: ClassVar[Served]
    worst_shown: ClassVar[int] = 12

    # Learning.

    @abstractmethod
    def compile_arguments(self, network: Network, config: Config, weights: np.ndarray | None = None) -> dict[str, Any]:
        """Return loss, loss weights and training metrics, as `keras.Model.compile` takes them.

        `weights` are what each class counts, float `(classes,)`.
        """

    @abstractmethod
    def targets(self, stream: Any, network: Network, weights: np.ndarray | None) -> Any:
        """Return the feed's stream of (images, labels) with targets, and sample weights, for every output."""

    @abstractmethod
    def class_weights(self, split: Split, classes: int, how: str) -> np.ndarray:
        """Return what each class counts, float `(classes,)`, by how often it occurs; `how`: balanced | sqrt."""

    @abstractmethod
    def training_metrics(self, logs: dict[str, float]) -> dict[str, float]:
        """Return what a person wants to see of what `fit` reported, "loss" among it."""

    # Measuring.

    @abstractmethod
    def validated(self, network: Network) -> keras.Model:
        """Return the network with what `evaluate` needs as its output."""

    @abstractmethod
    def validated_head(self, head: keras.Model, network: Network) -> keras.Model:
        """Return the same of the head alone, `network.cut().head`."""

    @abstractmethod
    def evaluate(self, validated: keras.Model, feed: Feed, classes: list[str]) -> P:
        """Return what the network says of a whole split, in the split's order."""

    @abstractmethod
    def results(self, names: list[str], classes: list[str], found: P) -> list[Row]:
        """Return the rows of test_results.csv, one per sample."""

    @abstractmethod
    def by_class(self, found: P, classes: list[str]) -> list[Row]:
        """Return a row per class, `class_metric` among its columns."""

    @abstractmethod
    def worst(self, found: P, count: int) -> np.ndarray:
        """Return the indices of at most `count` samples that are done worst, the worst first."""

    def flip_averaged(self, validated: keras.Model) -> keras.Model:
        """Return the network that also looks at each image's mirror image; raise `UserError` where that has no mean."""
        raise UserError(f"--tta is not available for {self.name}")

    def metric(self, name: str) -> MetricSpec:
        """Return the metric of that name, with or without a split in front (val/accuracy)."""
        return next(spec for spec in self.metrics if spec.name == name.rpartition("/")[2])

    def monitors(self) -> list[str]:
        """Return what `trainer.monitor` may be, the usual one first."""
        return [f"val/{spec.name}" for spec in self.metrics]

    def shown_metrics(self, classes: int) -> list[str]:
        """Return the metrics that a person is shown, the headline metric first."""
        return [spec.name for spec in self.metrics]

    # Showing.

    @abstractmethod
    def samples(self, images: np.ndarray, labels: Any, dataset: Dataset) -> np.ndarray:
        """Return a picture of training images `(n, height, width, channels)` with their labels, uint8."""

    @abstractmethod
    def pictures(self, found: P, dataset: Dataset) -> dict[str, np.ndarray]:
        """Return by tag what is drawn of the predictions alone."""

    @abstractmethod
    def chosen(self, found: P) -> np.ndarray:
        """Return the indices of the samples that are worth showing."""

    @abstractmethod
    def predictions(self, images: np.ndarray, indices: np.ndarray, found: P, dataset: Dataset) -> np.ndarray:
        """Return a picture of these samples' images with prediction and truth."""

    # Serving.

    @abstractmethod
    def inference(self, network: Network) -> keras.Model:
        """Return the network as it is saved: raw images of any size → predictions in their pixels."""
