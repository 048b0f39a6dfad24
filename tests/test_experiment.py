"""What a run refuses before it begins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cvlib import experiment
from cvlib.config import Config, DataConfig
from cvlib.errors import UserError


@pytest.mark.parametrize("below", [".", "runs/first"])
def test_a_runs_folder_may_not_lie_among_the_users_images(tmp_path: Path, below: str) -> None:
    (tmp_path / "images/cat").mkdir(parents=True)
    config = Config(data=DataConfig("folder", path=str(tmp_path / "images")))
    with pytest.raises(UserError, match="among"):
        experiment.run(config, tmp_path / "images" / below)
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["cat"]


def test_images_of_many_sizes_are_told_by_the_smallest_and_the_largest() -> None:
    assert experiment._span(np.array([[200, 300], [100, 150], [400, 300]])) == "100×150 to 400×300"
    assert experiment._span(np.array([[96, 96], [96, 96]])) is None
    assert experiment._span(None) is None
