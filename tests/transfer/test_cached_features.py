"""Cached features: training gives the same results as with the base in the graph, and the cache is never stale."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cvlib.config.schema import AugmentConfig, Config, FeatureExtractor, TrainerConfig
from cvlib.data.feed import Feed
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import CLASS
from cvlib.data.make_feed import make_feed
from cvlib.data.split import Split
from cvlib.models.network import Network
from cvlib.runtime import store
from cvlib.transfer import cached_features, freezing, regimes
from tests.configs import model_config
from tests.networks import network

FROZEN = FeatureExtractor(weights="x")
MOVES = AugmentConfig(horizontal_flip=0.5, rotation=20)


def frozen(name: str, side: int, **changes: Any) -> Network:
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(3)
    built = network(name, side, 3, 4, **changes)
    freezing.apply(built, regimes.phases(FROZEN, 1)[0])
    return built


def images(count: int, side: int) -> Split:
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)
    return Split([str(i) for i in range(count)], pixels, np.arange(count) % 4)


def feed_of(split: Split, side: int = 12, seed: int = 0, augmentation: AugmentConfig | None = None, *,
            shuffle: bool = False, resize: str = "stretch") -> Feed:  # fmt: skip
    spec = InputSpec(side, side, 3, resize)
    return make_feed(split, spec, CLASS, 4, seed, augmentation=augmentation, shuffle=shuffle)


@pytest.mark.parametrize(
    ("name", "side", "changes"),
    [("cnn", 12, {"dropout": 0.5}), ("vgg", 32, {})],
)
def test_base_and_head_equal_the_whole_network_and_share_its_weights(
    name: str, side: int, changes: dict[str, Any]
) -> None:
    built = frozen(name, side, **changes)
    model, cut = built.model, built.cut()
    pixels = images(5, side).images.astype(np.float32)
    assert cut.base.trainable_variables == []
    assert {id(v) for v in cut.head.trainable_variables} == {id(v) for v in model.trainable_variables}
    given = cut.base.predict(pixels, verbose=0)
    whole, splits = model.predict(pixels, verbose=0), cut.head.predict(given, verbose=0)
    for one, other in zip(keras.tree.flatten(whole), keras.tree.flatten(splits), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    if name == "vgg":
        assert given.shape == (5, model.get_layer("logits").input.shape[-1])  # after the pooling
    for variable in cut.head.trainable_variables:
        variable.assign(np.zeros(variable.shape))
    assert np.abs(built.predictive().predict(pixels, verbose=0)).max() == 0


def test_epochs_cycle_through_the_views_in_the_order_of_the_feed() -> None:
    split = images(11, 12)
    base = frozen("cnn", 12).cut().base
    feed = feed_of(split, 12, 7, MOVES, shuffle=True)
    views = [cached_features.compute(base, feed, number) for number in (0, 1)]
    kept = feed.of_features(views)
    for epoch in (0, 1, 2, 3):
        kept.epoch(epoch)
        found, labels = (np.concatenate(split) for split in zip(*kept.batches(), strict=True))
        feed.epoch(epoch)
        order = np.concatenate([indices for _, indices in feed.batches()])
        assert labels.tolist() == order.tolist()
        if epoch < 2:  # the same images as in that epoch
            feed.epoch(epoch)
            pixels = np.concatenate([batch for batch, _ in feed.batches()])
            np.testing.assert_allclose(found, base.predict(pixels, verbose=0), rtol=1e-4, atol=1e-5)
        else:
            rows = {tuple(row) for row in views[epoch % 2][0].tolist()}
            assert {tuple(row) for row in found.tolist()} <= rows


def config(tmp_path: Path, **changes: Any) -> Config:
    return replace(Config(model_config(), FROZEN, output_root=str(tmp_path)), **changes)


def test_everything_that_affects_the_features_changes_the_key(tmp_path: Path) -> None:
    split, base = images(6, 12), frozen("cnn", 12).cut().base
    plain, moved = AugmentConfig(), MOVES

    def key(conf: Config | None = None, network: keras.Model = base, split: Split = split, size: int = 12,
            strengths: AugmentConfig | None = plain, seed: int = 0, view: int = 0, resize_method: str = "stretch",
            fingerprint: str = "a") -> str:  # fmt: skip
        feed = feed_of(split, size, seed, strengths, resize=resize_method)
        return cached_features.key(conf or config(tmp_path), network, feed, view, fingerprint)

    same = key()
    assert key() == same
    assert key(seed=1) == same  # without augmentation the seed changes no feature
    assert key(conf=config(tmp_path, seed=5, trainer=TrainerConfig(epochs=3))) == same
    weights, bfloat16 = frozen("cnn", 12).cut().base, TrainerConfig(precision="bfloat16")
    weights.weights[0].assign(weights.weights[0] + 1e-6)
    others = [
        key(network=weights), key(network=frozen("cnn", 12, kernel=5).cut().base), key(size=16),
        key(split=Split([*split.names[:5], "z"], split.images, split.labels)), key(strengths=moved),
        key(strengths=moved, seed=1), key(strengths=moved, view=1), key(strengths=replace(moved, rotation=21)),
        key(resize_method="letterbox"), key(fingerprint="b"), key(conf=config(tmp_path, trainer=bfloat16)),
    ]  # fmt: skip
    assert len({same, *others}) == len(others) + 1


def test_features_are_computed_once_and_read_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, messages = frozen("cnn", 12).cut().base, []
    feed = feed_of(images(6, 12), augmentation=MOVES, shuffle=True)
    conf = config(tmp_path, augment=MOVES, mode=replace(FROZEN, views=3))
    first = cached_features.cached(conf, base, feed, "train", "a", messages.append)
    assert len(first) == 3
    monkeypatch.setattr(cached_features, "compute", lambda *_: pytest.fail("computed again"))
    again = cached_features.cached(conf, base, feed, "train", "a", messages.append)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
    assert len(store.listing(tmp_path / "cache/features")) == 3
    monkeypatch.undo()
    assert len(cached_features.cached(conf, base, feed_of(images(6, 12)), "val", "a", messages.append)) == 1


def test_a_long_computation_is_announced_once_for_all_views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, messages = frozen("cnn", 12).cut().base, []
    feed = feed_of(images(150, 12), augmentation=MOVES)  # 5 batches for each of 3 views
    conf = config(tmp_path, augment=MOVES, mode=replace(FROZEN, views=3))
    clock = itertools.count(step=10.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    cached_features.cached(conf, base, feed, "train", "a", messages.append)
    assert sum(line.startswith("computing them takes about ") for line in messages) == 1
    assert messages.index("computing the features of 150 train images (view 1 of 3)") == 0 and len(messages) == 4


def test_features_above_the_limit_are_used_but_not_cached(tmp_path: Path) -> None:
    base = frozen("cnn", 12).cut().base
    conf = config(tmp_path, mode=replace(FROZEN, cache_gb=1e-9))
    views = cached_features.cached(conf, base, feed_of(images(6, 12)), "val", "a", lambda line: None)
    assert views[0][0].shape == (6, 128)
    assert store.listing(tmp_path / "cache/features") == []
