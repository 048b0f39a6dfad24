"""All tests of this folder run on both engines."""

from __future__ import annotations

import pytest

from tests.data import engines


@pytest.fixture(params=engines.ENGINES, autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Use one engine in `make_feed` and `engines.apply`; return its name."""
    engines.use(request.param, monkeypatch)
    return str(request.param)
