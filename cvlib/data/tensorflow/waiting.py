"""How long training waits for the batches of a dataset."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from cvlib.data.tensorflow.pipeline import as_it_is


def timed(batches: tf.data.Dataset) -> tuple[Iterable[Any], Callable[[], float]]:
    """Return the same batches, and a function that returns the seconds that taking them has taken so far."""
    with tf.device("cpu"):
        seconds = tf.Variable(0.0, trainable=False, dtype=tf.float64)

    def now() -> Any:
        return tf.numpy_function(time.perf_counter, [], tf.float64)  # trainer.deterministic forbids tf.timestamp

    def stop(start: Any, batch: Any) -> Any:
        seconds.assign_add(now() - start)
        return batch

    # Keras takes a batch of a dataset within the compiled step. Zipping asks for its first part first.
    starts = tf.data.Dataset.range(tf.int64.max).map(as_it_is(lambda number: now()))
    dataset: Iterable[Any] = tf.data.Dataset.zip((starts, batches)).map(as_it_is(stop))
    return dataset, lambda: float(seconds)
