"""The time that training waits for its batches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cvlib.data.waiting import Waiting

SLOW = 0.05  # seconds for each of five batches


def slow(number: Any) -> Any:
    time.sleep(SLOW)
    return np.int64(number)


def dataset() -> tf.data.Dataset:
    return tf.data.Dataset.range(5).map(lambda number: tf.numpy_function(slow, [number], tf.int64))


def generator() -> Iterator[Any]:
    return (slow(number) for number in range(5))


@pytest.mark.parametrize("batches", [dataset, generator])
def test_the_time_until_a_batch_arrives_is_counted_and_the_batches_stay_the_same(batches: Any) -> None:
    waiting = Waiting()
    assert [int(number) for number in waiting.timed(batches())] == [0, 1, 2, 3, 4]
    assert 5 * SLOW <= waiting.seconds < 20 * SLOW


def test_the_time_between_two_requests_is_not_counted() -> None:
    waiting = Waiting()
    for _ in waiting.timed(tf.data.Dataset.range(5)):
        time.sleep(SLOW)
    assert waiting.seconds < SLOW


def test_batches_that_were_prepared_during_a_step_are_not_waited_for() -> None:
    waiting = Waiting()
    for _ in waiting.timed(dataset().prefetch(2)):
        time.sleep(4 * SLOW)
    assert waiting.seconds < 3 * SLOW


def test_the_number_of_batches_is_known() -> None:
    assert int(Waiting().timed(dataset()).cardinality()) == 5  # type: ignore[attr-defined]
