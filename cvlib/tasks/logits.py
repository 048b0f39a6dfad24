"""Shared code for tasks whose networks return logits of images or pixels, and possibly auxiliary outputs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cvlib.config.schema import Config
from cvlib.data.augmentation import mixes
from cvlib.tasks import temperature
from cvlib.tasks.agreement import Outputs
from cvlib.tasks.base import Task

if TYPE_CHECKING:
    import keras

    from cvlib.models.network import Network

_LEAST = 1e-37  # about the smallest probability above 0 in float32


class LogitsTask(Task):
    """A task whose first output is logits `(batch, …, classes)`. Every output has the same targets and the same loss.

    Attributes:
        training_metric: the name of the metric that is shown during training, beside the loss.
    """

    training_metric: ClassVar[str]
    averages = True

    @abstractmethod
    def loss(self, config: Config, weights: np.ndarray | None) -> keras.losses.Loss:
        """Return the loss of one output; `weights` are the class weights, float `(classes,)`."""

    @abstractmethod
    def accuracy(self, mixed: bool = False) -> keras.metrics.Metric:
        """Return the metric named `training_metric`; with `mixed`, its targets are the shares of all classes."""

    def compile_arguments(self, network: Network, config: Config, weights: np.ndarray | None = None) -> dict[str, Any]:
        """Return the loss for every output, weighted by its loss weight, and the metric for the first output only."""
        outputs, accuracy = network.outputs, self.accuracy(mixes(config.augmentation))
        if len(outputs) == 1:
            return {"loss": self.loss(config, weights), "metrics": [accuracy]}
        return {
            "loss": {output.name: self.loss(config, weights) for output in outputs},
            "loss_weights": {output.name: output.loss_weight for output in outputs},
            "metrics": {outputs[0].name: [accuracy]},
        }

    def mean_logits(self, logits: Sequence[Any]) -> Any:
        """Return logits whose softmax is the mean of the softmax of each; all are tensors `(…, classes)`."""
        from keras import ops

        mean = sum(ops.softmax(one) for one in logits) / len(logits)
        return ops.log(ops.maximum(mean, 1e-37))

    def targets(self, labels: Any, network: Network) -> Any:
        """Return the labels for every output; those of mixed images become shares of classes, see `class_shares`."""
        names = [output.name for output in network.outputs]
        if isinstance(labels, dict):
            labels = class_shares(labels, network.classes)
        return labels if len(names) == 1 else dict.fromkeys(names, labels)

    def training_metrics(self, logs: dict[str, float]) -> dict[str, float]:
        """Return loss and accuracy of the first output, without those of auxiliary outputs.

        If there are several outputs, Keras prefixes the names of losses and metrics with the output's name.
        """
        shown = self.training_metric
        reported = next((key for key in logs if key == shown or key.endswith(f"_{shown}")), shown)
        prefix = reported.removesuffix(shown)
        return {"loss": float(logs.get(f"{prefix}loss", logs["loss"])), shown: float(logs.get(reported, float("nan")))}

    def as_validated(self, served: Outputs, decision: Mapping[str, Any]) -> np.ndarray:
        """Return logits for the probabilities of the saved network, `(batch, …, classes)`; see `Task.as_validated`."""
        (probabilities,) = served.values()
        return self.logits_of(probabilities.astype(np.float64)) * temperature.of_decision(decision)

    def logits_of(self, probabilities: np.ndarray) -> np.ndarray:
        """Return logits whose softmax is `probabilities`. The lowest one is −85, that of the smallest float32."""
        logits: np.ndarray = np.log(np.maximum(probabilities, _LEAST))
        return logits


def class_shares(labels: Mapping[str, Any], classes: int) -> Any:
    """Return the share of each class in mixed images, float32 `(batch, classes)`.

    `labels` has the "labels" of the images that a sample was mixed from, int `(batch, 2)` or, for sets of classes,
    `(batch, 2, M)` padded with −1, and their "shares" `(batch, 2)`. For single classes, the result sums to 1.
    """
    from keras import ops

    marks = ops.one_hot(labels["labels"], classes, dtype="float32")
    marks = ops.max(marks, axis=2) if len(marks.shape) == 4 else marks
    return ops.sum(marks * ops.expand_dims(labels["shares"], -1), axis=1)


def mixed_caption(captions: Sequence[str], shares: Sequence[float]) -> str:
    """Return the caption of a mixed image, such as "60 % cat, 40 % dog"."""
    return ", ".join(f"{100 * share:.0f} % {caption}" for caption, share in zip(captions, shares, strict=True))
