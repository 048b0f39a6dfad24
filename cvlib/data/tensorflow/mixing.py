"""Mixup and CutMix: a sample is made of two images, and its label of both labels.

Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018. Yun et al., CutMix, ICCV 2019. The second image is
drawn from the whole split, not from the batch, so that a sample depends on (seed, epoch, index) alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from cvlib.config.schema import AugmentConfig
from cvlib.data.augmentation import MIXED

if TYPE_CHECKING:
    from cvlib.data.tensorflow.augment import Draws


def mixed(images: Any, labels: Any, draws: Draws, config: AugmentConfig) -> tuple[Any, dict[str, Any]]:
    """Mix images `(2 n, height, width, channels)` in pairs; `draws` are those of the first images, `(n,)`.

    Returns n images and their labels: {"labels": `(n, 2, …)` the labels of both images, "shares": `(n, 2)` the share
    of each, with a sum of 1}. With both `config.mixup` and `config.cutmix`, half of the samples get either.
    """
    first, second = images[::MIXED], images[1::MIXED]
    share = beta_quantile(config.mixup or 1.0, draws["mix_share"])
    weight = share[:, None, None, None]
    blended = weight * first + (1 - weight) * second
    if config.cutmix:
        pasted = _pasted(draws, config, tf.shape(images)[1], tf.shape(images)[2])
        patched = tf.where(pasted[..., None], second, first)
        visible = 1 - tf.reduce_mean(tf.cast(pasted, tf.float32), axis=(1, 2))
        cuts = draws["mix_choice"] < (0.5 if config.mixup else 2.0)
        blended = tf.where(cuts[:, None, None, None], patched, blended)
        share = tf.where(cuts, visible, share)
    pairs = tf.stack([labels[::MIXED], labels[1::MIXED]], axis=1)
    return blended, {"labels": pairs, "shares": tf.stack([share, 1 - share], axis=1)}


def _pasted(draws: Draws, config: AugmentConfig, height: Any, width: Any) -> Any:
    """Return which pixels come from the second image, bool `(n, height, width)`: a rectangle with a random centre."""
    side = tf.sqrt(1 - beta_quantile(config.cutmix, draws["mix_share"]))

    def along(centre: Any, length: Any) -> Any:
        total = tf.cast(length, tf.float32)
        half, middle = tf.floor(tf.floor(side * total) / 2), tf.floor(centre * total)
        places = tf.range(total)
        return (places >= (middle - half)[:, None]) & (places < (middle + half)[:, None])

    return along(draws["cutmix_y"], height)[:, :, None] & along(draws["cutmix_x"], width)[:, None, :]


def beta_quantile(alpha: float, probability: Any) -> Any:
    """Return the quantiles of Beta(alpha, alpha), float32 `(n,)`, at probabilities in [0, 1), float32 `(n,)`.

    They turn uniform draws into Beta draws. SciPy computes them, because TensorFlow has no function for them.
    """
    from scipy import special

    def quantile(values: np.ndarray) -> np.ndarray:
        return np.asarray(special.betaincinv(alpha, alpha, values.astype(np.float64)), np.float32)

    return tf.ensure_shape(tf.numpy_function(quantile, [probability], tf.float32, stateful=False), (None,))
