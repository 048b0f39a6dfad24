"""A network's metrics on corrupted images: fifteen corruptions in five strengths; see `cvlib.data.corruptions`."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cvlib import tasks
from cvlib.data import corruptions, resize
from cvlib.data.cache import Cache
from cvlib.data.feed import Feed
from cvlib.data.input_spec import InputSpec
from cvlib.data.make_feed import make_feed
from cvlib.data.split import Split, image_sizes
from cvlib.evaluation.samples import Samples
from cvlib.models.restore import SavedRun
from cvlib.runs.corruptions import Corruptions, Measured
from cvlib.runtime import store
from cvlib.runtime.clock import duration
from cvlib.runtime.live import Bar, is_live
from cvlib.tasks import saved
from cvlib.tasks.base import Predictor

_SEED = 0  # one for all runs, so that all of them see the same corrupted images


class Corrupter:
    """Corrupts the images of a feed: at the network's input size, and without the padding of a letterbox.

    `name` and `strength` select the corruption; they can be changed before each iteration over the feed.
    """

    def __init__(self, split: Split, spec: InputSpec, seed: int = _SEED):
        self.name, self.strength, self._seed = next(iter(corruptions.BY_NAME)), 0, seed
        self._names = list(split.names)
        self._regions = [_region(int(height), int(width), spec) for height, width in image_sizes(split).tolist()]

    def __call__(self, images: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """Return the corrupted images, uint8 `(n, height, width, channels)`."""
        corrupt, found = corruptions.BY_NAME[self.name], np.array(images)
        for place, index in enumerate(indices.tolist()):
            region = self._regions[index]
            generator = corruptions.generator(self.name, self._seed, self._names[index])
            found[place][region] = corrupt(images[place][region], self.strength, generator)
        return found


def _region(height: int, width: int, spec: InputSpec) -> tuple[slice, slice]:
    """Return the rows and columns of the network's input that show the image; tiled images are corrupted whole."""
    if spec.tiled:
        return slice(None), slice(None)
    scale_x, scale_y, left, top = resize.placement(height, width, spec.size, spec.resize).tolist()
    return (slice(math.floor(top), math.ceil(top + height * scale_y - 1e-3)),
            slice(math.floor(left), math.ceil(left + width * scale_x - 1e-3)))  # fmt: skip


def measure(
    run: SavedRun, network: Predictor, samples: Samples, clean: dict[str, float], names: Sequence[str],
    strengths: Sequence[int], say: Callable[[str], None] = print,
) -> Corruptions:  # fmt: skip
    """Evaluate a network on corrupted images.

    Args:
        run: the run that the network belongs to.
        network: has the outputs of the task's `validated`.
        samples: the images.
        clean: the metrics without corruption, by name.
        names: names of the corruptions.
        strengths: 0 (without corruption) to 5.
        say: receives the progress, if it can't be redrawn on a terminal.
    """
    task, decision = tasks.of_config(run.config), saved.labels(run)
    shown = [name for name in task.shown_metrics(len(run.classes)) if name in clean]
    corrupter = Corrupter(samples.split, run.spec)
    feed = _feed(run, samples.split, corrupter)
    progress = _Progress(len(names) * len(strengths), len(strengths), say)
    rows: list[Measured] = []
    for family, members in corruptions.FAMILIES.items():
        for corrupter.name in (name for name in members if name in names):
            for corrupter.strength in strengths:
                feed.epoch(0)
                found = task.evaluate(network, feed, run.classes).decided(decision).metrics()
                rows.append(Measured(family, corrupter.name, corrupter.strength, {name: found[name] for name in shown}))
                progress.step(corrupter.name)
    progress.close()
    return Corruptions(len(samples.split), {name: clean[name] for name in shown}, rows)


def _feed(run: SavedRun, split: Split, corrupter: Corrupter) -> Feed:
    """Return the feed of the run's evaluation with corrupted images, whose files are decoded only once."""
    kind, data = tasks.of_config(run.config).label_kind, run.config.data
    cache = None
    if not isinstance(split.images, np.ndarray) and not run.spec.tiled:
        cache = Cache(len(split), kind.stored_shape(run.spec), data.cache_gb * store.GIGABYTE)
    return make_feed(split, run.spec, kind, data.batch_size, run.config.seed, cache=cache, change=corrupter)


class _Progress:
    """The number of finished evaluations and the time left: a bar on a terminal, otherwise a line per corruption."""

    def __init__(self, total: int, each: int, say: Callable[[str], None]):
        self._bar, self._say, self._total, self._each = Bar("corruptions", total), say, total, each
        self._done, self._started = 0, time.monotonic()
        self._live = is_live(sys.stderr)

    def step(self, name: str) -> None:
        self._done += 1
        self._bar.show(self._done, lambda: name.replace("_", " "))
        if not self._live and self._done % self._each == 0 and self._done < self._total:
            left = (time.monotonic() - self._started) / self._done * (self._total - self._done)
            self._say(f"{name.replace('_', ' ')} done ({self._done} of {self._total}), {duration(left)} left")

    def close(self) -> None:
        self._bar.clear()


def write(found: Corruptions, metric: str, folder: Path) -> list[str]:
    """Write the table and a picture of one metric; return the names of the files."""
    from cvlib.viz import heat_map, pictures

    found.write(folder)
    values = np.array([[found.values(metric, name).get(strength, math.nan) for strength in found.strengths]
                       for name in found.names])  # fmt: skip
    title = f"{metric} under corruption; without: {found.clean[metric]:.4f}"
    names = [name.replace("_", " ") for name in found.names]
    picture = heat_map.heat_map(values, names, [str(strength) for strength in found.strengths], "strength", title)
    pictures.save_png(picture, folder / "corruptions.png")
    return ["corruptions.csv", "corruptions.png"]


def lines(found: Corruptions, metric: str) -> list[str]:
    """Return the table of one metric as lines of text, with a sentence about its mean."""
    from cvlib.viz.text_table import ruled

    table, mean = ruled(found.table(metric)), found.mean_text(metric)
    return ["", *table, *([f"mean {metric} under corruption: {mean}"] if mean else [])]
