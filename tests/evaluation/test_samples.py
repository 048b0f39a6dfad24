"""Other data for a saved run: what can't be measured by is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.cli.compose import compose, other_data
from cvlib.evaluation import samples
from cvlib.models.restore import Run
from cvlib.runtime.errors import UserError


def test_void_masks_are_nothing_to_measure_by(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "classes.txt").write_text("background\ncat\n")
    Image.new("RGB", (8, 8)).save(tmp_path / "images/a.png")
    facts = {"classes": ["background", "cat"], "channels": 3, "image_size": 8}
    run = Run(tmp_path, compose(["model=segmenter"]), facts, [])
    other = other_data(run.config, ["data=folder", f"data.path={tmp_path}"])
    for value in (255, 1):
        Image.fromarray(np.full((8, 8), value, np.uint8)).save(tmp_path / "masks/a.png")
        if value == 255:
            with pytest.raises(UserError, match="every pixel of its masks is void"):
                samples.choose(run, None, other)
    assert len(samples.choose(run, None, other).split) == 1
