"""Mixup and CutMix compared with NumPy and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from cvlib.config.schema import AugmentConfig
from cvlib.data import streams
from cvlib.data.augmenting import mixing
from cvlib.data.augmenting.draws import Draws
from cvlib.data.labels import BOXES
from cvlib.data.split import Split
from tests.data.engines import apply
from tests.data.feeds import a_feed

COUNT = 200


def pairs() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (2 * COUNT, 12, 9, 3)).astype(np.float32)


def draw() -> dict[str, np.ndarray]:
    return streams.draw(["mix_share", "mix_choice", "cutmix_x", "cutmix_y"], np.arange(COUNT), 3, 1)


def mixed(config: AugmentConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the mixed images, and the shares of both labels."""
    both = {name: np.repeat(values, 2) for name, values in draw().items()}  # those of the second images are not used
    _, shares = mixing.shares(Draws(draw(), COUNT), config, 12, 9)
    return apply(pairs(), Draws(both, 2 * COUNT), config), shares


@pytest.mark.parametrize("alpha", [0.2, 0.8, 1.0, 4.0])
def test_quantiles_match_scipy(alpha: float) -> None:
    probability = np.random.default_rng(0).uniform(0, 1, 2000).astype(np.float32)
    expected = stats.beta.ppf(probability, alpha, alpha)
    np.testing.assert_allclose(mixing.beta_quantile(alpha, probability), expected, atol=1e-5)


def test_mixup_matches_numpy() -> None:
    images, shares = mixed(AugmentConfig(mixup=0.4))
    expected = stats.beta.ppf(draw()["mix_share"], 0.4, 0.4)
    np.testing.assert_allclose(shares[:, 0], expected, atol=1e-5)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    weight = shares[:, 0, None, None, None]
    np.testing.assert_allclose(images, weight * pairs()[::2] + (1 - weight) * pairs()[1::2], atol=1e-3)


def rectangle(share: float, centre_x: float, centre_y: float) -> np.ndarray:
    """Return the pasted pixels as the authors' `rand_bbox` computes them."""
    height, width = 12, 9
    ratio = np.sqrt(1.0 - share)
    cut_w, cut_h = int(width * ratio), int(height * ratio)
    x, y = int(centre_x * width), int(centre_y * height)
    x1, x2 = np.clip([x - cut_w // 2, x + cut_w // 2], 0, width)
    y1, y2 = np.clip([y - cut_h // 2, y + cut_h // 2], 0, height)
    found = np.zeros((height, width), bool)
    found[y1:y2, x1:x2] = True
    return found


def test_cutmix_matches_the_authors_code_and_the_shares_match_the_pixels() -> None:
    images, shares = mixed(AugmentConfig(cutmix=1.0))
    drawn, partly = draw(), 0
    for number in range(COUNT):  # Beta(1, 1) is uniform
        pasted = rectangle(*(float(drawn[name][number]) for name in ("mix_share", "cutmix_x", "cutmix_y")))
        first, second = pairs()[2 * number : 2 * number + 2]
        assert np.array_equal(images[number], np.where(pasted[..., None], second, first)), number
        assert shares[number, 1] == pytest.approx(pasted.mean(), abs=1e-6)
        partly += 0 < pasted.mean() < 1
    assert partly > 0.7 * COUNT


def test_with_both_each_sample_gets_one_of_them() -> None:
    blends, patches = mixed(AugmentConfig(mixup=0.4))[0], mixed(AugmentConfig(cutmix=1.0))[0]
    images, shares = mixed(AugmentConfig(mixup=0.4, cutmix=1.0))
    cuts = draw()["mix_choice"] < 0.5
    np.testing.assert_allclose(images, np.where(cuts[:, None, None, None], patches, blends), atol=1e-4)
    assert np.array_equal(shares[cuts], mixed(AugmentConfig(cutmix=1.0))[1][cuts])


# In the feed

BOTH = AugmentConfig(horizontal_flip=0.5, erase=0.3, mixup=0.5, cutmix=1.0)


def flat_split() -> Split:
    """Return images of one colour: ten times the label."""
    labels = np.arange(11)
    images = np.broadcast_to(10 * labels[:, None, None, None], (11, 6, 6, 1)).astype(np.uint8)
    return Split([str(label) for label in labels], images, labels)


def epoch(batch_size: int, number: int = 0, start: int = 0, config: AugmentConfig = BOTH) -> list[Any]:
    feed = a_feed(flat_split(), (6, 6), 1, batch_size, 5, config, shuffle=True)
    feed.epoch(number, start)
    return [(image, *map(tuple, (pair, shares))) for images, labels in feed.batches()
            for image, pair, shares in zip(images, labels["labels"], labels["shares"], strict=True)]  # fmt: skip


def test_a_sample_shows_both_images_of_its_label() -> None:
    found = epoch(4, config=AugmentConfig(mixup=0.5, cutmix=1.0))
    assert sorted(pair[0] for _, pair, _ in found) == list(range(11))  # every image is once the first of a pair
    assert len({pair[1] for _, pair, _ in found}) > 3
    for image, pair, shares in found:
        assert image.mean() == pytest.approx(10 * np.dot(pair, shares), abs=0.01)


def test_a_sample_depends_neither_on_the_batch_nor_on_where_the_epoch_began() -> None:
    whole, resumed = epoch(4), epoch(3, start=1)
    assert len(whole) == 11 and len(resumed) == 8
    for (image, pair, shares), (same, same_pair, same_shares) in zip(whole[3:], resumed, strict=True):
        np.testing.assert_allclose(image, same, atol=1e-3)
        assert pair == same_pair and shares == same_shares
    assert [pair for _, pair, _ in epoch(4, number=1)] != [pair for _, pair, _ in whole]


def test_boxes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"augment\.mixup and augment\.cutmix require classes, not BOXES"):
        a_feed(flat_split(), (6, 6), 1, 4, 0, BOTH, kind=BOXES)
