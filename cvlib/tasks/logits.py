"""Shared code for tasks whose networks return logits of images or pixels, and possibly auxiliary outputs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cvlib.config.schema import Config
from cvlib.tasks.base import Task

if TYPE_CHECKING:
    import keras

    from cvlib.models.network import Network


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
    def accuracy(self) -> keras.metrics.Metric:
        """Return the metric named `training_metric`."""

    def compile_arguments(self, network: Network, config: Config, weights: np.ndarray | None = None) -> dict[str, Any]:
        """Return the loss for every output, weighted by its loss weight, and the metric for the first output only."""
        outputs = network.outputs
        if len(outputs) == 1:
            return {"loss": self.loss(config, weights), "metrics": [self.accuracy()]}
        return {
            "loss": {output.name: self.loss(config, weights) for output in outputs},
            "loss_weights": {output.name: output.loss_weight for output in outputs},
            "metrics": {outputs[0].name: [self.accuracy()]},
        }

    def mean_logits(self, logits: Sequence[Any]) -> Any:
        """Return logits whose softmax is the mean of the softmax of each; all are tensors `(…, classes)`."""
        from keras import ops

        mean = sum(ops.softmax(one) for one in logits) / len(logits)
        return ops.log(ops.maximum(mean, 1e-37))

    def targets(self, stream: Any, network: Network, weights: np.ndarray | None) -> Any:
        """Return the stream with the labels for every output; class weights are part of the loss."""
        names = [output.name for output in network.outputs]
        if len(names) == 1:
            return stream
        return stream.map(lambda images, labels: (images, dict.fromkeys(names, labels)))

    def training_metrics(self, logs: dict[str, float]) -> dict[str, float]:
        """Return loss and accuracy of the first output, without those of auxiliary outputs.

        If there are several outputs, Keras prefixes the names of losses and metrics with the output's name.
        """
        shown = self.training_metric
        reported = next((key for key in logs if key == shown or key.endswith(f"_{shown}")), shown)
        prefix = reported.removesuffix(shown)
        return {"loss": float(logs.get(f"{prefix}loss", logs["loss"])), shown: float(logs.get(reported, float("nan")))}
