"""The fingerprint changes with the data, and with nothing else."""

from __future__ import annotations

import dataclasses
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data.dataset import Boxes, Split


@pytest.fixture
def collection(tmp_path):
    for split in ("train", "val", "test"):
        for label, name in enumerate(("a", "b")):
            (tmp_path / "one" / split / name).mkdir(parents=True)
            for i in range(3):
                image = Image.new("RGB", (4, 4), (i * 9, label * 50, len(split)))
                image.save(tmp_path / "one" / split / name / f"{i}.png")
    return tmp_path / "one"


def _fingerprint(path, **options):
    return data.fingerprint(data.load(DataConfig(name="folder", path=str(path), **options), seed=0))


def test_the_fingerprint_has_sixteen_hex_digits_and_is_repeatable(collection):
    first = _fingerprint(collection)
    assert len(first) == 16 and int(first, 16) >= 0
    assert first == _fingerprint(collection)


def test_the_fingerprint_does_not_depend_on_the_folder_or_the_listing_order(collection, tmp_path, monkeypatch):
    first = _fingerprint(collection)
    shutil.copytree(collection, tmp_path / "elsewhere" / "two")
    assert _fingerprint(tmp_path / "elsewhere" / "two") == first
    monkeypatch.chdir(collection.parent)
    assert _fingerprint("one") == first
    original_walk = os.walk
    monkeypatch.setattr(os, "walk", lambda *a, **k: ((p, d[::-1], f[::-1]) for p, d, f in original_walk(*a, **k)))
    assert _fingerprint(collection) == first


def test_the_fingerprint_depends_on_content_names_classes_and_splits(collection):
    fingerprints = [_fingerprint(collection, **options) for options in ({}, {"classes": ["b", "a"]}, {"channels": 1})]
    file = collection / "test" / "b" / "2.png"
    Image.new("RGB", (4, 4), (1, 2, 3)).save(file)
    fingerprints.append(_fingerprint(collection))
    file = file.rename(file.with_name("3.png"))
    fingerprints.append(_fingerprint(collection))
    file = file.rename(collection / "test" / "a" / "3.png")
    fingerprints.append(_fingerprint(collection))
    file.rename(collection / "val" / "a" / "3.png")
    fingerprints.append(_fingerprint(collection))
    assert len(set(fingerprints)) == len(fingerprints)


def test_the_fingerprint_uses_the_known_file_digests(collection):
    dataset = data.load(DataConfig(name="folder", path=str(collection)), seed=0)
    first = data.fingerprint(dataset)
    without = dataclasses.replace(dataset, train=dataclasses.replace(dataset.train, digests=None))
    assert data.fingerprint(without) == first
    shutil.rmtree(collection)
    assert data.fingerprint(dataset) == first


def test_the_fingerprint_of_arrays_depends_on_pixels_and_splits():
    dataset = data.load(DataConfig(), seed=0)
    changed = dataset.train.images.copy()
    changed[5, 3, 3, 0] ^= 1
    fingerprints = [
        data.fingerprint(dataset),
        data.fingerprint(dataclasses.replace(dataset, train=dataclasses.replace(dataset.train, images=changed))),
        data.fingerprint(dataclasses.replace(dataset, train=dataset.test, test=dataset.train)),
        data.fingerprint(data.load(DataConfig(split_seed=1), seed=0)),
        data.fingerprint(data.load(DataConfig(fraction=0.5), seed=0)),
    ]
    assert len(set(fingerprints)) == len(fingerprints)


def test_the_fingerprint_does_not_depend_on_the_order_of_samples():
    dataset = data.load(DataConfig(), seed=0)
    order = np.random.default_rng(0).permutation(len(dataset.train))
    shuffled = dataset.train.take(order)
    assert data.fingerprint(dataclasses.replace(dataset, train=shuffled)) == data.fingerprint(dataset)


def test_the_fingerprint_depends_on_the_boxes_and_the_task():
    def dataset(**change):
        corners = np.array([[1, 2, 3, 4]], np.float32) + np.float32(change.get("shift", 0))
        boxes = Boxes(corners, np.array([change.get("label", 0)]), np.array([change.get("crowd", False)]))
        split = Split(["a"], np.zeros((1, 8, 8, 1), np.uint8), [boxes])
        other = Split(["b"], split.images, [boxes]), Split(["c"], split.images, [boxes])
        return data.Dataset("x", change.get("task", "detection"), ["p", "q"], 1, (8, 8), split, *other, [])

    changes = ({}, {"shift": 0.25}, {"label": 1}, {"crowd": True}, {"task": "segmentation"})
    assert len({data.fingerprint(dataset(**change)) for change in changes}) == 5
    assert data.fingerprint(dataset()) == data.fingerprint(dataset())
