"""The main result and its interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from cvlib.report.headline import headline, interval
from cvlib.runs.run import read_run


def test_the_interval_is_students_on_the_logit_scale(folder: Path) -> None:
    limits = interval(read_run(folder), "test/accuracy")
    values = np.array([1.0] * 30 + [0.0] * 10)
    half = stats.t.ppf(0.975, 39) * values.std(ddof=1) / np.sqrt(40) / (0.75 * 0.25)
    expected = 1 / (1 + np.exp(-(np.log(3) + np.array([-half, half]))))
    assert limits == pytest.approx(tuple(expected))


def test_without_test_results_there_is_no_interval(folder: Path) -> None:
    (folder / "test_results.csv").unlink()
    assert interval(read_run(folder), "test/accuracy") is None
    assert "interval 9" not in headline(read_run(folder))
