"""Warnings about unfair comparisons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cvlib.compare import caveats, runs
from cvlib.compare.groups import sections

MakeRun = Callable[..., Path]


def warnings_of(root: Path) -> list[str]:
    return list(caveats.warnings(sections(runs.find([root], print), None, None)))


def test_comparable_runs_give_no_warning(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a1", {"seed": 1}, data_fingerprint="one")
    make_run("b1", {"seed": 1, "mode.name": "finetune"}, data_fingerprint="one")
    make_run("a2", {"seed": 2}, data_fingerprint="two")  # the split may depend on the seed
    assert warnings_of(tmp_path) == []


def test_changed_files_give_a_warning(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a", {"seed": 1}, data_fingerprint="one")
    make_run("b", {"seed": 1, "mode.name": "finetune"}, data_fingerprint="two")
    (warning,) = warnings_of(tmp_path)
    assert warning.startswith("a and b used different data, although their configs request the same data")


@pytest.mark.parametrize(
    ("differing", "fingerprints", "warned"),
    [
        ({"data.channels": 3}, ["one", "two", "three", "four"], ["data.channels 3, null"]),
        ({"data.channels": 3}, ["one", "two", "one", "two"], []),  # the images are in colour
        ({"data.cache": "memory", "data.resize": "letterbox"}, ["one", "two", "one", "two"], []),
    ],
)  # fmt: skip
def test_data_counts_as_changed_only_if_the_configs_dont_explain_the_difference(
    tmp_path: Path, make_run: MakeRun, differing: dict[str, object], fingerprints: list[str], warned: list[str]
) -> None:
    for index, fingerprint in enumerate(fingerprints):
        changes = {"seed": index % 2, **(differing if index > 1 else {})}
        make_run(f"{index}", changes, data_fingerprint=fingerprint)
    assert warnings_of(tmp_path) == [f"runs used different data, as configured: {keys}" for keys in warned]


def test_different_data_budgets_weights_and_versions_give_warnings(tmp_path: Path, make_run: MakeRun) -> None:
    imagenet = {"mode.weights": "imagenet"}
    make_run("a", imagenet, weights={"source": "imagenet"})
    make_run("b", {**imagenet, "data.fraction": 0.1, "trainer.epochs": 9}, data_fingerprint="z",
             versions={"keras": "3.15.0"}, git={"commit": "f" * 40}, weights={"source": "letters (in x)"})  # fmt: skip
    assert warnings_of(tmp_path) == [
        "runs used different data, as configured: data.fraction 0.1, 1",
        "runs had different budgets: trainer.epochs 3, 9",
        "runs of cnn with mode.weights=imagenet started from different weights: imagenet, letters",
        "runs used different versions of keras: 3.15.0, 3.15.1",
        "runs used different commits of the code: 01234567, ffffffff",
    ]
