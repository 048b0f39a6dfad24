"""What a task is: which labels it needs, what a network learns of them, and how its results are measured and shown.

A task is one folder in `cvlib/tasks/` whose `__init__.py` sets `TASK` to an object of a subclass of `Task`. The
declaration needs no Keras; methods import it when they compute. What belongs to one split's predictions (metrics,
tables, pictures) is in the task's subclass of `Predictions`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cvlib.config.schema import Config
from cvlib.data.dataset import Dataset, Split
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import LabelKind
from cvlib.runs.metric_specs import MetricSpec
from cvlib.runtime.errors import UserError
from cvlib.tasks import agreement
from cvlib.tasks.agreement import Agreement, Outputs
from cvlib.tasks.predictions import Predictions

if TYPE_CHECKING:
    import keras

    from cvlib.data.feed import Feed
    from cvlib.models.network import Network
    from cvlib.models.restore import SavedRun

Named = tuple[Path, str, np.ndarray]  # a file, the name for its picture, its pixels uint8 (height, width, channels)


@dataclass(frozen=True)
class Served:
    """The answers of the saved network, for exports and their comparison with Keras.

    Attributes:
        tolerance: the largest difference of an answer that is allowed.
        answers: what the answers are, for people, such as "pixels".
        refuses_int8: the message where 8-bit weights are asked for and can't be; None: they can be.
    """

    tolerance: float
    answers: str
    refuses_int8: str | None = None


class Task(ABC):
    """One task.

    Attributes:
        name: the folder's name, and the value of `task`.
        label_kind: what a sample's label is.
        metrics: those that every run records of a split, the headline metric first.
        class_metric: the column of `Predictions.by_class` that says how good a class is.
        heads: names of the heads that answer it.
        default_resize: stretch | letterbox, where `data.resize` is null.
        largest_default_side: in pixels, where `data.image_size` is null; None: no limit.
        caches_features: whether a frozen base's features may be computed once and kept.
        mosaic: whether `augment.mosaic` can be used.
        weighs_classes: whether `data.class_weights` can be used.
        explains_classes: whether the network gives a class for an image or its pixels, which Grad-CAM explains.
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
    weighs_classes: ClassVar[bool] = True
    explains_classes: ClassVar[bool] = True
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
        """Return the feed's stream of (images, labels) with the targets of every output."""

    @abstractmethod
    def class_weights(self, split: Split, classes: int, scheme: str) -> np.ndarray:
        """Return what each class counts, float `(classes,)`; `how`: see `cvlib.tasks.balance.balanced`."""

    @abstractmethod
    def training_metrics(self, logs: dict[str, float]) -> dict[str, float]:
        """Return what people want to see of what `fit` reported, "loss" among it."""

    # Measuring.

    def validated(self, network: Network) -> keras.Model:
        """Return the network with what `evaluate` needs as its output."""
        return network.predictive()

    def validated_head(self, head: keras.Model, network: Network) -> keras.Model:
        """Return the same of the head alone, `network.cut().head`."""
        import keras

        outputs = head.output
        return keras.Model(head.input, outputs[network.outputs[0].name]) if isinstance(outputs, dict) else head

    @abstractmethod
    def evaluate(self, validated: keras.Model, feed: Feed, classes: list[str]) -> Predictions:
        """Return what the network says of a whole split, in the split's order."""

    def flip_averaged(self, validated: keras.Model) -> keras.Model:
        """Return the network that also looks at each image's mirror image; raise `UserError` if that has no mean."""
        raise UserError(f"--tta is not available for {self.name}")

    def metric(self, name: str) -> MetricSpec:
        """Return the metric of that name, with or without a split in front (val/accuracy)."""
        return next(spec for spec in self.metrics if spec.name == name.rpartition("/")[2])

    def monitors(self) -> list[str]:
        """Return what `trainer.monitor` may be, the default first."""
        return [f"val/{spec.name}" for spec in self.metrics]

    def shown_metrics(self, classes: int) -> list[str]:
        """Return the metrics that people are shown, the headline metric first."""
        return [spec.name for spec in self.metrics]

    # Showing.

    @abstractmethod
    def samples(self, images: np.ndarray, labels: Any, dataset: Dataset) -> np.ndarray:
        """Return a picture, uint8 `(height, width, 3)`, of training images with their labels, as a feed gives them."""

    def image_classes(self, split: Split) -> np.ndarray | None:
        """Return the class id of each image, int `(n,)`; None where an image has no single class."""
        return None

    def explained_classes(self, run: SavedRun, probabilities: np.ndarray) -> list[int]:
        """Return the class ids that Grad-CAM explains in an image, of which the network gives `(classes,)`."""
        return [int(probabilities.argmax())]

    # Serving.

    @abstractmethod
    def inference(self, network: Network) -> keras.Model:
        """Return the network as it is saved: raw images of any size, 0–255 → predictions.

        It holds plain Keras layers and operations only and shares the network's weights.
        """

    def fits(self, model: keras.Model, channels: int, classes: int) -> bool:
        """Return whether a saved network takes so many channels and tells so many classes apart."""
        single = not isinstance(model.output, dict)
        return single and model.input_shape[-1] == channels and model.output_shape[-1] == classes

    def labels(self, classes: Sequence[str], spec: InputSpec, colours: np.ndarray | None = None) -> dict[str, Any]:
        """Return labels.json, which explains the saved network's answers; `colours` of masks are `(classes, 3)`."""
        return {
            "task": self.name, "classes": list(classes), "channels": spec.channels, "image_size": list(spec.size),
            "resize": spec.resize, "colours": None if colours is None else colours.tolist(),
        }  # fmt: skip

    def agreement(self, expected: Outputs, found: Outputs, side: int) -> Agreement:
        """Compare Keras' and another runtime's outputs for one image, whose longer side has `side` pixels."""
        return agreement.of_probabilities(expected, found)

    def prediction_options(self, threshold: float | None) -> dict[str, float]:
        """Return the options of `predict_files` that the command line asks for; raise `UserError` if it has none."""
        if threshold is not None:
            raise UserError(f"--threshold is not available for {self.name}: leave it out")
        return {}

    @abstractmethod
    def predict_files(
        self, run: SavedRun, model: keras.Model, images: Iterable[Named], folder: Path, tick: Callable[[], None],
        **options: float,
    ) -> int:  # fmt: skip
        """Write predictions.json, predictions.csv and pictures into `folder`; return how many images there were.

        `model` is the saved network. `tick` is called after each image.
        """

    @abstractmethod
    def values(self, run: SavedRun, model: keras.Model, images: Sequence[np.ndarray]) -> list[Any]:
        """Return the prediction for each image, uint8 `(height, width, channels)`, as Python objects."""
