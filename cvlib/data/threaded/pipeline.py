"""The feed without TensorFlow: threads prepare the next batches while the network is trained on the present one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from cvlib.data.feed import Feed
from cvlib.data.order import Order
from cvlib.data.samples import Samples
from cvlib.data.threaded import pixels
from cvlib.runtime.errors import RunFailed, UserError
from cvlib.runtime.hardware import usable_cores

_PREFETCHED = 4  # batches, or as many as there are cores
_MOST_PREFETCHED = 16  # batches, which limits the memory

Batch = tuple[Any, Any]


class ThreadedFeed(Feed):
    """A `Feed` of NumPy arrays."""

    def __init__(self, samples: Samples, batch_size: int, order: Order):
        super().__init__(samples, batch_size, order)
        self.epoch(0)

    def epoch(self, number: int, start: int = 0, mosaics: bool = True) -> None:
        self._number, self._start, self._mosaics = number, start, mosaics

    @property
    def dataset(self) -> Batches:
        """The batches of the selected epoch, for Keras; each access begins anew."""
        return self._batches(lambda labels: labels)

    def batches(self) -> Iterable[tuple[np.ndarray, Any]]:
        return iter(self.dataset)

    def with_targets(self, targets: Callable[[Any], Any]) -> Iterable[Any]:
        return self._batches(targets)

    def _batches(self, targets: Callable[[Any], Any]) -> Batches:
        indices, drawn = self.order.epoch(self._number, self._mosaics)
        rows = self.rows * self.order.tiles

        number, start, samples = self._number, self._start, self.samples

        def make(step: int) -> Batch:
            chosen = slice((start + step) * rows, (start + step + 1) * rows)
            return samples.finish(samples.read(indices[chosen], drawn[chosen], number), pixels)

        return Batches(make, targets, self.steps - start)


class Batches(keras.utils.PyDataset):
    """Batches that threads make in advance, in order: `make(step)` returns images and labels.

    The thread that asks for a batch converts the labels with `targets`, because this may compute with Keras.
    """

    def __init__(self, make: Callable[[int], Batch], targets: Callable[[Any], Any], steps: int):
        super().__init__()
        self.make, self.targets, self.steps = make, targets, steps
        cores = usable_cores()
        self.ahead = min(max(_PREFETCHED, cores), _MOST_PREFETCHED)
        self.pool = ThreadPoolExecutor(cores, "feed")  # its threads end when this object is deleted
        self.waiting: dict[int, Future[Batch]] = {}

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        return (self[step] for step in range(self.steps))

    def __getitem__(self, step: int) -> Batch:
        for following in range(step, min(step + self.ahead, self.steps)):
            if following not in self.waiting:
                self.waiting[following] = self.pool.submit(self.make, following)
        try:
            images, labels = self.waiting.pop(step).result()
        except UserError as error:  # of a file damaged in the meantime; a UserError would discard the run
            raise RunFailed(str(error)) from error
        return images, self.targets(labels)
