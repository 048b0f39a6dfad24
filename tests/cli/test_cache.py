"""`cvlib cache`: the list, the entries that `clear` removes, and invalid keys."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from cvlib import cli
from cvlib.runtime import store

FIRST, SECOND, IMAGES = "aa11" * 6, "ab22" * 6, "cd33" * 6


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return an output root with features of 3 and 1 MB, used five days and two hours ago, and six cached images."""
    features = tmp_path / "cache/features"
    for key, size, about, age in ((FIRST, 3, "train features", 5 * 86400 + 60), (SECOND, 1, "val features", 7260)):
        store.put(features, key, [np.zeros(size * 2**20, np.uint8)], about, 1e9)
        os.utime(features / key, (time.time() - age,) * 2)
    (tmp_path / "cache/images").mkdir()
    np.save(tmp_path / "cache/images" / f"{IMAGES}.npy", np.zeros((6, 32, 32, 3), np.uint8))
    (tmp_path / "runs").mkdir()
    return tmp_path


def cache(root: Path, *arguments: str) -> int:
    return cli.main(["cache", *arguments, "--output-root", str(root)])


def remaining(root: Path) -> set[str]:
    return {path.name[:24] for kind in ("features", "images") for path in (root / "cache" / kind).iterdir()}


def test_the_list_shows_content_size_and_age(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cache(root) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[2:5] == [
        f"{FIRST[:12]} train features 3.0 MB 5 days ago",
        f"{SECOND[:12]} val features 1.0 MB 2 hours ago",
        f"{IMAGES[:12]} 6 resized images of 32×32 px 0.0 MB just now",
    ]
    assert lines[-1].startswith(f"3 entries, 4.0 MB in {root / 'cache'}; features use at most 10 GB")


def test_an_empty_cache_is_listed_and_cleared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cache(tmp_path) == 0
    assert cache(tmp_path, "clear") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("0 entries, 0.0 MB in ")
    assert lines[1] == "removed 0 of 0 entries: 0.0 MB"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], set()),
        (["aa"], {SECOND, IMAGES}),
        ([FIRST, FIRST[:12], "cd33"], {SECOND}),
        (["--older-than", "1"], {SECOND, IMAGES}),
        (["--older-than", "0.05"], {IMAGES}),
        (["ab", "--older-than", "3"], {FIRST, SECOND, IMAGES}),
    ],
)
def test_clear_removes_only_the_selected_entries(root: Path, arguments: list[str], expected: set[str]) -> None:
    assert cache(root, "clear", *arguments) == 0
    assert remaining(root) == expected
    assert (root / "runs").is_dir()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["clear", "ee"], "ee: no cached entry has this key; `cvlib cache` lists all keys"),
        (["clear", "aa", "a"], "a: 2 keys begin with it: give more characters"),
        (["clear", "--older-than", "-1"], "--older-than -1: expected a number of days"),
        (["clear", "--older-than", "nan"], "--older-than nan: expected a number of days"),
        (["clear", "--older-than", "old"], "invalid float value: 'old'"),
        (["empty"], "invalid choice: 'empty'"),
        (["list", "aa"], "cvlib cache clear"),
        (["--older-than", "3"], "cvlib cache clear"),
    ],
)
def test_invalid_input_gives_one_line_and_removes_nothing(
    root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert cache(root, *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert words in captured.err
    assert remaining(root) == {FIRST, SECOND, IMAGES}
