"""The index of a large collection gives the same dataset as the files and is not used after a file has changed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from cvlib import data
from cvlib.data import index, preflight
from tests.data.layouts.folders_on_disk import load, write_images


@pytest.fixture
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(index, "_MIN_SAMPLES", 10)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for split, count in (("train", 9), ("test", 3)):
        for name in ("cat", "dög"):
            write_images(tmp_path / "set" / split / name, count)
    (tmp_path / "set" / "train" / "cat" / "8.png").write_bytes(
        (tmp_path / "set" / "test" / "cat" / "0.png").read_bytes()
    )
    return tmp_path / "set"


def _forbid_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make any further scan of a file fail."""

    def refuse(*_: object) -> None:
        raise AssertionError("a file was scanned")

    monkeypatch.setattr(preflight, "scan_sample", refuse)


def _same(one: data.Dataset, other: data.Dataset) -> bool:
    for split, again in zip(one.splits.values(), other.splits.values(), strict=True):
        assert (split.names, split.images, split.digests) == (again.names, again.images, again.digests)
        for array, same in ((split.labels, again.labels), (split.sizes, again.sizes), (split.groups, again.groups)):
            np.testing.assert_array_equal(array, same)
    attributes = ("classes", "channels", "size", "notes", "layout", "read_as", "span", "skipped")
    return all(getattr(one, name) == getattr(other, name) for name in attributes)


def test_the_second_load_uses_the_index_of_the_first(collection: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(collection)
    assert any("exact copies in train" in note for note in first.notes)
    with monkeypatch.context() as context:
        _forbid_scans(context)
        assert _same(first, load(collection))
        assert len(load(collection, fraction=0.5).train) < len(first.train)  # the index allows another fraction
        with pytest.raises(AssertionError, match="a file was scanned"):
            load(collection, verify="full")
        with pytest.raises(AssertionError, match="a file was scanned"):
            load(collection, merge={"animal": ["cat"]})
    assert _same(first, load(collection, verify="full"))


@pytest.mark.parametrize("change", ["content", "time", "new", "deleted", "name"])
def test_any_change_of_a_file_invalidates_the_index(
    collection: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    load(collection)
    file = collection / "train" / "cat" / "3.png"
    if change == "content":
        file.write_bytes(b"no image")
        os.utime(file, ns=(1, 1))
    elif change == "time":
        os.utime(file, ns=(1, 1))
    elif change == "new":
        write_images(collection / "train" / "cow", 2)
    elif change == "deleted":
        file.unlink()
    else:
        file.rename(file.with_name("33.png"))
    _forbid_scans(monkeypatch)
    with pytest.raises(AssertionError, match="a file was scanned"):
        load(collection)


def test_a_damaged_index_is_rebuilt(collection: Path) -> None:
    first = load(collection)
    (file,) = Path("outputs/cache/index").glob("*.npz")
    file.write_bytes(file.read_bytes()[:200])
    assert _same(first, load(collection))
    assert _same(first, load(collection))


def test_no_index_is_written_for_a_small_collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "set" / "a", 6)
    write_images(tmp_path / "set" / "b", 6)
    load(tmp_path / "set")
    assert not Path("outputs").exists()
