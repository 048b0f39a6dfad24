"""The phases of the three regimes, by hand."""

from __future__ import annotations

import pytest

from cvlib.config.schema import FeatureExtractor, Finetune, ModeConfig, Scratch
from cvlib.transfer import regimes
from cvlib.transfer.regimes import ALL, Phase


def test_phases_of_the_three_regimes() -> None:
    assert regimes.phases(Scratch(), 5) == [Phase(0, 5, None)]
    assert regimes.phases(FeatureExtractor(head_lr=3), 5) == [Phase(0, 5, ALL, head_lr=3, batch_norm="frozen")]
    finetune = Finetune(freeze=0.5, head_epochs=2, backbone_lr=0.2, head_lr=4, batch_norm="frozen")
    alone = Phase(0, 2, ALL, head_lr=4)
    assert regimes.phases(finetune, 5) == [alone, Phase(2, 5, 0.5, 0.2, 1.0, "frozen")]
    assert regimes.phases(finetune, 2) == [Phase(0, 1, ALL, head_lr=4), Phase(1, 2, 0.5, 0.2, 1.0, "frozen")]
    assert regimes.phases(finetune, 1) == [Phase(0, 1, 0.5, 0.2, 1.0, "frozen")]
    assert regimes.phases(Finetune(head_epochs=0), 3) == [Phase(0, 3, None, 0.1)]


@pytest.mark.parametrize("freeze", ["all", True])
def test_the_head_keeps_its_rate_if_the_base_stays_frozen(freeze: object) -> None:
    first, second = regimes.phases(Finetune(freeze=freeze, head_lr=4), 3)
    assert (first.head_lr, second.head_lr) == (4, 4)


def test_freezing_one_layer_is_not_freezing_everything() -> None:
    """In Python, 1 == True."""
    first, second = regimes.phases(Finetune(freeze=1, head_lr=4), 3)
    assert (first.base_is_frozen, second.base_is_frozen) == (True, False)
    assert second.head_lr == 1


@pytest.mark.parametrize(("mode", "weights", "caches"), [
    (Scratch(), None, False),
    (Finetune(), "imagenet", False),
    (FeatureExtractor(weights="a/run"), "a/run", True),
    (FeatureExtractor(cache_features="true"), "imagenet", True),
    (FeatureExtractor(cache_features="False"), "imagenet", False),
])  # fmt: skip
def test_initial_weights_and_feature_caching(mode: ModeConfig, weights: str | None, caches: bool) -> None:
    assert regimes.initial_weights(mode) == weights
    assert regimes.base_stays_frozen(mode) == caches
