"""What a run refuses before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvlib import experiment
from cvlib.config import Config, DataConfig, ModeConfig
from cvlib.config import check as check_config
from cvlib.errors import UserError


@pytest.mark.parametrize("below", [".", "runs/first"])
def test_a_runs_folder_may_not_lie_among_the_users_images(tmp_path: Path, below: str) -> None:
    (tmp_path / "images/cat").mkdir(parents=True)
    config = Config(data=DataConfig("folder", path=str(tmp_path / "images")))
    with pytest.raises(UserError, match="among"):
        experiment.run(config, tmp_path / "images" / below)
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["cat"]


def test_weights_that_are_not_there_are_said_before_anything_is_loaded() -> None:
    with pytest.raises(UserError, match=r"mode\.weights=nowhere\.h5: there is no such file"):
        check_config(Config(mode=ModeConfig("finetune", "nowhere.h5")))
