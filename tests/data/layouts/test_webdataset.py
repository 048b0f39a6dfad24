"""WebDataset shards, written here with `tarfile` as the `webdataset` package writes them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.layouts.folders_on_disk import assert_refused, load


@pytest.fixture(autouse=True)
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to a new working folder, because the cache is written there."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def _image(number: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (8, 12, 3), np.uint8)).save(content, "PNG")
    return content.getvalue()


def _write_shard(path: Path, samples: dict[str, dict[str, bytes]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for key, files in samples.items():
            for suffix, content in files.items():
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def _numbered(first: int, count: int, label: str = "cls") -> dict[str, dict[str, bytes]]:
    """Return samples whose class is the parity of their number."""
    texts = {"cls": lambda i: str(i % 2).encode(), "json": lambda i: json.dumps({"label": i % 2, "url": "x"}).encode()}
    return {f"{i:06d}": {"png": _image(i), label: texts[label](i)} for i in range(first, first + count)}


@pytest.mark.parametrize("label", ["cls", "json"])
def test_images_labels_and_splits_are_read(tmp_path: Path, label: str) -> None:
    _write_shard(tmp_path / "set/birds-train-000000.tar", _numbered(0, 8, label))
    _write_shard(tmp_path / "set/birds-train-000001.tar", _numbered(8, 4, label))
    _write_shard(tmp_path / "set/birds-val-000000.tar", _numbered(12, 2, label))
    _write_shard(tmp_path / "set/birds-test-000000.tar", _numbered(14, 3, label))
    dataset = load(tmp_path / "set")
    assert dataset.classes == ["0", "1"] and [len(split) for split in dataset.splits.values()] == [12, 2, 3]
    numbers = {_image(number): number for number in range(17)}
    for split in dataset.splits.values():
        assert [numbers[Path(str(file)).read_bytes()] % 2 for file in split.images] == list(split.labels)


def test_class_names_and_split_folders_are_read(tmp_path: Path) -> None:
    _write_shard(tmp_path / "set/train/0.tar", _numbered(0, 8))
    _write_shard(tmp_path / "set/test/0.tar", _numbered(8, 4))
    (tmp_path / "set/classnames.txt").write_text("cat\ndog\n")
    dataset = load(tmp_path / "set", val_fraction=0.25)
    assert dataset.classes == ["cat", "dog"] and [len(split) for split in dataset.splits.values()] == [6, 2, 4]


def test_a_single_shard_is_read_and_incomplete_samples_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = _numbered(0, 12) | {"a": {"png": _image(20)}, "b": {"cls": b"1"}, "c": {"txt": b"a caption"}}
    _write_shard(tmp_path / "one.tar", samples)
    dataset = load(tmp_path / "one.tar")
    assert sum(len(split) for split in dataset.splits.values()) == 12
    assert "left out: 3 samples without an image or a label" in capsys.readouterr().out


def test_members_with_paths_outside_the_archive_stay_inside_the_cache(tmp_path: Path) -> None:
    """Member names are never used as paths."""
    _write_shard(tmp_path / "one.tar", {f"../../{key}": files for key, files in _numbered(0, 12).items()})
    assert sum(len(split) for split in load(tmp_path / "one.tar").splits.values()) == 12
    assert not [file for file in tmp_path.rglob("*") if file.name.startswith("00000") and "work" not in file.parts]


def test_a_truncated_shard_is_named_in_the_error(tmp_path: Path) -> None:
    _write_shard(tmp_path / "set/0.tar", _numbered(0, 8))
    _write_shard(tmp_path / "set/1.tar", _numbered(8, 8))
    content = (tmp_path / "set/1.tar").read_bytes()
    (tmp_path / "set/1.tar").write_bytes(content[: len(content) // 2 + 100])
    assert "1.tar: can't be read" in assert_refused("can't be read", tmp_path / "set")


def test_a_plain_archive_of_class_folders_is_not_a_shard(tmp_path: Path) -> None:
    _write_shard(tmp_path / "plain.tar", {f"{'ab'[i % 2]}/{i}": {"png": _image(i)} for i in range(12)})
    assert load(tmp_path / "plain.tar").classes == ["a", "b"]
