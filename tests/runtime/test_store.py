"""What is kept between runs: whole or not at all, bounded, the oldest gone first."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from cvlib.runtime import store


def test_arrays_come_back_as_they_were_put(tmp_path: Path) -> None:
    arrays = [np.arange(12, dtype=np.float32).reshape(3, 4), np.ones((3, 2), np.float32)]
    assert store.get(tmp_path, "a") is None
    assert store.put(tmp_path, "a", arrays, "something", 1e6)
    found = store.get(tmp_path, "a")
    assert found is not None
    for one, other in zip(arrays, found, strict=True):
        np.testing.assert_array_equal(one, other)
    (entry,) = store.listing(tmp_path)
    assert entry.about == "something"
    assert entry.size >= sum(array.nbytes for array in arrays)
    assert store.put(tmp_path, "a", arrays, "again", 1e6)  # by another process at the same time: no harm
    assert store.get(tmp_path, "a") is not None


def test_the_least_recently_used_goes_when_room_is_short(tmp_path: Path) -> None:
    arrays = [np.zeros(1000, np.uint8)]
    for age, name in ((300, "old"), (200, "used again"), (100, "new")):
        store.put(tmp_path, name, arrays, name, 1e6)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    store.get(tmp_path, "used again")
    assert store.put(tmp_path, "newest", arrays, "newest", 3 * 1250)
    assert {entry.path.name for entry in store.listing(tmp_path)} == {"used again", "new", "newest"}
    assert store.put(tmp_path, "last", arrays, "last", 2 * 1250)
    assert {entry.path.name for entry in store.listing(tmp_path)} == {"newest", "last"}


def test_more_than_the_limit_is_not_kept(tmp_path: Path) -> None:
    assert not store.put(tmp_path, "a", [np.zeros(1000, np.uint8)], "a", 999)
    assert store.listing(tmp_path) == []


def test_half_written_and_damaged_ones_are_no_hits(tmp_path: Path) -> None:
    (tmp_path / "b.77.partial").mkdir(parents=True)
    store.put(tmp_path, "a", [np.zeros(1000, np.uint8)], "a", 1e6)
    (tmp_path / "a/0.npy").write_bytes(b"\x93NUMPY")
    assert store.get(tmp_path, "a") is None
    assert [entry.path.name for entry in store.listing(tmp_path)] == ["a"]
    store.put(tmp_path, "a", [np.ones(3)], "a", 1e6)
    assert store.get(tmp_path, "a") is not None


def test_what_a_killed_process_left_half_written_counts_after_a_day_and_goes_first(tmp_path: Path) -> None:
    left = tmp_path / "b.77.partial"
    left.mkdir(parents=True)
    (left / "0.npy").write_bytes(b"0" * 1000)
    store.put(tmp_path, "a", [np.zeros(100, np.uint8)], "a", 1e6)
    os.utime(left, (time.time() - 90000,) * 2)
    assert {entry.path.name for entry in store.listing(tmp_path)} == {"a", "b.77.partial"}
    store.make_room(tmp_path, 1100)
    assert [entry.path.name for entry in store.listing(tmp_path)] == ["a"]
