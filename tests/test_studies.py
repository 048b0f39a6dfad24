"""Studies and search spaces: all their jobs are valid. The smallest study must reach its expected ranges."""

from __future__ import annotations

import csv
import json
import math
import re
import statistics
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from cvlib.cli.compose import compose
from cvlib.config import answers
from tests.cli.test_train import ROOT, run
from tests.compare.conftest import write_run

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


@pytest.fixture
def recommendations(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "experiments"))
    import recommendations

    return recommendations


def test_the_rank_correlation_compares_the_probe_with_the_fine_tuned_runs(
    recommendations: ModuleType, tmp_path: Path
) -> None:
    probes = {"resnet": 0.9, "resnet 101": 0.8, "cnn (3, 4) from letters": 0.7, "darknet": 0.6, "vgg": 0.5}
    journal = tmp_path / "recommend.jsonl"
    journal.write_text("".join(json.dumps({"what": f"rank {name}", "value": {"probe": value}}) + "\n"
                               for name, value in probes.items())
                       + '{"what": "rank vgg 19?", "value": false}\n')  # fmt: skip
    # The first two change places, and vgg was not fine-tuned: ρ = 1 - 6 · (1 + 1) / (4 · 15).
    tuned = {"resnet": (None, "imagenet", 80, 82), "101": (101, "imagenet", 95, 97),
             "cnn": (None, "outputs/letters", 50, 52), "darknet": (None, "imagenet", 30, 32)}  # fmt: skip
    for name, (variant, weights, *percents) in tuned.items():
        model = "resnet" if name == "101" else name
        for seed, percent in enumerate(percents):
            write_run(tmp_path / "sweep" / f"{name}-{seed}",
                      {"model.name": model, "model.variant": variant, "mode.name": "finetune", "mode.weights": weights,
                       "seed": seed}, [1] * percent + [0] * (100 - percent))  # fmt: skip
    write_run(tmp_path / "sweep/scratch", {"model.name": "vgg"})
    text = recommendations.ranking(journal, tmp_path / "sweep")
    assert "Ranking of 4 pretrained backbones" in text
    assert "correlation 0.80 (" in text
    assert "| cnn from letters | 70.0 % | 50.0 % |" in text  # validation is a point below test in these runs


def test_a_line_of_the_recommendations_has_the_verdict_and_the_test(
    recommendations: ModuleType, tmp_path: Path
) -> None:
    folder = tmp_path / "recommended/photos"
    folder.mkdir(parents=True)
    said = ["cnn is recommended: val/accuracy 89.7 % (one seed).",
            "The other finalists reached vgg 80.0 %, with one seed. Too little.", "No more seeds were trained.",
            ("On the test part, which no decision looked at, test/accuracy is 89.0 % (95 % interval 85.1 % to 92.0 %, "
             "for this network).")]  # fmt: skip
    (folder / "recommendation.json").write_text(json.dumps({"verdict": said, "minutes": 15.0, "seconds": 848.2}))
    assert recommendations.row("/data/photos --minutes 15 --name photos", tmp_path) == (
        "| `photos` | 15, 14 min 8 s | cnn is recommended: val/accuracy 89.7 % (one seed). The other finalists reached "
        "vgg 80.0 %, with one seed. Too little. | test/accuracy is 89.0 % (95 % interval 85.1 % to 92.0 %) |"
    )  # fmt: skip
