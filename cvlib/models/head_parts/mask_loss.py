"""The loss options of every head that labels pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cvlib.config.fields import Options, option, require

LOSSES = ("cross_entropy", "dice", "focal")


@dataclass
class MaskOptions(Options):
    """The options of a weighted sum of losses."""

    loss: dict[str, float] = option({"cross_entropy": 1.0})  # weights of the sum of cross_entropy, dice and focal
    focal_gamma: float = option(2.0, low=0, high=10)  # how much focal loss reduces the weight of well-classified pixels

    def __post_init__(self) -> None:
        unknown = [name for name in self.loss if name not in LOSSES]
        require(not unknown, "model.loss", ", ".join(unknown), f"losses among {', '.join(LOSSES)}")
        weights = list(self.loss.values())
        require(all(0 <= weight < math.inf for weight in weights) and any(weights), "model.loss", self.loss,
                "weights of 0 or more, at least one of them above 0")  # fmt: skip
