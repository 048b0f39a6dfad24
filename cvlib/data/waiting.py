"""How long training waits for its batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any


class Waiting:
    """Measures the time between the request for a batch and its arrival, summed over the batches of `timed`."""

    def __init__(self) -> None:
        self._in_graphs: list[Callable[[], float]] = []
        self._outside = 0.0

    @property
    def seconds(self) -> float:
        """The seconds so far."""
        return self._outside + sum(seconds() for seconds in self._in_graphs)

    def timed(self, batches: Iterable[Any]) -> Iterable[Any]:
        """Return the same batches, a dataset of TensorFlow or a generator; taking one adds the time that it takes."""
        if not hasattr(batches, "element_spec"):
            return self._generated(batches)
        from cvlib.data.tensorflow.waiting import timed

        dataset, seconds = timed(batches)
        self._in_graphs.append(seconds)
        return dataset

    def _generated(self, batches: Iterable[Any]) -> Iterator[Any]:
        iterator = iter(batches)
        while True:
            start = time.perf_counter()
            batch = next(iterator, None)
            self._outside += time.perf_counter() - start
            if batch is None:
                return
            yield batch
