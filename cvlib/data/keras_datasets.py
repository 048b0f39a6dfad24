"""Datasets that Keras downloads: MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import numpy as np

from cvlib.config.schema import DataConfig
from cvlib.data.split import Split
from cvlib.data.splits import hold_out
from cvlib.runtime.errors import UserError
from cvlib.runtime.quiet import quiet_import

# Maps a name to the download address, and to the file or folder below datasets/ in Keras' cache.
SOURCES = {
    "mnist": ("https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz", "mnist.npz"),
    "fashion_mnist": ("https://storage.googleapis.com/tensorflow/tf-keras-datasets/", "fashion-mnist"),
    "cifar10": ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", "cifar-10-batches-py-target_archive"),
    "cifar100": ("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz", "cifar-100-python-target_archive"),
}


def read(config: DataConfig) -> tuple[list[str], list[Split], list[str]]:
    """Return classes, [train, val, test] and notes of a Keras dataset; val is taken from its training split.

    Raises `UserError` with the download address and the cache path if the data is not available.
    """
    (train_images, train_labels), (test_images, test_labels) = _load(config.name)
    pool = _split(f"{config.name}/train", train_images, train_labels)
    test = _split(f"{config.name}/test", test_images, test_labels)
    return list(CLASSES[config.name]), hold_out(pool, {"test": test}, config), []


def _load(name: str) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    with quiet_import():
        loader = importlib.import_module(f"keras.datasets.{name}")
    try:
        train, test = loader.load_data()
        return train, test
    except Exception as error:  # Keras raises a bare Exception if a download fails
        address, file = SOURCES[name]
        cached = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "datasets" / file
        reason = " ".join(str(error).rpartition(" -- ")[2].split()) or type(error).__name__
        raise UserError(
            f"data={name} is not available from {address} or in Keras' cache {cached} ({reason}): copy it to the cache "
            "from a machine with internet access, or use data=digits (needs no download) or data=folder data.path=…"
        ) from error


def _split(prefix: str, images: np.ndarray, labels: np.ndarray) -> Split:
    if images.ndim == 3:
        images = images[..., np.newaxis]
    names = [f"{prefix}/{i:05d}" for i in range(len(images))]
    return Split(names, np.ascontiguousarray(images, np.uint8), labels.reshape(-1).astype(np.int64))


_CIFAR100 = """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel
    can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
    dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion
    lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree
    pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea
    seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank
    telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman
    worm
"""

CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
                      "Ankle boot"),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "cifar100": tuple(_CIFAR100.split()),
}  # fmt: skip
