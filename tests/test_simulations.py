"""A fast part of the simulations of verdicts: false claims, power and coverage, within wide bounds."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "experiments/simulations"


@pytest.fixture
def verdicts(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    import verdicts

    return verdicts


@pytest.mark.parametrize(
    ("task", "design", "images", "seeds", "groups"),
    [
        ("classification", "shared split", 300, 2, 10),
        ("classification", "shared split", 300, 5, 2),
        ("classification", "split per seed", 50, 3, 2),
        ("classification", "folds", 50, 5, 2),
        ("segmentation", "shared split", 50, 3, 2),
        ("multi-label", "split per seed", 50, 3, 2),
        ("detection", "shared split", 50, 3, 2),
        ("detection", "folds", 50, 5, 2),
    ],
)
def test_false_claims_are_rare_and_intervals_cover(
    verdicts: ModuleType, task: str, design: str, images: int, seeds: int, groups: int
) -> None:
    """If the rate is 5 %, the probability of more than 13 of 100 false claims is below 0.001."""
    cell, rng = verdicts.Cell(task, design, images, seeds, groups), np.random.default_rng(0)
    null = [cell.contest(rng, leads=False) for _ in range(100)]
    found = verdicts.rates(null, null[:1], truths=None)
    assert float(found["claims %"]) <= 13
    assert 86 <= float(found["group covered %"]) <= 100


def test_a_clear_lead_is_found(verdicts: ModuleType) -> None:
    cell, rng = verdicts.Cell("classification", "shared split", 2000, 5), np.random.default_rng(2)
    led = [cell.contest(rng, leads=True) for _ in range(20)]
    assert sum(one.claims and one.leader == 0 for one in led) >= 15


def test_networks_with_one_seed_are_no_claim_about_recipes(verdicts: ModuleType) -> None:
    contest = verdicts.Cell("classification", "shared split", 2000, 1).contest(np.random.default_rng(0), leads=True)
    assert contest.claims
    assert not any(one.has_winner for one in contest.comparisons)


def test_heads_learn_and_differ_by_their_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    from heads import Recipe

    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 200)
    data = random.normal(0, 1, (200, 4)) + 2 * np.eye(3, 4)[labels]
    recipe = Recipe(features=4)
    weights = recipe.train(data, labels, [np.arange(100)] * 2, random)
    accuracies = [recipe.correct(one, data[100:], labels[100:]).mean() for one in weights]
    assert min(accuracies) > 0.7
    assert not np.allclose(weights[0], weights[1])


def test_equal_finalists_are_rarely_called_clearly_best(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a rate of 5 %, more than 9 claims in 60 recommendations have a probability below 0.001."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import recommend
    from heads import Recipe

    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 900)
    data = (generator.normal(0, 1, (900, 4)) + 1.2 * np.eye(3, 4)[labels]).astype(np.float32)
    monkeypatch.setattr(recommend, "photographs", lambda: (data, labels))
    good, worse = Recipe(features=4, epochs=2), Recipe(features=1, epochs=2)
    null = [recommend.called(150, [good, good], generator)[0] for _ in range(60)]
    assert sum(one is not None for one in null) <= 9
    led = [recommend.called(300, [worse, good], generator)[0] for _ in range(10)]
    assert led.count(1) >= 9
