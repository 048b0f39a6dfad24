"""Every test of networks starts with the same random state and new layer names."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def fresh_session() -> None:
    import keras

    keras.utils.clear_session(free_memory=False)  # the garbage collection would take longer than most of the tests
    keras.utils.set_random_seed(0)
