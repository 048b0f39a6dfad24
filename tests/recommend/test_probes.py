"""Probes on drawn features with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from cvlib.recommend import probes


def blobs(count: int = 120, classes: int = 3, spread: float = 0.5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    targets = np.arange(count) % classes
    centres = 3 * np.eye(classes, 8)
    return (centres[targets] + generator.normal(0, spread, (count, 8))).astype(np.float32), targets


def test_a_probe_separates_blobs_and_guesses_noise() -> None:
    features, targets = blobs()
    assert probes.score(probes.probe(features, targets, None, 5, 0), targets) > 0.98
    noise = np.random.default_rng(1).normal(size=(300, 5)).astype(np.float32)
    guessed = probes.score(probes.probe(noise, np.arange(300) % 3, None, 5, 0), np.arange(300) % 3)
    assert 0.2 < guessed < 0.47


def test_groups_stay_in_one_fold() -> None:
    """Each group's images are nearly the same and its label is random, so only a leak could tell the label."""
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    features = (generator.normal(size=(40, 60))[groups] + generator.normal(0, 0.01, (200, 60))).astype(np.float32)
    targets = generator.integers(0, 2, 40)[groups]
    leaking = probes.score(probes.probe(features, targets, None, 5, 0), targets)
    grouped = probes.score(probes.probe(features, targets, groups, 5, 0), targets)
    assert leaking > 0.95 and grouped < 0.75


def test_rare_and_missing_classes_are_no_error() -> None:
    features, targets = blobs(90)
    targets[0] = 3  # a class with a single sample
    found = probes.probe(features, targets, None, 5, 0)
    assert found.shape == (90, 4) and np.isfinite(found).all()
    several = np.eye(4, dtype=int)[targets]
    several[:, 3] = 0  # a class that no image has
    assert probes.score(probes.probe(features, several, None, 5, 0), several) > 0.95


def test_nearest_neighbours_equal_scikit_learn() -> None:
    features, targets = blobs(90, spread=2.0)
    right = 0
    for index in range(90):
        others = np.arange(90) != index
        model = KNeighborsClassifier(3, metric="cosine").fit(features[others], targets[others])
        right += model.predict(features[index : index + 1])[0] == targets[index]
    assert probes.neighbours(features, targets, 3) == pytest.approx(right / 90)
    twins, both = np.repeat(features, 2, axis=0), np.repeat(targets, 2)
    assert probes.neighbours(twins, both, 1) == 1
    assert probes.neighbours(twins, both, 1, np.repeat(np.arange(90), 2)) < 1


def test_wrong_labels_are_found() -> None:
    features, targets = blobs(120)
    features = np.repeat(features, 16, axis=1)  # as many features as a network has let a probe be sure
    wrong = [4, 50, 99]
    targets = targets.copy()
    targets[wrong] = (targets[wrong] + 1) % 3
    found = probes.doubtful(probes.probe(features, targets, None, 5, 0), targets, sure=0.8)
    assert sorted(index for index, _, _ in found) == wrong
    assert all(other == (targets[index] - 1) % 3 and probability > 0.8 for index, other, probability in found)


def test_the_gain_of_twice_as_many_images_follows_the_power_law() -> None:
    counts = np.array([100, 200, 400, 800, 1600])
    errors = 0.05 + 0.2 * (counts / 1600) ** -0.5
    assert probes._gain(counts, errors, 1600) == pytest.approx(0.2 * (1 - 2**-0.5), abs=1e-4)
    assert probes._gain(counts, errors, 6400) == pytest.approx(0.1 * (1 - 2**-0.5), abs=1e-4)
    found = probes.more_data(*blobs(200, spread=2.5), None, 200, 0)
    assert found is not None and found.counts[-1] == 160
    assert 0 <= found.low <= found.high <= 0.5
    assert probes.more_data(*blobs(12), None, 12, 0) is None
