"""Arrays of images: NumPy's .npz, MNIST's idx files and CIFAR's binary version."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.layouts.folders_on_disk import assert_refused, load, sizes_of

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (12, 7, 9), np.uint8)
COLOURS = RANDOM.integers(0, 256, (12, 32, 32, 3), np.uint8)
LABELS = np.arange(12) % 3


@pytest.fixture(autouse=True)
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to a new working folder, because the cache is written there."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "set").mkdir()
    return tmp_path / "set"


def _assert_equal(dataset, pictures: np.ndarray, classes: list[str]) -> None:
    """Check that each image has the pixels and the label of the array, whatever its split."""
    known = {picture.tobytes(): int(label) for picture, label in zip(pictures, LABELS, strict=True)}
    found = [(np.asarray(Image.open(file)).tobytes(), int(label)) for split in dataset.splits.values()
             for file, label in zip(split.images, split.labels, strict=True)]  # fmt: skip
    assert dict(found) == known and len(found) == len(pictures) and dataset.classes == classes


def test_npz_files_are_read_by_their_keys(root):
    parts = {"train": slice(0, 6), "val": slice(6, 9), "test": slice(9, 12)}
    arrays = {f"{split}_images": COLOURS[part] for split, part in parts.items()}
    arrays |= {f"{split}_labels": LABELS[part, None] for split, part in parts.items()}
    np.savez(root / "medmnist.npz", **arrays)
    for place in (root, root / "medmnist.npz"):
        dataset = load(place)
        assert sizes_of(dataset) == [6, 3, 3]
        _assert_equal(dataset, COLOURS, ["0", "1", "2"])


def test_npz_files_of_keras_and_several_labels_are_read(root):
    np.savez(root / "mnist.npz", x_train=GREY[:9], y_train=LABELS[:9], x_test=GREY[9:], y_test=LABELS[9:])
    _assert_equal(load(root, val_fraction=0.34), GREY, ["0", "1", "2"])
    np.savez(root / "mnist.npz", images=GREY, labels=np.array([[1, 0, 1], [0, 1, 1], [0, 1, 0]])[LABELS])
    dataset = load(root, "multilabel")
    assert dataset.classes == ["0", "1", "2"]


@pytest.mark.parametrize(("arrays", "words"), [
    ({"train_images": np.array([None, {}], object), "train_labels": LABELS[:2]}, "Python objects.*could run code"),
    ({"images": GREY.astype(np.float32), "labels": LABELS}, "float32 of shape.*expected uint8"),
    ({"images": GREY, "labels": LABELS[:5]}, "12 images but 5 labels"),
    ({"a": GREY}, "expected arrays such as train_images and train_labels.*found a"),
])  # fmt: skip
def test_npz_files_of_something_else_are_refused(root, arrays, words):
    np.savez(root / "a.npz", **arrays)
    assert_refused(words, root)


def _write_idx(file: Path, array: np.ndarray) -> None:
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)


@pytest.mark.parametrize("ending", ["-idx{}-ubyte.gz", "-idx{}-ubyte", ".idx{}-ubyte"])
def test_idx_files_are_read(root, ending):
    for start, part in (("train", slice(0, 9)), ("t10k", slice(9, 12))):
        _write_idx(root / f"{start}-images{ending.format(3)}", GREY[part])
        _write_idx(root / f"{start}-labels{ending.format(1)}", LABELS[part])
    dataset = load(root, val_fraction=0.34)
    assert sizes_of(dataset) == [6, 3, 3]
    _assert_equal(dataset, GREY, ["0", "1", "2"])


def test_damaged_or_single_idx_files_are_refused(root):
    _write_idx(root / "train-images-idx3-ubyte", GREY)
    assert_refused("no file of labels beside it: expected train-labels-idx1-ubyte", root)
    (root / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\1\0\0\0\x0c123")
    assert_refused("train-images-idx3-ubyte: can't be read", root)


def test_the_binary_version_of_cifar_is_read(root):
    names = ["plane", "car", "bird"]
    records = np.concatenate([LABELS[:, None].astype(np.uint8), COLOURS.transpose(0, 3, 1, 2).reshape(12, -1)], axis=1)
    (root / "data_batch_1.bin").write_bytes(records[:9].tobytes())
    (root / "test_batch.bin").write_bytes(records[9:].tobytes())
    (root / "batches.meta.txt").write_text("\n".join(names))
    dataset = load(root, val_fraction=0.34)
    assert dataset.classes == sorted(names) and sizes_of(dataset) == [6, 3, 3]
    found = {np.asarray(Image.open(file)).tobytes(): dataset.classes[label] for split in dataset.splits.values()
             for file, label in zip(split.images, split.labels, strict=True)}  # fmt: skip
    assert found == {picture.tobytes(): names[label] for picture, label in zip(COLOURS, LABELS, strict=True)}


def test_pickles_are_named_and_not_opened(root, tmp_path):
    (root / "data_batch_1").write_bytes(b"\x80\x02c__builtin__\nopen\nU\x01x.")
    assert_refused("data_batch_1 is a pickle, .*opening it could run code", root)
