"""What labels mean, one file a task; `of(name)` gives its module.

Every task has the same functions, which the training loop and the evaluation call:

    METRICS                 the names that `metrics` gives, the headline one first
    compile_arguments       loss and training metrics, as `keras.Model.compile` takes them
    targets                 the feed's stream with its labels as the network's outputs need them
    training_metrics        what a person wants to see of what `fit` reported, "loss" among it
    network                 the network with what validation needs as its output
    evaluate                what a network says of a whole split: scores, which know their `metrics()`
    results                 a row per sample of test_results.csv
    by_class                a row per class, and CLASS_METRIC, the column that says how well it is done
    worst                   indices of the samples that are done worst
    flip_averaged           the network that also looks at each image's mirror image
    inference               the network as it is saved: raw images of any size → predictions in their pixels
    samples, pictures       what TensorBoard shows of the training samples, and of a network's scores
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib.config.schema import Config

if TYPE_CHECKING:
    import keras


def of(task: str) -> Any:
    """The module of a task: classification, detection or segmentation."""
    return import_module(f"cvlib.tasks.{task}")


def loss_and_metric(model: keras.Model, config: Config, loss: Callable[[], Any], metric: Any) -> dict[str, Any]:
    """What `keras.Model.compile` takes: the loss for every output, an auxiliary one's by its weight; the metric for the
    logits alone."""
    if model.output_names == ["logits"]:
        return {"loss": loss(), "metrics": [metric]}
    shares = {name: 1.0 if name == "logits" else config.model.auxiliary_weight for name in model.output_names}
    return {"loss": {name: loss() for name in shares}, "loss_weights": shares, "metrics": {"logits": [metric]}}


def of_logits(logs: dict[str, float], metric: str) -> dict[str, float]:
    """The loss and that metric of the logits out of what Keras reports, without an auxiliary output's."""
    value = logs.get(f"logits_{metric}", logs.get(metric, float("nan")))
    return {"loss": float(logs.get("logits_loss", logs["loss"])), metric: float(value)}


def balanced(counts: np.ndarray, how: str) -> np.ndarray:
    """What each class weighs in the loss, by how often it occurs: float `(classes,)`, the mean over all samples is 1.

    `how` is "balanced", in inverse proportion, so that k classes count 1/k each, or "sqrt", by the square root of
    that, where the rare ones are so rare that full balance would drown the frequent ones. 0 for what never occurs.
    """
    rarity = np.where(counts > 0, counts.sum() / np.maximum(counts, 1), 0.0) ** {"balanced": 1.0, "sqrt": 0.5}[how]
    return np.asarray(rarity * counts.sum() / max((rarity * counts).sum(), 1))


def shown_metrics(task: str, classes: int) -> list[str]:
    """The metrics that a person is shown, the headline one first: no top-5 accuracy where it can't but be 1."""
    return [name for name in of(task).METRICS if name != "top5_accuracy" or classes > 5]
