"""The three training regimes: which layers are trained, when, and at which learning rate.

scratch             one phase, all layers are trained
feature_extractor   one phase, the whole base is frozen
finetune            only the head for `head_epochs`, then also the base above the layers that `freeze` selects
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cvlib.config.schema import FeatureExtractor, Finetune, ModeConfig

ALL = "all"


@dataclass(frozen=True)
class Phase:
    """A range of epochs with the same trainable layers and the same learning-rate multipliers.

    Epochs count from 0, and `end` is exclusive.
    """

    start: int
    end: int
    freeze: Any = None  # the frozen part of the base, in the form of `mode.freeze`
    backbone_lr: float = 1.0  # times optimizer.lr
    head_lr: float = 1.0  # times optimizer.lr
    batch_norm: str = "train"  # train | frozen: BatchNorm in the trainable part of the base

    @property
    def base_is_frozen(self) -> bool:
        """Whether only the head is trained."""
        return self.freeze in (ALL, True)


def phases(mode: ModeConfig, epochs: int) -> list[Phase]:
    """Return the phases of a run. The head-only phase always leaves at least one epoch for the next phase."""
    if isinstance(mode, FeatureExtractor):
        return [Phase(0, epochs, ALL, head_lr=mode.head_lr, batch_norm="frozen")]
    if isinstance(mode, Finetune):
        head_epochs = min(mode.head_epochs, epochs - 1)
        head_only = [Phase(0, head_epochs, ALL, head_lr=mode.head_lr)] if head_epochs else []
        head_lr = mode.head_lr if mode.freeze in (ALL, True) else 1.0
        return [*head_only, Phase(head_epochs, epochs, mode.freeze, mode.backbone_lr, head_lr, mode.batch_norm)]
    return [Phase(0, epochs)]


def initial_weights(mode: ModeConfig) -> str | None:
    """Return the source of the base's weights: imagenet, a file, or a run's folder; None means random weights."""
    weights: str | None = getattr(mode, "weights", None)
    return weights


def keeps_classes(mode: ModeConfig) -> bool:
    """Return whether the head keeps the logits of classes that the run in `mode.weights` has, too."""
    return isinstance(mode, Finetune) and mode.keep_classes


def augments(mode: ModeConfig) -> bool:
    """Return whether training images are augmented."""
    return not (isinstance(mode, FeatureExtractor) and mode.views == 0)


def base_stays_frozen(mode: ModeConfig) -> bool:
    """Return whether the whole base stays frozen in every epoch and its features may be cached."""
    return isinstance(mode, FeatureExtractor) and mode.cache_features.lower() != "false"
