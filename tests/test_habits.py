"""Shared imitations of real collections: how many of them are read or reported correctly."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import programs

ROOT = Path(__file__).parents[1]
_PLACES = [place / "shared" / "data" for place in ROOT.parents]
SHARED = next((place for place in _PLACES if (place / "habits").is_dir()), None)
CASES = 92


@pytest.mark.slow
@pytest.mark.skipif(SHARED is None, reason="the shared imitations of collections aren't available")
def test_realistic_collections_are_read_or_reported_correctly(tmp_path):
    done = programs.run(tmp_path, str(SHARED / "habits.py"), str(SHARED / "habits"), timeout=1800)
    found = re.search(r"(\d+) of (\d+) cases right", done.stdout)
    wrong = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert found and int(found[2]) >= CASES and int(found[1]) >= CASES, "\n".join(wrong)
