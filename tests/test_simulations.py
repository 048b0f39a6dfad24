"""A fast part of the simulation of verdicts: false claims and coverage, within wide bounds."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "experiments/simulations"


@pytest.fixture
def simulation(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    import verdicts

    return verdicts


@pytest.mark.parametrize(("images", "seeds", "groups"), [(50, 3, 2), (300, 3, 3), (300, 5, 10)])
def test_false_claims_are_rare_and_intervals_cover(
    simulation: ModuleType, images: int, seeds: int, groups: int
) -> None:
    """If the true rate is 5 %, the probability of more than 11 % in 200 cases is below 0.001."""
    rng, draw = np.random.default_rng(0), simulation.shared(images, seeds, groups)
    null = [draw(rng, 0.0) for _ in range(200)]
    assert np.mean([simulation.winner_on_shared(case) for case in null]) <= 0.11
    assert 0.88 <= simulation.coverage(null) <= 0.995


def test_false_claims_are_rare_with_different_splits(simulation: ModuleType) -> None:
    rng, draw = np.random.default_rng(1), simulation.own_splits(300, 3)
    assert np.mean([simulation.winner_on_own(draw(rng, 0.0)) for _ in range(200)]) <= 0.11


def test_a_clear_lead_is_found(simulation: ModuleType) -> None:
    rng, draw = np.random.default_rng(2), simulation.shared(2000, 5, 2)
    assert np.mean([simulation.winner_on_shared(draw(rng, simulation.LEAD)) for _ in range(50)]) >= 0.8
