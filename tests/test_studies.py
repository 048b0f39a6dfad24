"""The smallest study, run whole and held to the range that it states."""

from __future__ import annotations

import csv
import re
import statistics
from collections import defaultdict
from pathlib import Path

import pytest

from tests.cli.test_train import ROOT, run


def expected(study: str) -> dict[str, tuple[float, float]]:
    """The lines `#   finetune  0.80 to 0.90` of a study's file."""
    text = (ROOT / f"experiments/{study}.yaml").read_text()
    return {name: (float(low), float(high)) for name, low, high in
            re.findall(r"^#   (\w+) +(0\.\d+) to (0\.\d+)$", text, re.MULTILINE)}  # fmt: skip


@pytest.mark.slow
def test_the_regimes_lie_in_their_ranges_and_end_with_their_comparison(tmp_path: Path) -> None:
    result = run(tmp_path, "+experiment=regimes", timeout=1800)
    assert result.returncode == 0, result.stderr
    found = defaultdict(list)
    with (tmp_path / "outputs/sweeps/regimes/sweep.csv").open() as file:
        for row in csv.DictReader(file):
            found[row["job"].split()[0].removeprefix("mode=")].append(float(row["value"]))
    ranges = expected("regimes")
    assert set(found) == set(ranges) == {"scratch", "feature_extractor", "finetune"}
    for mode, (low, high) in ranges.items():
        assert len(found[mode]) == 5
        assert low <= statistics.mean(found[mode]) <= high, mode
    assert "15 completed runs in 3 groups" in result.stdout
    assert re.search(r"^\w+ (beats|and) \w+ (by|can't be told apart)", result.stdout, re.MULTILINE)
