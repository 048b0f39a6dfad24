"""Frozen features computed once: what a frozen base gives for every image is kept, and the head alone is trained on it.

The cut goes through the network as late as nothing has been learned or drawn yet: behind the base and the pooling,
before the first layer with weights or dropout. Head and whole network share their variables, so that what the head
learns stands in the network that is saved.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cvlib.config.schema import AugmentConfig, Config
from cvlib.data.augmentation import changes
from cvlib.data.feed import Feed, make_feed
from cvlib.data.tensorflow.features import Arrays, FeatureFeed
from cvlib.runtime import store

__all__ = ["Arrays", "Cut", "FeatureFeed", "compute", "cut", "kept", "key", "views"]

_BATCH = 32  # images that go through the base at once, whatever data.batch_size is: its features serve any
_NEUTRAL = {name: value for name, value in dataclasses.asdict(AugmentConfig()).items() if name != "name"}


@dataclasses.dataclass
class Cut:
    """A network in two: `base(images)` gives the list of what `head` takes."""

    base: keras.Model
    head: keras.Model


def views(config: Config) -> int:
    """How many differently augmented views of every training image are kept; no more than there are epochs."""
    return min(config.mode.views, config.trainer.epochs) if changes(config.augment) else 1


def cut(model: keras.Model) -> Cut:
    """The network in two, behind the last layer that is frozen, has no weights, and draws nothing at random."""
    fixed = {id(tensor): tensor for tensor in model.inputs}
    crossing: dict[int, Any] = {}
    for operation in model.operations:
        for node in operation._inbound_nodes:
            if not all(id(tensor) in fixed for tensor in node.input_tensors):
                crossing |= {id(t): t for t in node.input_tensors if id(t) in fixed}
            elif _is_fixed(operation):
                fixed |= {id(tensor): tensor for tensor in node.outputs}
            elif node.input_tensors:
                crossing |= {id(tensor): tensor for tensor in node.input_tensors}
    tensors = list(crossing.values())
    head = keras.Model(tensors, model.output, name=f"{model.name}_head")
    return Cut(keras.Model(model.inputs, tensors, name=f"{model.name}_base"), head)


def _is_fixed(operation: Any) -> bool:
    if not isinstance(operation, keras.layers.Layer):
        return True
    random = isinstance(operation, (keras.layers.Dropout, keras.layers.SpatialDropout2D, keras.layers.GaussianNoise))
    return not random and not operation.trainable_variables


def compute(base: keras.Model, feed: Feed, number: int) -> Arrays:
    """The features of every image of the split, in the split's order, augmented as in epoch `number`."""
    in_order = make_feed(
        feed.split, feed.spec, feed.kind, _BATCH, feed.seed, augmentation=feed.augmentation, cache=feed.cache
    )
    in_order.epoch(number)
    found = base.predict(in_order.dataset.map(lambda images, labels: images), verbose=0)
    arrays = found if isinstance(found, list) else [found]
    return [np.asarray(array, np.float32) for array in arrays]


def kept(config: Config, base: keras.Model, feed: Feed, part: str, fingerprint: str,
         say: Callable[[str], None]) -> list[Arrays]:  # fmt: skip
    """The features of a split, a list of arrays for each view: from the store, or computed and put there."""
    folder = store.root(config.output_root) / "features"
    count = views(config) if feed.augmentation is not None else 1
    found = []
    for number in range(count):
        name = key(config, base, feed, number, fingerprint)
        arrays = store.get(folder, name)
        if arrays is None:
            which = f"view {number + 1} of {count}" if count > 1 else "once"
            say(f"features of {len(feed.split)} {part} images are computed ({which})")
            arrays = compute(base, feed, number)
            of = Path(config.data.path or config.data.name).name
            about = (f"{part} features of {config.model.name}: {len(feed.split):,} images of {of} at {feed.size[0]} px"
                     + (f", view {number + 1} of {count}" if count > 1 else ""))  # fmt: skip
            if store.put(folder, name, arrays, about, config.mode.cache_gb * store.GIGABYTE):
                arrays = store.get(folder, name) or arrays
        else:
            say(f"features of {len(feed.split)} {part} images: kept from an earlier run")
        found.append(arrays)
    return found


def key(config: Config, base: keras.Model, feed: Feed, number: int, fingerprint: str) -> str:
    """Names the features: whatever could change one number of them changes it."""
    strengths = dataclasses.asdict(feed.augmentation or AugmentConfig())
    drawn = (
        ("named streams", feed.seed, number)
        if any(strengths[name] != value for name, value in _NEUTRAL.items())
        else None
    )
    content = hashlib.sha256()
    facts = [fingerprint, feed.split.names, dataclasses.astuple(feed.spec), {**strengths, "name": ""}, drawn,
             config.trainer.precision, _versions(), base.to_json()]  # fmt: skip
    content.update(json.dumps(facts, default=str).encode())
    for weight in base.weights:
        content.update(keras.ops.convert_to_numpy(weight).tobytes())
    return content.hexdigest()[:24]


def _versions() -> list[str]:
    return [metadata.version(package) for package in ("keras", "tensorflow")]
