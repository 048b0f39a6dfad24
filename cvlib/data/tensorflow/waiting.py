"""How long training waits for its batches."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf

from cvlib.data.tensorflow.pipeline import as_it_is


class Waiting:
    """Measures the time between the request for a batch and its arrival, summed over the batches of `timed`."""

    def __init__(self) -> None:
        with tf.device("cpu"):
            self._in_graph = tf.Variable(0.0, trainable=False, dtype=tf.float64)
        self._outside = 0.0

    @property
    def seconds(self) -> float:
        """The seconds so far."""
        return self._outside + float(self._in_graph)

    def timed(self, batches: Iterable[Any]) -> Iterable[Any]:
        """Return the same batches, a dataset or a generator; taking one adds the time that it takes."""
        if not isinstance(batches, tf.data.Dataset):
            return self._generated(batches)
        # Keras takes a batch of a dataset within the compiled step. Zipping asks for its first part first.
        starts = tf.data.Dataset.range(tf.int64.max).map(as_it_is(lambda number: tf.timestamp()))
        timed: Iterable[Any] = tf.data.Dataset.zip((starts, batches)).map(as_it_is(self._stop))
        return timed

    def _stop(self, start: Any, batch: Any) -> Any:
        self._in_graph.assign_add(tf.timestamp() - start)
        return batch

    def _generated(self, batches: Iterable[Any]) -> Iterator[Any]:
        iterator = iter(batches)
        while True:
            start = time.perf_counter()
            batch = next(iterator, None)
            self._outside += time.perf_counter() - start
            if batch is None:
                return
            yield batch
