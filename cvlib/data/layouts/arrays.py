"""Files that hold all images of a split in one array: NumPy's .npz, MNIST's idx, and CIFAR's binary version.

They are converted once to image files and a table in the cache folder, which is then read like any other. Nothing in
them is executed: arrays of Python objects are refused.
"""

from __future__ import annotations

import csv
import gzip
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
from PIL import Image

from cvlib.data.layouts import containers, names
from cvlib.runtime import store
from cvlib.runtime.errors import UserError

_OTHERS = (".csv", ".tsv", ".jpg", ".jpeg", ".png", ".xml", ".bmp", ".tif", ".tiff")
_IDX = re.compile(r"(?i)(.*)(images|labels)[-.]idx[13]-ubyte(\.gz)?")
_CIFAR = re.compile(r"(data_batch_\d|test_batch|train|test)\.bin")
_CIFAR_NAMES = ("batches.meta.txt", "fine_label_names.txt")
_IMAGE_WORDS, _LABEL_WORDS = {"x", "image", "images", "imgs", "data"}, {"y", "label", "labels", "target", "targets"}


@dataclass(frozen=True)
class Part:
    """The images of one split, uint8 (number, height, width[, 1, 3 or 4 channels]), and their labels."""

    split: str
    images: np.ndarray
    labels: list[str]


def files_of(root: Path) -> list[Path]:
    """Return the files of arrays that `root` is or contains; [] if it also contains images or tables."""
    if root.is_file():
        return [root] if _is_known(root) else []
    suffixes = (".npz", ".gz", ".bin", ".idx3-ubyte", ".idx1-ubyte", "")
    return [file for file in containers.files_in(root, suffixes, 3, _OTHERS) if _is_known(file)]


def _is_known(file: Path) -> bool:
    if file.suffix.lower() == ".npz":
        return True
    if _CIFAR.fullmatch(file.name):
        return any(file.stat().st_size % size == 0 for size in (3073, 3074))
    return _IDX.fullmatch(file.name) is not None


def unpacked(root: Path, files: list[Path]) -> Path:
    """Return the cache folder with the images of `files` and their labels.csv; write it on the first call.

    Raises `UserError` for files that can't be read, and for arrays that aren't images of 8 bits with their labels.
    """
    if root.is_file() and (match := _IDX.fullmatch(root.name)):  # the labels are in another file
        beside = sorted(root.parent.iterdir())
        files = [file for file in beside if (own := _IDX.fullmatch(file.name)) and own[1] == match[1]]
    folder = store.root("outputs") / "arrays"
    return store.made_once(folder, files, f"images of {root.name}", lambda home: _write(files, home))


def _write(files: list[Path], home: Path) -> None:
    print(f"writing the images of {files[0].parent} to the cache")
    rows = [["file", "label", "split"]]
    for part in _parts(files):
        folder = home / "images" / part.split
        folder.mkdir(parents=True, exist_ok=True)
        for picture, label in zip(part.images, part.labels, strict=True):
            name = f"images/{part.split}/{len(rows) - 1:07d}.png"
            grey = picture.ndim == 3 and picture.shape[2] == 1
            Image.fromarray(picture[..., 0] if grey else picture).save(home / name)
            rows.append([name, label, part.split])
    with (home / "labels.csv").open("w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows(rows)


def _parts(files: list[Path]) -> Iterator[Part]:
    try:
        for file in files:
            if file.suffix.lower() == ".npz":
                yield from _of_npz(file)
            elif file.suffix.lower() == ".bin":
                yield _of_cifar(file)
            elif (match := _IDX.fullmatch(file.name)) and match[2].lower() == "images":
                yield _of_idx(file, match[1], files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{file}: can't be read: {' '.join(str(error).split())[:200]}") from error


# NumPy: train_images and train_labels, x_train and y_train, or images and labels


def _of_npz(file: Path) -> Iterator[Part]:
    with np.load(file, allow_pickle=False) as opened:
        found: dict[str, dict[str, str]] = {}
        for key in opened.files:
            words = set(names.words(key))
            role = "images" if words & _IMAGE_WORDS else "labels" if words & _LABEL_WORDS else ""
            found.setdefault(names.split_in(key) or "train", {}).setdefault(role, key)
        complete = {split: keys for split, keys in found.items() if {"images", "labels"} <= keys.keys()}
        if not complete:
            raise UserError(f"{file}: expected arrays such as train_images and train_labels, or x_train and y_train, "
                            f"found {', '.join(opened.files[:6])}: save the images as PNG")  # fmt: skip
        for split, keys in complete.items():
            try:
                images, labels = opened[keys["images"]], opened[keys["labels"]]
            except ValueError as error:  # NumPy's message recommends to allow pickles
                raise UserError(f"{file}: its arrays hold Python objects, and opening them could run code: save the "
                                "images as uint8 arrays of one size") from error  # fmt: skip
            yield _checked(file, Part(split, images, _labels(labels)))


def _labels(array: np.ndarray) -> list[str]:
    """Return labels as text: one class, or the numbers of all classes that an image has, joined by |."""
    if array.ndim == 2 and array.shape[1] > 1:
        return ["|".join(map(str, np.flatnonzero(row))) for row in array]
    return [str(label) for label in array.reshape(-1).tolist()]


def _checked(file: Path, part: Part) -> Part:
    shape = part.images.shape
    if part.images.dtype != np.uint8 or len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3, 4)):
        raise UserError(f"{file}: its images are {part.images.dtype} of shape {shape}, expected uint8 (number, height, "
                        "width) or (number, height, width, 3): convert them, or save them as PNG")  # fmt: skip
    if len(part.labels) != len(part.images):
        raise UserError(f"{file}: it has {len(part.images)} images but {len(part.labels)} labels in {part.split}")
    return part


# MNIST: train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz


def _of_idx(file: Path, start: str, files: list[Path]) -> Part:
    labels = next((other for other in files if (match := _IDX.fullmatch(other.name)) and other.parent == file.parent
                   and match[1] == start and match[2].lower() == "labels"), None)  # fmt: skip
    if labels is None:
        expected = file.name.replace("images", "labels").replace("idx3", "idx1")
        raise UserError(f"{file}: there is no file of labels beside it: expected {expected}")
    images = _idx(file)
    if "emnist" in file.name.lower():  # EMNIST's images are stored column by column
        images = images.swapaxes(1, 2)
    split = "test" if "t10k" in start.lower() else names.split_in(start) or "train"
    return _checked(file, Part(split, images, _labels(_idx(labels))))


def _idx(file: Path) -> np.ndarray:
    opener = gzip.open if file.suffix.lower() == ".gz" else open
    with cast("IO[bytes]", opener(file, "rb")) as opened:
        header = opened.read(4)
        if len(header) < 4 or header[:3] != b"\0\0\x08":
            raise ValueError("it is not an idx file of bytes")
        shape = np.frombuffer(opened.read(4 * header[3]), ">u4").astype(int)
        size = int(shape.prod())
        return np.frombuffer(opened.read(size), np.uint8, size).reshape(shape)


# CIFAR: records of one label (CIFAR-100: two), then 32 × 32 pixels for each colour


def _of_cifar(file: Path) -> Part:
    content = np.fromfile(file, np.uint8)
    width = 3073 if file.name.startswith(("data_batch", "test_batch")) else 3074
    if len(content) % width:
        raise ValueError(f"its length is not a multiple of {width} bytes")
    records = content.reshape(-1, width)
    images = records[:, -3072:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    listed = next((file.parent / name for name in _CIFAR_NAMES if (file.parent / name).is_file()), None)
    known = [] if listed is None else listed.read_text("utf-8").split()
    labels = [known[label] if label < len(known) else str(label) for label in records[:, -3073].tolist()]
    return Part("test" if file.name.startswith("test") else "train", images, labels)
