"""The three regimes: which part of a network may change, when, and at which rate.

scratch             one phase, everything learns
feature_extractor   one phase, the whole base frozen
finetune            the head alone for `head_epochs`, then the base from `freeze` on as well
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cvlib.config.schema import FeatureExtractor, Finetune, ModeConfig

ALL = "all"


@dataclass(frozen=True)
class Phase:
    """Epochs `start` to `end` (exclusive, from 0) in which the same layers learn, at the same multiples of the rate."""

    start: int
    end: int
    freeze: Any = None  # how much of the base, as `mode.freeze`
    backbone_lr: float = 1.0  # times optimizer.lr
    head_lr: float = 1.0  # times optimizer.lr
    batch_norm: str = "train"  # train | frozen: BatchNorm in the part of the base that learns


def phases(mode: ModeConfig, epochs: int) -> list[Phase]:
    """Return the phases of a run; a head phase always leaves at least one epoch to what comes after it."""
    if isinstance(mode, FeatureExtractor):
        return [Phase(0, epochs, ALL, head_lr=mode.head_lr, batch_norm="frozen")]
    if isinstance(mode, Finetune):
        head = min(mode.head_epochs, epochs - 1)
        alone = [Phase(0, head, ALL, head_lr=mode.head_lr)] if head else []
        rate = mode.head_lr if mode.freeze in (ALL, True) else 1.0
        return [*alone, Phase(head, epochs, mode.freeze, mode.backbone_lr, rate, mode.batch_norm)]
    return [Phase(0, epochs)]


def initial_weights(mode: ModeConfig) -> str | None:
    """Return where the base's weights come from: imagenet, a file, a run's folder; None: random ones."""
    weights: str | None = getattr(mode, "weights", None)
    return weights


def augments(mode: ModeConfig) -> bool:
    """Return whether training images are augmented."""
    return not (isinstance(mode, FeatureExtractor) and mode.views == 0)


def base_stays_frozen(mode: ModeConfig) -> bool:
    """Return whether the whole base is frozen from the first epoch to the last, so that its features may be cached."""
    return isinstance(mode, FeatureExtractor) and mode.cache_features.lower() != "false"
