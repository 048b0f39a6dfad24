"""The interface of a task: which labels it needs, how a network learns them, and how results are measured and shown.

A task is one folder in `cvlib/tasks/` whose `__init__.py` sets `TASK` to an instance of a subclass of `Task`. The
declaration needs no Keras; methods import it when they need it. The metrics, tables and pictures of one split's
predictions are in the task's subclass of `Predictions`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from cvlib.config.schema import Config
from cvlib.data.dataset import Dataset, Split
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import LabelKind
from cvlib.runs.metric_specs import MetricSpec
from cvlib.runtime.errors import UserError
from cvlib.tasks import agreement
from cvlib.tasks.agreement import Agreement, Outputs
from cvlib.tasks.imports import Imported, Targets
from cvlib.tasks.predictions import Predictions

if TYPE_CHECKING:
    import keras

    from cvlib.data.feed import Feed
    from cvlib.models.network import Network
    from cvlib.models.restore import SavedRun

Named = tuple[Path, str, np.ndarray]  # file, name for its picture, pixels as uint8 (height, width, channels)
Picture = tuple[Path | None, np.ndarray]  # file, if there is one, and pixels as uint8 (height, width, channels)
Tell = Callable[[Path, str], None]  # receives a file and its prediction as text


@dataclass(frozen=True)
class Served:
    """How an exported network is compared with Keras, and whether it may be exported in 8 bits.

    Attributes:
        tolerance: the largest allowed difference between an answer of the export and that of Keras.
        answers: what messages call the compared predictions, such as "pixels"; see `Agreement`.
        refuses_int8: the error message if the task does not support 8-bit exports; None if it does.
    """

    tolerance: float
    answers: str
    refuses_int8: str | None = None


class Predictor(Protocol):
    """What `Task.evaluate` uses of a Keras network, so that networks in other runtimes can be evaluated, too."""

    def predict(self, dataset: Any, verbose: int) -> Any:
        """Return the outputs for all images of a feed's dataset."""

    def predict_on_batch(self, images: Any) -> Any:
        """Return the outputs for images `(batch, height, width, channels)`, 0–255."""


class Task(ABC):
    """The base class of all tasks.

    Attributes:
        name: the folder's name, and the value of `task`.
        label_kind: the kind of a sample's label.
        metrics: the metrics that every run records for a split, the headline metric first.
        class_metric: the main metric of a single class, a column of `Predictions.by_class`.
        heads: names of the heads that support the task.
        default_resize: stretch | letterbox, used if `data.resize` is null.
        largest_default_side: limit in pixels, used if `data.image_size` is null; None means no limit.
        caches_features: whether the features of a frozen base may be computed once and cached.
        mosaic: whether `augment.mosaic` is supported.
        tiles: whether `data.tiles` is supported.
        mixes: whether `augment.mixup` and `augment.cutmix` are supported.
        averages: whether the probabilities of several networks can be averaged; see `mean_logits`.
        explains_classes: whether the network predicts classes of images or pixels, which Grad-CAM can explain.
        served: see `Served`.
        hub_task: what hubs for models call the task.
        worst_shown: number of samples in the picture of the worst predictions.
        import_forms: the forms of predictions by other tools that `imported` reads; see `cvlib.prediction.imported`.
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
    tiles: ClassVar[bool] = False
    mixes: ClassVar[bool] = False
    averages: ClassVar[bool] = False
    explains_classes: ClassVar[bool] = True
    served: ClassVar[Served]
    hub_task: ClassVar[str]
    worst_shown: ClassVar[int] = 12
    import_forms: ClassVar[tuple[str, ...]] = ()

    # Training.

    @abstractmethod
    def compile_arguments(self, network: Network, config: Config, weights: np.ndarray | None = None) -> dict[str, Any]:
        """Return loss, loss weights and training metrics as arguments for `keras.Model.compile`.

        `weights` are the class weights, float `(classes,)`.
        """

    @abstractmethod
    def targets(self, labels: Any, network: Network) -> Any:
        """Convert the labels of a feed's batch, arrays or tensors, to targets for every output."""

    @abstractmethod
    def class_weights(self, split: Split, classes: int, scheme: str) -> np.ndarray:
        """Return the class weights, float `(classes,)`; for `scheme`, see `cvlib.tasks.balance.balanced`."""

    @abstractmethod
    def training_metrics(self, logs: dict[str, float]) -> dict[str, float]:
        """Return the metrics to show, including "loss", from the logs of `fit`."""

    # Evaluation.

    def validated(self, network: Network) -> keras.Model:
        """Return the network with the outputs that `evaluate` needs."""
        return network.predictive()

    def validated_head(self, head: keras.Model, network: Network) -> keras.Model:
        """Return the head, `network.cut().head`, with the outputs that `evaluate` needs."""
        import keras

        outputs = head.output
        return keras.Model(head.input, outputs[network.outputs[0].name]) if isinstance(outputs, dict) else head

    def validated_with_loss(self, network: Network) -> keras.Model:
        """Return the network with the outputs that `validate` needs, which may include the loss."""
        return self.validated(network)

    def validate(self, validated: keras.Model, feed: Feed, classes: list[str], network: Network) -> Predictions:
        """Return the predictions for the validation split after an epoch."""
        return self.evaluate(validated, feed, classes)

    @abstractmethod
    def evaluate(self, validated: Predictor, feed: Feed, classes: list[str]) -> Predictions:
        """Return the network's predictions for a whole split, in the split's order."""

    def as_validated(self, served: Outputs, decision: Mapping[str, Any]) -> Any:
        """Convert the outputs of the saved network, for images of the network's size, to those of `validated`.

        `served` are the outputs for a batch, by name. `decision` is the one that the saved network includes.
        """
        return dict(served)

    def mean_logits(self, logits: Sequence[Any]) -> Any:
        """Return the logits of the mean of several networks' probabilities; each task with `averages` has it."""
        raise NotImplementedError

    def flip_averaged(self, validated: keras.Model) -> keras.Model:
        """Return a network that averages over each image and its mirror image; raise `UserError` if unsupported."""
        raise UserError(f"--tta is not available for {self.name}")

    def chooses_thresholds(self, classes: int) -> bool:
        """Return whether `model.thresholds` can choose thresholds for this number of classes."""
        return False

    def imported(self, source: Path, targets: Targets) -> Imported:
        """Return another tool's predictions for the test split; raise `UserError` if they can't be read."""
        raise UserError(f"cvlib import-predictions is not available for {self.name}")

    def metric(self, name: str) -> MetricSpec:
        """Return the metric with this name, with or without the split as a prefix (val/accuracy)."""
        return next(spec for spec in self.metrics if spec.name == name.rpartition("/")[2])

    def monitors(self) -> list[str]:
        """Return the allowed values of `trainer.monitor`, the default first."""
        return [f"val/{spec.name}" for spec in self.metrics]

    def shown_metrics(self, classes: int) -> list[str]:
        """Return the names of the metrics to show, the headline metric first."""
        return [spec.name for spec in self.metrics]

    # Visualization.

    @abstractmethod
    def samples(self, images: np.ndarray, labels: Any, dataset: Dataset) -> np.ndarray:
        """Return a picture, uint8 `(height, width, 3)`, of training images and labels from a feed."""

    def image_classes(self, split: Split) -> np.ndarray | None:
        """Return the class id that represents each image, int `(n,)`, or −1; None if the task has no such class."""
        return None

    def explained_classes(self, run: SavedRun, probabilities: np.ndarray) -> list[int]:
        """Return the class ids that Grad-CAM explains for an image; `probabilities` are `(classes,)`."""
        return [int(probabilities.argmax())]

    # Serving.

    @abstractmethod
    def inference(self, network: Network, decision: Mapping[str, Any] | None = None) -> keras.Model:
        """Return the network to save: raw images of any size, 0–255 → predictions.

        `decision` holds what was chosen on validation, see `Predictions.decision`; None before that.
        It consists of plain Keras layers and operations only, and shares the network's weights.
        """

    def fits(self, model: keras.Model, channels: int, classes: int) -> bool:
        """Return whether a saved network has this number of input channels and classes."""
        single = not isinstance(model.output, dict)
        return single and model.input_shape[-1] == channels and model.output_shape[-1] == classes

    def labels(self, classes: Sequence[str], spec: InputSpec, colours: np.ndarray | None = None) -> dict[str, Any]:
        """Return the content of labels.json, which describes the predictions; mask `colours` are `(classes, 3)`."""
        return {
            "task": self.name, "classes": list(classes), "channels": spec.channels, "image_size": list(spec.size),
            "resize": spec.resize, "range": list(spec.span or (spec.low, spec.high)),
            **({"tile_overlap": spec.overlap} if spec.tiled else {}),
            "colours": None if colours is None else colours.tolist(),
        }  # fmt: skip

    def agreement(self, expected: Outputs, found: Outputs, side: int) -> Agreement:
        """Compare the outputs of Keras and another runtime for one image, whose longer side has `side` pixels."""
        return agreement.of_probabilities(expected, found)

    def prediction_options(self, threshold: float | None) -> dict[str, float]:
        """Return the options for `predict_files` from the command line; raise `UserError` if unsupported or invalid."""
        if threshold is not None:
            raise UserError(f"--threshold is not available for {self.name}: leave it out")
        return {}

    @abstractmethod
    def predict_files(
        self, run: SavedRun, model: keras.Model, images: Iterable[Named], folder: Path, tell: Tell,
        **options: float,
    ) -> int:  # fmt: skip
        """Write predictions.json, predictions.csv and pictures to `folder`; return the number of images.

        `model` is the saved network. `tell` is called after each image.
        """

    @abstractmethod
    def values(self, run: SavedRun, model: keras.Model, images: Sequence[Picture]) -> list[Any]:
        """Return the prediction for each image as Python objects."""
