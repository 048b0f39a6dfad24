"""What only the feed on tf.data has: a graph that is traced once, and static shapes."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from cvlib.data.dataset import Split
from cvlib.data.labels import MASK
from cvlib.data.tensorflow import pixels
from tests.data.feeds import a_feed
from tests.data.test_pipeline import CHANGES, array_split


def test_a_new_epoch_does_not_retrace_the_graph(monkeypatch):
    traced = []
    original = pixels.clip
    monkeypatch.setattr(pixels, "clip", lambda images: traced.append(1) or original(images))
    feed = a_feed(array_split(7, (20, 20), 3), (8, 8), 3, 2, 0, CHANGES, True)
    traced_at_first = len(traced)
    for number in range(3):
        feed.epoch(number)
        assert len(list(feed.batches())) == 4
    assert len(traced) == traced_at_first > 0


def test_autotuning_is_off_because_it_can_block_the_deletion_of_an_iterator():
    feed = a_feed(array_split(), (8, 8), 1, 4, 0, shuffle=True)
    for number in range(2):
        feed.epoch(number, start=number)
        assert not feed.dataset.map(lambda *batch: batch).options().autotune.enabled


def test_the_shapes_of_images_are_static():
    images, labels = a_feed(array_split(channels=3), (16, 12), 3, 5, 0, CHANGES).dataset.element_spec
    assert images.shape.as_list() == [None, 16, 12, 3] and images.dtype == tf.float32
    assert labels.shape.as_list() == [None] and labels.dtype == tf.int32


def test_the_shapes_of_masks_are_static_even_with_augmentation():
    split = Split([str(i) for i in range(6)], np.zeros((6, 8, 8, 3), np.uint8), np.ones((6, 8, 8), np.uint8))
    for augmentation in (None, CHANGES):
        masks = a_feed(split, (16, 12), 3, 5, 0, augmentation, kind=MASK).dataset.element_spec[1]
        assert masks.shape.as_list() == [None, 16, 12] and masks.dtype == tf.int32
