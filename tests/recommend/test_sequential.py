"""The test that is repeated after every round of seeds."""

from __future__ import annotations

import numpy as np
import pytest

from cvlib.compare import statistics
from cvlib.recommend.sequential import look


def results(generator: np.random.Generator, means: list[float], seeds: int, images: int = 150) -> list[np.ndarray]:
    """Draw right and wrong predictions whose images are equally difficult for all candidates."""
    difficulty = generator.random(images)
    return [(difficulty + generator.normal(0, 0.1, (seeds, images)) < mean).astype(float) for mean in means]


def test_nothing_is_said_before_the_second_seed_or_without_an_opponent() -> None:
    generator = np.random.default_rng(0)
    assert look(results(generator, [0.9, 0.2], 1), 5, 0.05).against == ()
    alone = look(results(generator, [0.9], 3), 5, 0.05)
    assert (alone.leader, alone.against, alone.clear) == (0, (), False)


def test_p_is_multiplied_by_pairs_and_looks() -> None:
    first, second = results(np.random.default_rng(1), [0.7, 0.66], 3)
    plain = statistics.seeds_and_samples(first, second).p
    found = look([second, first], 4, 0.05)
    assert found.leader == 1
    assert found.against[0].estimate.p == pytest.approx(plain)
    assert found.against[0].corrected == pytest.approx(min(1, 4 * plain))
    assert look([second, first], 4, 0.05, share=0.5).against[0].corrected == pytest.approx(min(1, 8 * plain))
    three = look([second, first, second], 4, 0.05)
    assert three.against[0].corrected == pytest.approx(min(1, 3 * 4 * plain))  # Holm over three pairs


def test_a_large_difference_is_clear() -> None:
    found = look(results(np.random.default_rng(2), [0.6, 0.9, 0.5], 2), 5, 0.05)
    assert found.leader == 1 and found.clear
    assert [one.other for one in found.against] == [0, 2]


def test_equal_candidates_are_rarely_told_apart_in_five_looks() -> None:
    """If the rate is 5 %, more than 13 of 100 recommendations with a claim have a probability below 0.001."""
    generator = np.random.default_rng(3)
    claims = 0
    for _ in range(100):
        everything = results(generator, [0.8, 0.8, 0.8], 5)
        claims += any(look([one[:seeds] for one in everything], 5, 0.05).clear for seeds in range(2, 6))
    assert claims <= 13


def test_few_images_that_agree_are_no_proof() -> None:
    """Two seeds that are all right against all wrong have no variance; three images could still be chance."""
    right, wrong = np.ones((2, 3)), np.zeros((2, 3))
    found = look([right, wrong], 5, 0.05)
    assert found.against[0].corrected == 1.0 and not found.clear
    assert look([np.ones((2, 30)), np.zeros((2, 30))], 5, 0.05).clear
