"""Packed sequences: equal to the lists that they replace, and small."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from cvlib.data.packed import HexCodec, Packed, PathCodec
from cvlib.data.split import Split, joined

FILES = [Path("/a/ö b.jpg"), Path("/a"), Path("/a/b/c.png"), Path(os.fsdecode(b"/a/\xff.png"))]


@pytest.fixture
def files() -> Packed[Path]:
    return Packed.of(FILES, PathCodec())


def test_items_are_those_of_the_list(files: Packed[Path]) -> None:
    assert list(files) == FILES and files == FILES and files == FILES and files[1:3] == FILES[1:3]
    assert (files[0], files[-1], len(files)) == (FILES[0], FILES[-1], 4)
    assert FILES[2] in files and files.index(FILES[2]) == 2 and list(reversed(files)) == FILES[::-1]
    assert files != FILES[:3] and files != [*FILES[:3], Path("/b")] and not Packed.of([], PathCodec())
    with pytest.raises(IndexError):
        files[4]


def test_chosen_items_survive_joining_storing_and_pickling(files: Packed[Path]) -> None:
    chosen = files.take([3, 0])
    assert chosen == [FILES[3], FILES[0]] and chosen.take(np.array([1])) == [FILES[0]]
    assert Packed.joined([chosen, files.take([]), files]) == [FILES[3], FILES[0], *FILES]
    assert Packed.from_arrays(chosen.arrays(), PathCodec()) == chosen
    assert pickle.loads(pickle.dumps(chosen)) == chosen


def test_a_split_takes_and_joins_them(files: Packed[Path]) -> None:
    digests = Packed.of(["0f", "a0", "00", "11"], HexCodec())
    split = Split(list("abcd"), files, np.arange(4), digests)
    parts = split.take([2, 1]), split.take([0])
    whole = joined(parts)
    assert isinstance(whole.images, Packed) and whole.images == [FILES[2], FILES[1], FILES[0]]
    assert whole.digests == ["00", "a0", "0f"]
    mixed = joined([parts[0], Split(["x"], [Path("x")], np.arange(1), ["11"])])
    assert mixed.images == [FILES[2], FILES[1], Path("x")]
