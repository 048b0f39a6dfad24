"""Training images a second against the same U-Net written bare: `python experiments/benchmarks/segmentation.py`.

Both see the same scenes at 96 px in batches of 8, in turns within one process; printed is each turn and the ratio of
the medians. Ours has the feed, the checks for ignored pixels, and the accuracy of pixels;
the bare one has tf.data, Keras' cross-entropy and nothing else.
"""

from __future__ import annotations

import resource
import statistics
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
import yaml
from keras import layers

from cvlib import models
from cvlib.config import AugmentConfig, Config, DataConfig, ModelConfig
from cvlib.data.dataset import Split
from cvlib.data.pipeline import Feed
from cvlib.data.scenes import digit_scenes
from cvlib.tasks import segmentation

_SCENES, _BATCH, _TURNS = 960, 8, 4


def bare(filters: list[int], most: int, classes: int) -> keras.Model:
    """The layers of conf/model/segmenter.yaml, one after the other, with `most` filters at most on the way up."""

    def convolution(x: Any, width: int, kernel: int = 3) -> Any:
        x = layers.Conv2D(width, kernel, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    image = keras.Input((96, 96, 3))
    x, levels = layers.Rescaling(1 / 255)(image), []
    for width in filters:
        x = convolution(convolution(x, width), width)
        levels.append(x)
        x = layers.MaxPooling2D()(x)
    for level, width in zip(reversed(levels), reversed(filters), strict=True):
        width = min(width, most)
        x = x if x.shape[-1] == width else convolution(x, width, kernel=1)
        x = layers.Concatenate()([layers.UpSampling2D(interpolation="bilinear")(x), level])
        x = convolution(x, width)
    return keras.Model(image, layers.Conv2D(classes, 1)(x))


def seconds(model: keras.Model, stream: tf.data.Dataset) -> float:
    """CPU seconds of an epoch: on a machine with other work the clock on the wall says little."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    model.fit(stream, verbose=0)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    settings = yaml.safe_load((Path(__file__).parents[2] / "conf" / "model" / "segmenter.yaml").read_text())
    config = Config(ModelConfig(**settings))
    classes, parts, _ = digit_scenes(DataConfig(samples=round(_SCENES / 0.7)), "segmentation")
    train: Split = parts[0]

    ours = models.build(config.model, (96, 96, 3), len(classes))
    ours.compile("adam", **segmentation.compile_arguments(ours, config))
    feed = Feed(train, (96, 96), 3, _BATCH, 0, augmentation=AugmentConfig(), shuffle=True, task="segmentation")
    theirs = bare(config.model.filters, config.model.decoder_filters, len(classes))
    theirs.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    stream = tf.data.Dataset.from_tensor_slices((train.images, train.labels)).shuffle(len(train)).batch(_BATCH)
    stream = stream.map(lambda images, truth: (tf.cast(images, tf.float32), truth)).prefetch(tf.data.AUTOTUNE)
    print(f"{ours.count_params():,} parameters here, {theirs.count_params():,} bare")

    rates: dict[str, list[float]] = {"here": [], "bare": []}
    for turn in range(_TURNS + 1):
        for name, model, data in (("here", ours, feed.dataset), ("bare", theirs, stream)):
            rate = len(train) / seconds(model, data)
            if turn:  # the first turn traces and warms up
                rates[name].append(rate)
                print(f"turn {turn}: {name} {rate:.1f} images per CPU second")
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"here / bare: {medians['here'] / medians['bare']:.2f}")


if __name__ == "__main__":
    main()
