"""The order of the samples depends on seed and epoch alone; mosaics and shares."""

from __future__ import annotations

import numpy as np
import pytest

from cvlib.data.order import Order, Share


def test_each_epoch_has_every_sample_once_in_a_new_order() -> None:
    order = Order(23, 23, seed=1, shuffle=True, streams=("hue",))
    first, draws = order.epoch(0)
    assert sorted(first) == list(range(23)) and draws.shape == (23, 1)
    assert order.epoch(0)[0].tolist() == first.tolist() != order.epoch(1)[0].tolist()
    assert Order(23, 23, seed=1).epoch(4)[0].tolist() == list(range(23))


@pytest.mark.parametrize("tiles", [1, 4])
@pytest.mark.parametrize(("images", "count", "multiple"), [(25, 2, 4), (24, 3, 6), (60, 4, 4), (5, 2, 2), (1, 2, 4)])
def test_shares_joined_in_the_order_of_the_processes_are_the_batches(
    images: int, count: int, multiple: int, tiles: int
) -> None:
    whole, draws = (part.reshape(images, -1) for part in Order(23, images, 5, True, ("hue",), tiles).epoch(3))
    shares = [Share(index, count, 12, multiple) for index in range(count)]
    parts = [Order(23, images, 5, True, ("hue",), tiles, share).epoch(3) for share in shares]
    for number, start in enumerate(range(0, images, 12)):
        for expected, own in ((whole, [part[0] for part in parts]), (draws, [part[1] for part in parts])):
            rows = expected[start : start + 12]
            batches = [part.reshape(-1, tiles)[number * (12 // count) :][: 12 // count] for part in own]
            joined = np.concatenate(batches)
            np.testing.assert_array_equal(joined[: len(rows)], rows)
            assert len({len(batch) for batch in batches}) == 1 and len(joined) % multiple == 0
            assert len(joined) - len(rows) < multiple and (joined[len(rows) :] == rows[-1]).all()


def test_the_images_of_a_mosaic_depend_on_seed_epoch_and_index_alone() -> None:
    order = Order(9, 9, 3, streams=("mosaic", "rotation"), tiles=4)
    rows, draws = order.epoch(1)
    assert rows.shape == (36,) and draws.shape == (36, 2)
    assert rows[::4].tolist() == list(range(9))
    assert set(rows) <= set(range(9))
    shuffled, shuffled_draws = Order(9, 9, 3, True, ("mosaic", "rotation"), 4).epoch(1)
    positions = np.argsort(shuffled[::4])
    np.testing.assert_array_equal(shuffled.reshape(9, 4)[positions].reshape(-1), rows)
    np.testing.assert_array_equal(shuffled_draws.reshape(9, 4, 2)[positions].reshape(-1, 2), draws)
    assert order.epoch(2)[0].tolist() != rows.tolist()
    assert len(np.unique(draws)) == draws.size  # each image of a mosaic has its own random numbers


def test_without_mosaics_only_the_decision_to_join_differs() -> None:
    order = Order(9, 9, 3, True, ("mosaic", "rotation"), 4)
    rows, draws = order.epoch(1)
    found, others = order.epoch(1, mosaics=False)
    assert found.tolist() == rows.tolist()
    assert (others[:, 0] == 1).all() and np.array_equal(others[:, 1], draws[:, 1])
    assert Order(9, 9, 3).epoch(0, mosaics=False)[0].tolist() == list(range(9))


def test_an_epoch_longer_than_the_split_starts_it_again() -> None:
    once, draws = Order(5, 5, 0, True, ("hue",)).epoch(2)
    rows, more = Order(5, 12, 0, True, ("hue",)).epoch(2)
    assert rows[:5].tolist() == once.tolist() and np.array_equal(more[:5], draws)
    assert sorted(rows[5:10]) == list(range(5)) and len(rows) == 12
    assert len(np.unique(more)) == 12


STRATA = np.repeat([0, 1, 2, -1], [700, 80, 20, 200])


@pytest.mark.parametrize("epoch", range(3))
def test_balanced_classes_are_drawn_equally_often(epoch: int) -> None:
    """Samples without a class keep their share, and within a class all samples are drawn equally often."""
    rows, draws = Order(1000, 1000, 7, True, ("hue",), strata=STRATA).epoch(epoch)
    counts = np.bincount(STRATA[rows] + 1)
    np.testing.assert_allclose(counts / 1000, [0.2, 0.8 / 3, 0.8 / 3, 0.8 / 3], atol=0.002)
    rare = np.bincount(rows[STRATA[rows] == 2])[780:800]
    assert rare.min() >= 13 and rare.max() <= 14
    assert len(set(zip(rows.tolist(), draws[:, 0].tolist(), strict=True))) == 1000  # different random numbers each time


def test_a_balanced_epoch_depends_on_seed_and_number_alone_and_can_be_shared() -> None:
    order = Order(1000, 600, 7, True, ("hue",), strata=STRATA)
    rows, draws = order.epoch(2)
    again = Order(1000, 600, 7, True, ("hue",), strata=STRATA).epoch(2)
    assert np.array_equal(rows, again[0]) and np.array_equal(draws, again[1])
    assert not np.array_equal(rows, order.epoch(3)[0])
    shares = [Order(1000, 600, 7, True, ("hue",), share=Share(index, 2, 60, 2), strata=STRATA).epoch(2)[0]
              for index in (0, 1)]  # fmt: skip
    assert np.array_equal(np.concatenate([share.reshape(-1, 30) for share in shares], axis=1).reshape(-1), rows)
