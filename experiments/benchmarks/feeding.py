"""How fast images reach the network, as ratios measured in one run: `python experiments/benchmarks/feeding.py DATA`.

DATA is a folder per class with train and val above the classes. Each figure is the median of `--rounds` rounds in
which every contender comes once, in turn: what else the machine does then hits all of them alike.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from cvlib import backend, data
from cvlib.config import AugmentConfig, DataConfig
from cvlib.data.dataset import Dataset

SIDE, BATCH = 160, 32
STANDARD = Path(__file__).parents[2] / "conf/augment/standard.yaml"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    backend.import_quietly()
    dataset = data.load(DataConfig(name="folder", path=str(chosen.data)), 0, "classification")
    count = len(dataset.train)
    contenders = {"plain decoding (floor)": _plain(chosen.data), "keras, the same layers mapped": _keras(chosen.data),
                  "cvlib": _ours(dataset, None), "cvlib, cached": _ours(dataset, "memory")}  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for epoch in range(chosen.rounds + 1):  # the first round warms up, and fills the cache
        for name, stream in contenders.items():
            started = time.perf_counter()
            for _ in stream(epoch):
                pass
            if epoch:
                seconds[name].append(time.perf_counter() - started)
    rates = {name: count / statistics.median(taken) for name, taken in seconds.items()}
    base = rates["keras, the same layers mapped"]
    print(f"\n{count} images at {SIDE} px, augment=standard, median of {chosen.rounds} epochs each")
    for name, rate in rates.items():
        print(f"{name:<32}{rate:>8.0f} images/s{rate / base:>8.2f} × keras")
    _waiting(dataset)


def _ours(dataset: Dataset, kept: str | None) -> Callable[[int], Iterable[Any]]:
    from cvlib.data.cache import Cache
    from cvlib.data.pipeline import Feed

    strengths = AugmentConfig(**yaml.safe_load(STANDARD.read_text()))
    cache = Cache(len(dataset.train), (SIDE, SIDE, 3), 4e9) if kept else None
    feed = Feed(dataset.train, (SIDE, SIDE), 3, BATCH, 0, strengths, shuffle=True, cache=cache)

    def epoch(number: int) -> Iterable[Any]:
        feed.epoch(number)
        return feed.dataset

    return epoch


def _keras(folder: Path) -> Callable[[int], Iterable[Any]]:
    """keras.utils.image_dataset_from_directory and the layers that do what augment=standard does."""
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


def _waiting(dataset: Dataset) -> None:
    """The share of a training step that `cnn` at 96 px waits for its images, and the memory it takes."""
    import keras

    from cvlib import models
    from cvlib.config import Config, ModelConfig
    from cvlib.data.pipeline import Feed
    from cvlib.tasks import classification

    strengths = AugmentConfig(**yaml.safe_load(STANDARD.read_text()))
    feed = Feed(dataset.train, (96, 96), 3, BATCH, 0, strengths, shuffle=True)
    model = models.build(ModelConfig(), (96, 96, 3), len(dataset.classes))
    model.compile("adam", **classification.compile_arguments(model, Config()))
    waited = computed = 0.0
    peaks = []
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
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)
    keras.utils.clear_session()
    print(f"cnn at 96 px waits for images {waited / (waited + computed):.1%} of its time "
          f"({1000 * waited / feed.steps:.1f} of {1000 * (waited + computed) / feed.steps:.1f} ms a step)")  # fmt: skip
    print(f"peak memory after each epoch: {', '.join(f'{peak:.0f} MB' for peak in peaks)}")


if __name__ == "__main__":
    main()
