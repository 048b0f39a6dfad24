"""The collections that Keras downloads, read by its own loaders from small arrays and files."""

from __future__ import annotations

import gzip
import urllib.error

import numpy as np
import pytest

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data import keras_datasets
from cvlib.runtime.errors import UserError

SHAPES = {"mnist": (28, 28), "fashion_mnist": (28, 28), "cifar10": (32, 32, 3), "cifar100": (32, 32, 3)}


def _arrays(name: str):
    """Return train and test as Keras' loader does: 10 and 2 images per class; labels of shape (n, 1) for CIFAR."""
    count = len(keras_datasets.CLASSES[name])
    rng = np.random.default_rng(0)
    column = (-1, 1) if name.startswith("cifar") else (-1,)
    splits = []
    for per_class in (10, 2):
        labels = np.tile(np.arange(count, dtype=np.uint8), per_class)
        splits.append((rng.integers(0, 256, (len(labels), *SHAPES[name]), np.uint8), labels.reshape(column)))
    return tuple(splits)


@pytest.mark.parametrize("name", SHAPES)
def test_the_original_test_split_is_kept_and_val_is_taken_from_train(name, monkeypatch):
    import keras

    (train, train_labels), (test, test_labels) = loaded = _arrays(name)
    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", lambda: loaded)
    dataset = data.load(DataConfig(name=name, val_fraction=0.2), seed=0)
    assert dataset.channels == (3 if len(SHAPES[name]) == 3 else 1)
    assert dataset.size == SHAPES[name][:2]
    assert np.array_equal(dataset.test.images.reshape(test.shape), test)
    assert dataset.test.labels.tolist() == test_labels.ravel().tolist() and dataset.test.labels.dtype == np.int64
    assert np.bincount(dataset.val.labels).tolist() == [2] * len(dataset.classes)
    assert np.bincount(dataset.train.labels).tolist() == [8] * len(dataset.classes)
    for sample, image, label in zip(dataset.val.names, dataset.val.images, dataset.val.labels, strict=True):
        index = int(sample.removeprefix(f"{name}/train/"))
        assert np.array_equal(image.reshape(train[0].shape), train[index]) and label == train_labels.ravel()[index]


def test_the_class_names_are_complete_and_in_order():
    counts = {name: len(set(classes)) for name, classes in keras_datasets.CLASSES.items()}
    assert counts == {"mnist": 10, "fashion_mnist": 10, "cifar10": 10, "cifar100": 100}
    assert keras_datasets.CLASSES["fashion_mnist"][9] == "Ankle boot"
    assert keras_datasets.CLASSES["cifar10"][5] == "dog"
    assert list(keras_datasets.CLASSES["cifar100"]) == sorted(keras_datasets.CLASSES["cifar100"])


def test_files_in_the_cache_of_keras_are_read(tmp_path, monkeypatch):
    from keras.src.backend import config as keras_config

    monkeypatch.setattr(keras_config, "_KERAS_DIR", str(tmp_path))
    (train, train_labels), (test, test_labels) = _arrays("fashion_mnist")
    folder = tmp_path / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    for prefix, pixels, labels in (("train", train, train_labels), ("t10k", test, test_labels)):
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + pixels.tobytes()))
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + labels.tobytes()))
    dataset = data.load(DataConfig(name="fashion_mnist"), seed=0)
    assert np.array_equal(dataset.test.images[..., 0], test)
    assert len(dataset.train) + len(dataset.val) == 100


@pytest.mark.parametrize("name", SHAPES)
def test_the_offline_error_names_the_address_the_cache_and_the_alternatives(name, tmp_path, monkeypatch):
    from keras.src.backend import config as keras_config
    from keras.src.utils import file_utils

    def refuse(*_):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(keras_config, "_KERAS_DIR", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(file_utils, "urlretrieve", refuse)
    with pytest.raises(UserError) as caught:
        data.load(DataConfig(name=name), seed=0)
    message = str(caught.value)
    assert "\n" not in message and keras_datasets.SOURCES[name][0] in message
    assert str(tmp_path / "datasets") in message and "data=digits" in message and "data=folder" in message
    assert "Name or service not known" in message


@pytest.mark.parametrize("name", SHAPES)
def test_the_address_and_the_cache_match_those_of_keras(name, tmp_path, monkeypatch):
    """Compare with the address and the file that Keras itself uses."""
    from keras.src.backend import config as keras_config
    from keras.src.utils import file_utils

    downloads = []

    def record(address, target, _):
        downloads.append((address, target))
        raise urllib.error.URLError("offline")

    monkeypatch.setattr(keras_config, "_KERAS_DIR", str(tmp_path))
    monkeypatch.setattr(file_utils, "urlretrieve", record)
    with pytest.raises(UserError):
        data.load(DataConfig(name=name), seed=0)
    address, cached = keras_datasets.SOURCES[name]
    assert downloads[0][0].startswith(address)
    assert downloads[0][1].startswith(str(tmp_path / "datasets" / cached))
