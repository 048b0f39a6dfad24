"""Mixup and CutMix: a sample is made of two images, and its label of both labels.

Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018. Yun et al., CutMix, ICCV 2019. The second image is
drawn from the whole split, not from the batch, so that a sample depends on (seed, epoch, index) alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cvlib.config.schema import AugmentConfig
from cvlib.data.augmenting.draws import Draws


def shares(draws: Draws, config: AugmentConfig, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how n pairs of images are mixed; `draws` are those of their first images.

    Returns the weights of the first images' pixels, float32 `(n, height, width)`, or `(n, 1, 1)` without CutMix; and
    the shares of both labels, float32 `(n, 2)` with a sum of 1. With both `config.mixup` and `config.cutmix`, half of
    the samples get either.
    """
    share = beta_quantile(config.mixup or 1.0, draws["mix_share"])
    weights = share[:, None, None]
    if config.cutmix:
        kept = (~_pasted(draws, config, height, width)).astype(np.float32)
        cuts = draws["mix_choice"] < (0.5 if config.mixup else 2.0)
        weights = np.where(cuts[:, None, None], kept, weights)
        share = np.where(cuts, kept.mean(axis=(1, 2)), share)
    return weights, np.stack([share, 1 - share], axis=1)


def _pasted(draws: Draws, config: AugmentConfig, height: int, width: int) -> Any:
    """Return which pixels come from the second image, bool `(n, height, width)`: a rectangle with a random centre."""
    side = np.sqrt(1 - beta_quantile(config.cutmix, draws["mix_share"]))

    def along(centre: np.ndarray, length: int) -> Any:
        half, middle = np.floor(np.floor(side * length) / 2), np.floor(centre * length)
        places = np.arange(length)
        return (places >= (middle - half)[:, None]) & (places < (middle + half)[:, None])

    return along(draws["cutmix_y"], height)[:, :, None] & along(draws["cutmix_x"], width)[:, None, :]


def beta_quantile(alpha: float, probability: np.ndarray) -> np.ndarray:
    """Return the quantiles of Beta(alpha, alpha), float32 `(n,)`, at probabilities in [0, 1), float32 `(n,)`.

    They turn uniform draws into Beta draws.
    """
    from scipy import special

    return np.asarray(special.betaincinv(alpha, alpha, probability.astype(np.float64)), np.float32)
