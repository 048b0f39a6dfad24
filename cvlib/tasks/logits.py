"""What tasks have in common whose networks give logits, of images or of pixels, and maybe an auxiliary output."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cvlib.config.schema import Config
from cvlib.tasks.base import Task

if TYPE_CHECKING:
    import keras

    from cvlib.models.network import Network


class LogitsTask(Task):
    """A task whose first output is logits `(batch, …, classes)`; every output has the same targets and the same loss.

    Attributes:
        training_metric: the name of the metric that is shown of training, beside the loss.
    """

    training_metric: ClassVar[str]

    @abstractmethod
    def loss(self, config: Config, weights: np.ndarray | None) -> keras.losses.Loss:
        """Return the loss of one output; `weights` are what each class counts, float `(classes,)`."""

    @abstractmethod
    def accuracy(self) -> keras.metrics.Metric:
        """Return the metric that is named `training_metric`."""

    def compile_arguments(self, network: Network, config: Config, weights: np.ndarray | None = None) -> dict[str, Any]:
        """Return the loss for every output, an auxiliary one's by its weight; the metric is of the first alone."""
        outputs = network.outputs
        if len(outputs) == 1:
            return {"loss": self.loss(config, weights), "metrics": [self.accuracy()]}
        return {
            "loss": {output.name: self.loss(config, weights) for output in outputs},
            "loss_weights": {output.name: output.loss_weight for output in outputs},
            "metrics": {outputs[0].name: [self.accuracy()]},
        }

    def targets(self, stream: Any, network: Network, weights: np.ndarray | None) -> Any:
        """Return the stream with the labels for every output; weights of classes are part of the loss."""
        names = [output.name for output in network.outputs]
        if len(names) == 1:
            return stream
        return stream.map(lambda images, labels: (images, dict.fromkeys(names, labels)))

    def training_metrics(self, logs: dict[str, float]) -> dict[str, float]:
        """Return loss and accuracy of the first output, without an auxiliary one's.

        Where there are several outputs, Keras puts the output's name in front of its loss and its metrics.
        """
        shown = self.training_metric
        reported = next((key for key in logs if key == shown or key.endswith(f"_{shown}")), shown)
        own = reported.removesuffix(shown)
        return {"loss": float(logs.get(f"{own}loss", logs["loss"])), shown: float(logs.get(reported, float("nan")))}
