"""A classifier's head: pooling if the base outputs a map, dropout, and one dense layer of logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cvlib.config.fields import Options, option
from cvlib.models.backbone import Backbone
from cvlib.models.head import Built, Features, Head, Output

if TYPE_CHECKING:
    import keras


@dataclass
class DenseOptions(Options):
    """The options of a dense head."""

    dropout: float = option(0.0, low=0, high=0.95)  # before the last layer, if the base outputs a map
    label_smoothing: float = option(0.0, low=0, high=0.9)  # share of the target spread evenly over all classes
    # How thresholds are chosen on validation: f1 | precision:P | recall:R, see `cvlib.tasks.thresholds.Rule`. None: f1
    # for several classes per image; otherwise no threshold, and the most probable class is predicted.
    thresholds: str | None = None
    temperature_scaling: bool = True  # calibrate probabilities on validation, see `cvlib.tasks.temperature`


class Dense(Head):
    """Logits `(batch, classes)`, and in training those of the auxiliary classifier if the backbone has one."""

    name = "dense"
    options = DenseOptions
    feature_levels = False
    base_key = None
    class_layers = ("logits",)

    def build(self, options: DenseOptions, backbone: Backbone, features: Features, classes: int) -> Built:
        """Add the layers; the network can be cut after the pooling, if any, because nothing before it is random."""
        from keras import layers

        (x,) = features.maps
        if len(x.shape) == 4:
            x = layers.GlobalAveragePooling2D(name="pooled")(x)
        cut = [x]
        if len(features.maps[0].shape) == 4 and options.dropout:
            x = layers.Dropout(options.dropout, name="head_dropout")(x)
        outputs = [Output("logits", layers.Dense(classes, dtype="float32", name="logits")(x))]
        if features.tap is not None:
            logits, fixed = backbone.auxiliary_head(features.tap, classes)
            outputs.append(Output("auxiliary", logits, features.tap_weight, training_only=True))
            cut.append(fixed)
        return Built(outputs, cut)

    def start_on_loaded_base(self, last: keras.layers.Layer) -> None:
        """Initialize the weights to 0, so that every class starts with a score of 0.

        This follows Big Transfer (Kolesnikov et al., 2020). Networks without BatchNorm have large features. Random
        weights on them cause a large loss, from which training takes epochs to recover. A network trained from scratch
        learns faster with random weights.
        """
        from keras import ops

        last.kernel.assign(ops.zeros(last.kernel.shape, last.kernel.dtype))


HEAD = Dense()
