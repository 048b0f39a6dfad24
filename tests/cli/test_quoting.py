"""Quoting of paths on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvlib.cli.compose import compose
from cvlib.cli.quoting import quoted


@pytest.mark.parametrize("path", ["~/photos", "/tmp/été", "/tmp/写真 1", "/tmp/my (photos)/x", "/tmp/a b", "data/x"])
def test_paths_need_no_quotes(path):
    assert compose(["data=folder", f"data.path={path}"]).data.path == path


def test_only_values_that_need_quotes_are_quoted(tmp_path: Path) -> None:
    given = ["data.path='/tmp/été'", 'data.path="x y"', "data.path=a,b", "seed=1,2", "model.name=é"]
    assert quoted(given) == given
    assert compose(["name=ünïcode"]).name == "ünïcode"
    assert quoted(["data.path=~/a,~/b"]) == ["data.path='~/a','~/b'"]
