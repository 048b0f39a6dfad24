"""The layers between a backbone's maps and a detector's predictions: feature levels merged top-down and bottom-up.

Top-down: Lin et al., Feature Pyramid Networks for Object Detection, CVPR 2017. Bottom-up: Liu et al., Path Aggregation
Network, CVPR 2018. Levels are a dict of stride in pixels → map `(batch, height / stride, width / stride, channels)`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping

from keras import KerasTensor, layers

from cvlib.models.blocks import convolution
from cvlib.models.head import Features
from cvlib.runtime.errors import UserError

Levels = dict[int, KerasTensor]


def by_stride(features: Features) -> Levels:
    """Return the base's maps by stride, resized to exactly the image's size divided by the stride."""
    found: Levels = {}
    for feature, stride in zip(features.maps, features.strides, strict=True):
        sides = features.size[0] // stride, features.size[1] // stride
        if tuple(feature.shape[1:3]) != sides:  # the base has convolutions without padding
            # Without `training=False`, this layer puts all layers after it in training mode.
            feature = layers.Resizing(*sides, name=f"level{stride}_resized")(feature, training=False)
        found[stride] = feature
    return found


def require(levels: Levels, stride: int, channels: int, what: str) -> None:
    """Extend `levels` to `stride` by halving the coarsest level with strided convolutions.

    Raises `UserError` naming `what` if the stride is below that of the finest level.
    """
    if stride < min(levels):
        raise UserError(f"{what} is finer than the features, whose smallest stride is {min(levels)} pixels")
    while max(levels) < stride:
        coarsest = max(levels)
        levels[2 * coarsest] = convolution(levels[coarsest], channels, 3, f"level{2 * coarsest}", stride=2)


def widths(strides: Iterable[int], finest: int, channels: int, growth: int = 1) -> dict[int, int]:
    """Return the number of channels at each stride of at least `finest`.

    It is `channels` at the finest level, and `growth` times as many at the next. From the third on, it stays the same.
    """
    return {stride: channels * growth ** min(round(math.log2(stride / finest)), 2)
            for stride in strides if stride >= finest}  # fmt: skip


def top_down(features: Levels, channels: Mapping[int, int]) -> Levels:
    """Return the levels at the strides in `channels`, each merged with the coarser ones.

    `channels` maps each stride to its level's number of channels.
    """
    levels: Levels = {}
    x = None
    for stride in sorted(channels, reverse=True):
        lateral = convolution(features[stride], channels[stride], 1, f"lateral{stride}")
        if x is not None:
            if x.shape[-1] != channels[stride]:
                x = convolution(x, channels[stride], 1, f"narrow{stride}")
            above = layers.UpSampling2D(2, name=f"above{stride}")(x)
            lateral = layers.Add(name=f"joined{stride}")([lateral, above])
        x = levels[stride] = convolution(lateral, channels[stride], 3, f"down{stride}")
    return levels


def bottom_up(levels: Levels, strides: list[int]) -> Levels:
    """Return the levels of `strides`, each merged with the finer ones."""
    joined = dict(levels)
    for finer, coarser in itertools.pairwise(strides):
        x, channels = joined[finer], levels[coarser].shape[-1]
        for halved in range(int(math.log2(coarser // finer))):
            x = convolution(x, channels, 3, f"up{coarser}_{halved + 1}", stride=2)
        joined[coarser] = layers.Add(name=f"joined_up{coarser}")([levels[coarser], x])
    return joined
