"""Any text survives as a quoted value of an override."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvlib.cli.compose import compose
from cvlib.config.quotes import in_quotes


@pytest.mark.parametrize("path", ["a, b", "it's", "set [1]", "jörg", "back\\slash", "it's\\both", "end\\"])
def test_any_path_survives_as_an_override(tmp_path: Path, path: str) -> None:
    (tmp_path / path).mkdir()
    config = compose(["data=folder", f"data.path={in_quotes(str(tmp_path / path))}"])
    assert config.data.path == str(tmp_path / path)
