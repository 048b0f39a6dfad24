"""Measure the input pipeline at 160 px with and without augmentation, and how long a training step waits for images."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import measure
from measure import Row, timed
from shipped import augment_config, model_config

from cvlib import data as datasets
from cvlib.config.schema import Config, DataConfig
from cvlib.data.dataset import Dataset
from cvlib.data.input_spec import InputSpec
from cvlib.training import devices

SIDE, BATCH = 160, 32


def feeding(quick: bool, data: Path | None = None, **_: Any) -> list[Row]:
    """Measure cvlib, Keras' layers in `map`, and bare tf.data, which only decodes and resizes without antialiasing."""
    if data is None:
        return [measure.left_out("feeding", "needs --data, images in class folders")]
    devices.import_quietly()
    dataset = datasets.load(DataConfig(name="folder", path=str(data)), 0)
    keras, note = "keras, the same layers mapped", f"{len(dataset.train):,} images of {data.name}"
    bare, plain, without = "bare tf.data", "cvlib, augment=none", "cvlib without TensorFlow"
    contenders = {bare: _plain(data), plain: _ours(dataset, "none"), keras: _keras(data),
                  "cvlib": _ours(dataset), "cvlib, cached": _ours(dataset, cached=True),
                  without: _ours(dataset, threaded=True)}  # fmt: skip
    turns: dict[str, measure.Turns] = {name: [] for name in contenders}
    for epoch in range(2 if quick else 4):  # the first epoch is a warm-up and fills the cache
        for name, stream in contenders.items():
            cost = timed(lambda: sum(1 for _ in stream(epoch)), len(dataset.train))  # noqa: B023  (called at once)
            if epoch:
                turns[name].append({"feeding": cost})
                print(f"  {name}, round {epoch}: {cost.rate:.0f} images/s", flush=True)
    rows = [measure.faster(f"feeding, {name}", "images/s", turns[name], turns[keras], "feeding", keras, note=note)
            for name in ("cvlib", "cvlib, cached")]  # fmt: skip
    unchanged = measure.faster(f"feeding, {plain}", "images/s", turns[plain], turns[bare], "feeding", bare, note=note)
    threaded = measure.faster(f"feeding, {without}", "images/s", turns[without], turns["cvlib"], "feeding",
                              "cvlib with TensorFlow", note=note)  # fmt: skip
    return [*rows, unchanged, threaded, _waiting(dataset)]


def _ours(
    dataset: Dataset, augment: str = "standard", cached: bool = False, threaded: bool = False
) -> Callable[[int], Iterable[Any]]:
    from cvlib.data.cache import Cache
    from cvlib.data.make_feed import make_feed
    from cvlib.data.threaded.pipeline import ThreadedFeed

    spec = InputSpec(SIDE, SIDE, 3)
    cache = Cache(len(dataset.train), dataset.kind.stored_shape(spec), 4e9) if cached else None
    feed = make_feed(dataset.train, spec, dataset.kind, BATCH, seed=0, augmentation=augment_config(augment),
                     shuffle=True, cache=cache)  # fmt: skip
    if threaded:
        feed = ThreadedFeed(feed.samples, feed.batch_size, feed.order)

    def epoch(number: int) -> Iterable[Any]:
        feed.epoch(number)
        return feed.dataset

    return epoch


def _keras(folder: Path) -> Callable[[int], Iterable[Any]]:
    """Return keras.utils.image_dataset_from_directory with layers equivalent to augment=standard."""
    import keras
    import tensorflow as tf

    layers = [
        keras.layers.RandomFlip("horizontal", dtype="float32"),
        keras.layers.RandomRotation(10 / 360, fill_mode="nearest", dtype="float32"),
        keras.layers.RandomZoom((-0.23, 0.0), fill_mode="nearest", dtype="float32"),
        keras.layers.RandomColorJitter((0, 255), 0.15, 0.2, (0.4, 0.6), 0.02, dtype="float32"),
        keras.layers.RandomGaussianBlur((1.0, 1.0), 3, (0.0, 0.5), dtype="float32"),
    ]
    stream = _from_directory(folder)
    for layer in layers:
        stream = stream.map(lambda x, y, layer=layer: (layer(x, training=True), y), tf.data.AUTOTUNE)
    return lambda _: stream.prefetch(tf.data.AUTOTUNE)


def _plain(folder: Path) -> Callable[[int], Iterable[Any]]:
    stream = _from_directory(folder)
    return lambda _: stream


def _from_directory(folder: Path) -> Any:
    import keras

    return keras.utils.image_dataset_from_directory(
        folder / "train", image_size=(SIDE, SIDE), batch_size=BATCH, shuffle=True, seed=0, verbose=False
    )


def _waiting(dataset: Dataset) -> Row:
    """Measure the share of a training step for which `cnn` at 96 px waits for images."""
    from cvlib import tasks
    from cvlib.data.make_feed import make_feed
    from cvlib.models.network import build

    config, spec = Config(model_config("cnn")), InputSpec(96, 96, 3)
    feed = make_feed(dataset.train, spec, dataset.kind, BATCH, seed=0, augmentation=augment_config("standard"),
                     shuffle=True)  # fmt: skip
    network = build(config.model, spec, len(dataset.classes))
    model = network.model
    model.compile("adam", **tasks.of_config(config).compile_arguments(network, config))
    waited = computed = 0.0
    for epoch in range(2):
        feed.epoch(epoch)
        batches = iter(feed.dataset)
        while True:
            started = time.perf_counter()
            batch = next(batches, None)
            arrived = time.perf_counter()
            if batch is None:
                break
            model.train_on_batch(*batch)
            if epoch:
                waited, computed = waited + arrived - started, computed + time.perf_counter() - arrived
    return Row("waiting for images, cnn at 96 px", "% of a step", 100 * waited / (waited + computed), "",
               date=time.strftime("%Y-%m-%d"))  # fmt: skip
