"""The three training regimes: which layers are trained, when, and at which learning rate.

scratch             one phase, all layers are trained
feature_extractor   one phase, the whole base is frozen
finetune            only the head for `head_epochs`, then also the base above the layers that `freeze` selects; with
                    `unfreeze=gradual`, `cvlib.transfer.freezing.phases` divides this phase by the base's blocks
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cvlib.config.schema import FeatureExtractor, Finetune, ModeConfig

ALL = "all"


def freezes_all(freeze: Any) -> bool:
    """Return whether a value of `mode.freeze` selects the whole base; 1 selects a single layer, although 1 == True."""
    return freeze is True or bool(freeze == ALL)


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
    layer_decay: float = 1.0  # rate of a block of the base, relative to the block above it

    @property
    def base_is_frozen(self) -> bool:
        """Whether only the head is trained."""
        return freezes_all(self.freeze)


def phases(mode: ModeConfig, epochs: int) -> list[Phase]:
    """Return the phases of a run. The head-only phase always leaves at least one epoch for the next phase."""
    if isinstance(mode, FeatureExtractor):
        return [Phase(0, epochs, ALL, head_lr=mode.head_lr, batch_norm="frozen")]
    if isinstance(mode, Finetune):
        head_epochs = min(mode.head_epochs, epochs - 1)
        head_only = [Phase(0, head_epochs, ALL, head_lr=mode.head_lr)] if head_epochs else []
        head_lr = mode.head_lr if freezes_all(mode.freeze) else 1.0
        whole = Phase(head_epochs, epochs, mode.freeze, mode.backbone_lr, head_lr, mode.batch_norm, mode.layer_decay)
        return [*head_only, whole]
    return [Phase(0, epochs)]


def initial_weights(mode: ModeConfig) -> str | None:
    """Return the source of the base's weights: imagenet, a file, or a run's folder; None means random weights."""
    weights: str | None = getattr(mode, "weights", None)
    return weights


def keeps_classes(mode: ModeConfig) -> bool:
    """Return whether the head keeps the logits of classes that the run in `mode.weights` has, too."""
    return isinstance(mode, Finetune) and mode.keep_classes


def base_stays_frozen(mode: ModeConfig) -> bool:
    """Return whether the whole base stays frozen in every epoch and its features may be cached."""
    return isinstance(mode, FeatureExtractor) and mode.cache_features.lower() != "false"
