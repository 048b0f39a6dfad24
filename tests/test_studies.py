"""Studies and search spaces: all their jobs are valid. The smallest study must reach its expected ranges."""

from __future__ import annotations

import csv
import math
import re
import statistics
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from cvlib.cli.compose import compose
from cvlib.config import answers
from tests.cli.test_train import ROOT, run

STUDIES = sorted(path.stem for path in answers.EXPERIMENTS.glob("*.yaml"))
SPACES = sorted(path.stem for path in (answers.CONF / "sweep").glob("*.yaml"))


def expected(study: str) -> dict[str, tuple[float, float]]:
    """Return the expected ranges of a study from lines such as `#   finetune  0.80 to 0.90`."""
    text = (ROOT / f"experiments/{study}.yaml").read_text()
    return {name: (float(low), float(high)) for name, low, high in
            re.findall(r"^#   (\w+) +(0\.\d+) to (0\.\d+)$", text, re.MULTILINE)}  # fmt: skip


@pytest.mark.slow
def test_regimes_reach_their_expected_ranges_and_print_the_comparison(tmp_path: Path) -> None:
    result = run(tmp_path, "-m", "+experiment=regimes", "seed=0", timeout=1800)
    assert result.returncode == 0, result.stderr
    found = defaultdict(list)
    with (tmp_path / "outputs/sweeps/regimes/sweep.csv").open() as file:
        for row in csv.DictReader(file):
            found[row["job"].split()[0].removeprefix("mode=")].append(float(row["value"]))
    ranges = expected("regimes")
    assert set(found) == set(ranges) == {"scratch", "feature_extractor", "finetune"}
    for mode, (low, high) in ranges.items():
        assert len(found[mode]) == 1
        assert low <= statistics.mean(found[mode]) <= high, mode
    assert "3 completed runs" in result.stdout
    assert re.search(r"^(\w+ beats \w+ by|no clear winner yet: \w+ )", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_states_its_question_and_all_its_jobs_are_valid(study: str) -> None:
    text = (ROOT / f"experiments/{study}.yaml").read_text()
    for words in ("Question: ", f"+experiment={study}", f"{study}.md"):
        assert words in text
    params = yaml.safe_load(text)["hydra"]["sweeper"]["params"]
    own = ["data.path=photographs"] if "data.path=" in text else []
    assert jobs_of(params, f"+experiment={study}", *own) >= 2


@pytest.mark.parametrize("space", SPACES)
def test_a_search_space_composes_with_its_choices(space: str) -> None:
    params = yaml.safe_load((ROOT / f"conf/sweep/{space}.yaml").read_text())["hydra"]["sweeper"]["params"]
    choices = {key: value for key, value in params.items() if "interval" not in value}
    assert jobs_of(choices, f"+sweep={space}") >= 1


def jobs_of(params: dict[str, str], *added: str) -> int:
    """Return the number of jobs. Jobs that differ from the first in one override are composed and checked."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in params.items()])
    values = {override.get_key_element(): list(override.sweep_string_iterator()) for override in parsed}
    first = {key: choices[0] for key, choices in values.items()}
    for key, choices in values.items():
        for choice in choices:
            job = first | {key: choice}
            compose([*added, *(f"{name}={value}" for name, value in job.items())])
    return math.prod(len(choices) for choices in values.values())
