"""The cache between runs: complete entries, a size limit, and removal of the least recently used."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from cvlib.runtime import store


def test_stored_arrays_are_returned_unchanged(tmp_path: Path) -> None:
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
    assert store.put(tmp_path, "a", arrays, "again", 1e6)  # as if another process stored it at the same time
    assert store.get(tmp_path, "a") is not None


def test_the_least_recently_used_entries_are_removed_first(tmp_path: Path) -> None:
    arrays = [np.zeros(1000, np.uint8)]
    for age, name in ((300, "old"), (200, "used again"), (100, "new")):
        store.put(tmp_path, name, arrays, name, 1e6)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    store.get(tmp_path, "used again")
    assert store.put(tmp_path, "newest", arrays, "newest", 3 * 1250)
    assert {entry.path.name for entry in store.listing(tmp_path)} == {"used again", "new", "newest"}
    assert store.put(tmp_path, "last", arrays, "last", 2 * 1250)
    assert {entry.path.name for entry in store.listing(tmp_path)} == {"newest", "last"}


def test_an_entry_above_the_limit_is_not_stored(tmp_path: Path) -> None:
    assert not store.put(tmp_path, "a", [np.zeros(1000, np.uint8)], "a", 999)
    assert store.listing(tmp_path) == []


def test_partial_and_damaged_entries_are_not_returned(tmp_path: Path) -> None:
    (tmp_path / "b.77.partial").mkdir(parents=True)
    store.put(tmp_path, "a", [np.zeros(1000, np.uint8)], "a", 1e6)
    (tmp_path / "a/0.npy").write_bytes(b"\x93NUMPY")
    assert store.get(tmp_path, "a") is None
    assert [entry.path.name for entry in store.listing(tmp_path)] == ["a"]
    store.put(tmp_path, "a", [np.ones(3)], "a", 1e6)
    assert store.get(tmp_path, "a") is not None


def test_partial_entries_count_after_a_day_and_are_removed_first(tmp_path: Path) -> None:
    partial_entry = tmp_path / "b.77.partial"
    partial_entry.mkdir(parents=True)
    (partial_entry / "0.npy").write_bytes(b"0" * 1000)
    store.put(tmp_path, "a", [np.zeros(100, np.uint8)], "a", 1e6)
    os.utime(partial_entry, (time.time() - 90000,) * 2)
    assert {entry.path.name for entry in store.listing(tmp_path)} == {"a", "b.77.partial"}
    store.make_room(tmp_path, 1100)
    assert [entry.path.name for entry in store.listing(tmp_path)] == ["a"]
