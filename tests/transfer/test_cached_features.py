"""Frozen features computed once: the same training as with the base in the graph, and never a stale hit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cvlib import models
from cvlib.config.schema import AugmentConfig, Config, DataConfig, ModeConfig, ModelConfig, TrainerConfig
from cvlib.data.dataset import Split
from cvlib.runtime import store
from cvlib.transfer import cached_features as features
from cvlib.transfer import freezing as modes
from cvlib.transfer.cached_features import FeatureFeed
from tests.data.feeds import a_feed
from tests.models.conftest import config_of

FROZEN = ModeConfig("feature_extractor", weights="x", freeze="all", batch_norm="frozen")
MOVES = AugmentConfig(horizontal_flip=0.5, rotation=20)


def frozen(name: str, side: int, **changes: Any) -> keras.Model:
    keras.utils.clear_session()
    keras.utils.set_random_seed(3)
    model = models.build(config_of(name, **changes), (side, side, 3), 4)
    modes.apply(model.get_layer("backbone"), FROZEN, modes.phases(FROZEN, 1)[0], {})
    return model


def images(count: int, side: int) -> Split:
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)
    return Split([str(i) for i in range(count)], pixels, np.arange(count) % 4)


@pytest.mark.parametrize(
    ("name", "side", "changes"),
    [("cnn", 12, {"dropout": 0.5}), ("resnet", 32, {"dropout": 0.3}), ("vgg", 32, {}), ("inception", 75, {})],
)
def test_head_after_base_is_the_whole_network_and_learns_in_it(name: str, side: int, changes: dict[str, Any]) -> None:
    model = frozen(name, side, **changes)
    cut = features.cut(model)
    pixels = images(5, side).images.astype(np.float32)
    assert cut.base.trainable_variables == []
    assert {id(v) for v in cut.head.trainable_variables} == {id(v) for v in model.trainable_variables}
    given = cut.base.predict(pixels, verbose=0)
    whole, parts = model.predict(pixels, verbose=0), cut.head.predict(given, verbose=0)
    for one, other in zip(keras.tree.flatten(whole), keras.tree.flatten(parts), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    if name in ("resnet", "vgg"):
        assert given.shape == (5, model.get_layer("logits").input.shape[-1])  # behind the pooling
    for variable in cut.head.trainable_variables:
        variable.assign(np.zeros(variable.shape))
    assert np.abs(models.logits(model).predict(pixels, verbose=0)).max() == 0


def test_epochs_go_through_the_views_in_the_feeds_own_order() -> None:
    split = images(11, 12)
    cut = features.cut(frozen("cnn", 12))
    feed = a_feed(split, (12, 12), 3, 4, 7, MOVES, shuffle=True)
    views = [features.compute(cut.base, feed, number) for number in (0, 1)]
    kept = FeatureFeed(feed, views)
    for epoch in (0, 1, 2, 3):
        kept.epoch(epoch)
        found, labels = (np.concatenate(part) for part in zip(*kept.dataset.as_numpy_iterator(), strict=True))
        feed.epoch(epoch)
        order = np.concatenate([indices for _, indices in feed.dataset.as_numpy_iterator()])
        assert labels.tolist() == order.tolist()
        if epoch < 2:  # the very images of that epoch
            feed.epoch(epoch)
            pixels = np.concatenate([batch for batch, _ in feed.dataset.as_numpy_iterator()])
            np.testing.assert_allclose(found, cut.base.predict(pixels, verbose=0), rtol=1e-4, atol=1e-5)
        else:
            rows = {tuple(row) for row in views[epoch % 2][0].tolist()}
            assert {tuple(row) for row in found.tolist()} <= rows


def config(tmp_path: Path, **changes: Any) -> Config:
    whole = Config(ModelConfig(), FROZEN, DataConfig(), output_root=str(tmp_path))
    return replace(whole, **changes)


def test_each_part_of_the_key_matters(tmp_path: Path) -> None:
    split, base = images(6, 12), features.cut(frozen("cnn", 12)).base
    plain, moved = AugmentConfig(), MOVES

    def key(conf: Config | None = None, network: keras.Model = base, part: Split = split, size: int = 12,
            strengths: AugmentConfig | None = plain, seed: int = 0, view: int = 0, how: str = "stretch",
            fingerprint: str = "a") -> str:  # fmt: skip
        feed = a_feed(part, (size, size), 3, 4, seed, strengths, resize=how)
        return features.key(conf or config(tmp_path), network, feed, view, fingerprint)

    same = key()
    assert key() == same
    assert key(seed=1) == same  # without augmentation the seed changes no feature
    assert key(conf=config(tmp_path, seed=5, trainer=TrainerConfig(epochs=3))) == same
    weights, bfloat16 = features.cut(frozen("cnn", 12)).base, TrainerConfig(precision="bfloat16")
    weights.weights[0].assign(weights.weights[0] + 1e-6)
    others = [
        key(network=weights), key(network=features.cut(frozen("cnn", 12, kernel=5)).base), key(size=16),
        key(part=Split([*split.names[:5], "z"], split.images, split.labels)), key(strengths=moved),
        key(strengths=moved, seed=1), key(strengths=moved, view=1), key(strengths=replace(moved, rotation=21)),
        key(how="letterbox"), key(fingerprint="b"), key(conf=config(tmp_path, trainer=bfloat16)),
    ]  # fmt: skip
    assert len({same, *others}) == len(others) + 1


def test_features_are_computed_once_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, said = features.cut(frozen("cnn", 12)).base, []
    feed = a_feed(images(6, 12), (12, 12), 3, 4, 0, MOVES, shuffle=True)
    conf = config(tmp_path, augment=MOVES, mode=replace(FROZEN, views=3))
    first = features.kept(conf, base, feed, "train", "a", said.append)
    assert len(first) == 3
    monkeypatch.setattr(features, "compute", lambda *_: pytest.fail("computed again"))
    again = features.kept(conf, base, feed, "train", "a", said.append)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
    assert len(store.listing(tmp_path / "cache/features")) == 3
    plain = a_feed(images(6, 12), (12, 12), 3, 4, 0)
    monkeypatch.undo()
    assert len(features.kept(conf, base, plain, "val", "a", said.append)) == 1


def test_what_exceeds_the_limit_is_used_but_not_kept(tmp_path: Path) -> None:
    base = features.cut(frozen("cnn", 12)).base
    conf = config(tmp_path, mode=replace(FROZEN, cache_gb=1e-9))
    views = features.kept(conf, base, a_feed(images(6, 12), (12, 12), 3, 4, 0), "val", "a", lambda line: None)
    assert views[0][0].shape == (6, 128)
    assert store.listing(tmp_path / "cache/features") == []
