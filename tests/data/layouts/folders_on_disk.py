"""Helpers that write and load folders of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data import labels
from cvlib.runtime.errors import UserError


def write_images(folder: Path, count: int, kind: str = "png", colour: bool = True, size=(6, 4)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        shape = (size[1], size[0], 3) if colour else (size[1], size[0])
        noise = np.random.default_rng([i, *folder.as_posix().encode()]).integers(0, 256, shape, np.uint8)
        Image.fromarray(noise).save(folder / f"{i}.{kind}")


def load(path: Path, task: str = "classification", **options) -> data.Dataset:
    return data.load(DataConfig(name="folder", path=str(path), **options), 0, labels.named(task))


def sizes_of(dataset: data.Dataset) -> list[int]:
    return [len(split) for split in (dataset.train, dataset.val, dataset.test)]


def assert_refused(words: str, path: Path, task: str = "classification", **options) -> str:
    with pytest.raises(UserError, match=words) as caught:
        load(path, task, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)
