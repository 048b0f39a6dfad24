"""Features of photographs from a frozen EfficientNet-Lite with ImageNet weights, computed once and cached."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
LARGE = ROOT.parent / "shared/data/clothing10"  # 3,781 photographs, if they are present


def load() -> tuple[np.ndarray, np.ndarray, str]:
    """Return standardized features `(images, features)`, class ids `(images,)` and the name of the data.

    The data are the photographs of `data=clothing`, or those of ../shared/data/clothing10 where present.
    """
    name, overrides = "clothing", ("data=clothing",)
    if LARGE.is_dir():
        name, overrides = "clothing10", ("data=folder", f"data.path={LARGE}")
    file = ROOT / f"outputs/simulations/{name}.npz"
    try:
        with np.load(file) as kept:
            return kept["features"], kept["labels"], name
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        features, labels = _compute(overrides)
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, features=features, labels=labels)
    return features, labels, name


def _compute(overrides: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    import keras

    import cvlib
    from cvlib.data.input_spec import InputSpec
    from cvlib.data.labels import CLASS
    from cvlib.data.make_feed import make_feed
    from cvlib.transfer import cached_features

    overrides = ("model=efficientnet_lite", "mode=feature_extractor", *overrides)
    network, dataset = cvlib.build(*overrides), cvlib.load_data(*overrides)
    base = keras.Model(network.input, network.layers[-2].input)  # without dropout and the last layer
    spec = InputSpec(*network.input.shape[1:])
    splits = (dataset.train, dataset.val, dataset.test)
    feeds = [make_feed(split, spec, CLASS, 64, 0) for split in splits]
    features = np.concatenate([cached_features.compute(base, feed, 0)[0] for feed in feeds])
    labels = np.concatenate([np.asarray(split.labels) for split in splits])
    return (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6), labels
