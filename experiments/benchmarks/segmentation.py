"""Training of `model=segmenter` against the same U-Net in plain Keras, and of its three decoders against each other.

Both train on the same scenes at 96 px with batch size 8, without the auxiliary classifier. cvlib uses its feed, masks
ignored pixels and computes the pixel accuracy. Plain Keras uses only tf.data and its cross-entropy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import measure
from measure import Cost, Row, timed

SCENES, BATCH = 640, 8
Turn = Callable[[], dict[str, Cost]]


def segmentation(quick: bool, **_: Any) -> list[Row]:
    """Train both for one epoch per turn."""
    turns = measure.in_turns({"ours": (ours, ()), "bare": (bare, ())}, 1 if quick else 3)
    return [measure.faster("segmenter training", "images/s", turns["ours"], turns["bare"], "training", "bare fit")]


def decoders(quick: bool, **_: Any) -> list[Row]:
    """Train with unpooling, and with the two other decoders, for one epoch per turn on one core."""
    scenes = 48 if quick else SCENES // 4
    contenders = {name: (ours, (name, scenes)) for name in ("unpool", "transpose", "interpolate")}
    turns = measure.in_turns(contenders, 1 if quick else 5, one_core=True)
    return [measure.faster("segmenter with model.decoder=unpool on one core, training", "images/s", turns["unpool"],
                           turns[other], "training", f"model.decoder={other}", target=target)
            for other, target in (("transpose", "≥ 1"), ("interpolate", ""))]  # fmt: skip


def ours(decoder: str = "interpolate", scenes: int = SCENES) -> Turn:
    """Prepare the network, loss, optimizer and feed of `python run.py model=segmenter model.decoder=…`."""
    from cvlib import tasks
    from cvlib.config.schema import AugmentConfig, Config
    from cvlib.data.input_spec import InputSpec
    from cvlib.data.labels import MASK
    from cvlib.data.make_feed import make_feed
    from cvlib.training import devices
    from cvlib.transfer import regimes

    config, classes, train = Config(_settings(decoder)), *_scenes(scenes)
    devices.start(config)
    from cvlib.models.network import build
    from cvlib.training import batch_norm, optimizer

    spec = InputSpec(96, 96, 3)
    network, task = build(config.model, spec, classes), tasks.of_config(config)
    model = network.model
    batch_norm.prepare(model, config.trainer.bn_momentum)
    phase = regimes.phases(config.mode, config.trainer.epochs)[0]
    update = optimizer.build(config, network, phase, model.trainable_variables, steps_per_epoch=1, first_steps={})
    model.compile(update, **task.compile_arguments(network, config))
    feed = make_feed(train, spec, MASK, BATCH, seed=0, augmentation=AugmentConfig(), shuffle=True)
    stream = feed.with_targets(lambda labels: task.targets(labels, network))
    return lambda: {"training": timed(lambda: model.fit(stream, shuffle=False, verbose=0), len(train))}


def _settings(decoder: str) -> Any:
    from shipped import model_config

    return model_config("segmenter", decoder=decoder, auxiliary_weight=0.0)


def _scenes(count: int) -> tuple[int, Any]:
    from cvlib.config.schema import DataConfig
    from cvlib.data.labels import MASK
    from cvlib.data.scenes import digit_scenes

    classes, parts, _ = digit_scenes(DataConfig(samples=round(count / 0.7)), MASK)
    return len(classes), parts[0]


def bare() -> Turn:
    """Prepare the layers of conf/model/segmenter.yaml in plain Keras."""
    import keras
    import tensorflow as tf
    from keras import layers

    config, (classes, train) = _settings("interpolate"), _scenes(SCENES)

    def convolution(x: Any, width: int, kernel: int = 3) -> Any:
        x = layers.Conv2D(width, kernel, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    image = keras.Input((96, 96, 3))
    x, levels = layers.Rescaling(1 / 255)(image), []
    for width in config.backbone_options.filters:
        x = convolution(convolution(x, width), width)
        levels.append(x)
        x = layers.MaxPooling2D()(x)
    for level in reversed(levels):
        width = min(level.shape[-1], config.head_options.decoder_filters)
        x = x if x.shape[-1] == width else convolution(x, width, kernel=1)
        x = convolution(layers.Concatenate()([layers.UpSampling2D(interpolation="bilinear")(x), level]), width)
    model = keras.Model(image, layers.Conv2D(classes, 1)(x))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    stream = tf.data.Dataset.from_tensor_slices((train.images, train.labels)).shuffle(len(train)).batch(BATCH)
    stream = stream.map(lambda images, truth: (tf.cast(images, tf.float32), truth)).prefetch(tf.data.AUTOTUNE)
    return lambda: {"training": timed(lambda: model.fit(stream, verbose=0), len(train))}
