"""`cvlib compare --format json`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cvlib.compare import compare


def test_json_holds_sections_groups_and_comparisons(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    for seed in range(3):
        make_run(
            f"a{seed}", {"seed": seed, "mode.name": "finetune"}, right=[1] * (38 + seed % 2) + [0] * (2 - seed % 2)
        )
        make_run(f"b{seed}", {"seed": seed}, right=[1] * (20 + seed) + [0] * (20 - seed))
    content = json.loads(compare([tmp_path], pytest.fail, form="json"))
    (section,) = content["sections"]
    first, second = section["groups"]
    assert (section["metric"], first["name"], first["seeds"]) == ("test/accuracy", "finetune", 3)
    assert first["settings"] == {"mode.name": "finetune"} and first["mean"] == pytest.approx(0.95 + 0.025 / 3)
    assert first["interval"][0] < first["mean"] < first["interval"][1] <= 1
    assert [Path(folder).name for folder in second["folders"]] == ["b0", "b1", "b2"]
    (one,) = section["comparisons"]
    assert (one["leader"], one["other"], one["about"], one["winner"]) == ("finetune", "scratch", "recipe", True)
    assert one["difference"] == pytest.approx(first["mean"] - second["mean"])
    assert one["interval"][0] < one["difference"] < one["interval"][1] and one["corrected_p"] >= one["p"]


def test_one_seed_per_group_gives_no_winner_and_no_group_interval(
    tmp_path: Path, make_run: Callable[..., Path]
) -> None:
    make_run("a", {"mode.name": "finetune"}, right=[1] * 40)
    make_run("b", right=[1] * 10 + [0] * 30)
    (section,) = json.loads(compare([tmp_path], pytest.fail, form="json"))["sections"]
    assert [group["interval"] for group in section["groups"]] == [None, None]
    (one,) = section["comparisons"]
    assert (one["about"], one["winner"], one["corrected_p"] < 0.001) == ("networks", False, True)
