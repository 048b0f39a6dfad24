"""BatchNorm in training: a momentum that suits short runs, and one fused operation instead of about twelve."""

from __future__ import annotations

import functools
from typing import Any

import keras

from cvlib.models.call_adapter import leaves, replace_call
from cvlib.runtime import backend


def prepare(model: keras.Model, momentum: float | None) -> None:
    """Set the momentum of every BatchNorm layer, and use TensorFlow's fused kernels for its training step.

    With Keras' default momentum of 0.99, the moving averages of a short run are still near their initial values when
    it is evaluated. With 300 images, the training accuracy reaches 1.0 while the test accuracy stays at chance level.

    Args:
        model: the model whose layers are changed in place.
        momentum: the momentum of the moving averages; None keeps each layer's own.
    """
    for layer in leaves(model):
        if not isinstance(layer, keras.layers.BatchNormalization):
            continue
        if momentum is not None:
            layer.momentum = momentum
        if backend.name() == "tensorflow" and not (layer.renorm or layer.synchronized):
            replace_call(layer, functools.partial(_call, layer))


def _call(layer: keras.layers.BatchNormalization, keras_call: Any, inputs: Any, training: bool | None = None,
          mask: Any = None) -> Any:  # fmt: skip
    """Compute the layer's output, with a fused operation when training on images `(batch, height, width, channels)`.

    All other cases are left to Keras. Keras computes the training step with separate operations, each of which reads
    or writes the whole array (for bfloat16, a copy in float32). When training ResNet50 on a CPU, they take 13 % of the
    time in float32 and 27 % in bfloat16.
    """
    if not (training and layer.trainable) or mask is not None or len(inputs.shape) != 4 or layer.axis not in (-1, 3):
        return keras_call(inputs, training=training, mask=mask)
    import tensorflow as tf

    channels = inputs.shape[-1]
    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        inputs,
        layer.gamma if layer.scale else tf.ones(channels),
        layer.beta if layer.center else tf.zeros(channels),
        epsilon=layer.epsilon,
    )
    count = tf.cast(tf.size(inputs) // channels, variance.dtype)
    variance *= (count - 1) / count  # TensorFlow returns the unbiased variance; Keras uses the biased one
    for average, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        average.assign(average * layer.momentum + value * (1 - layer.momentum))
    return outputs
