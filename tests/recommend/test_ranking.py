"""What the ranking decides about the runs after it: how large their images are."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from cvlib.recommend import ranking
from cvlib.recommend.bases import Base
from cvlib.recommend.ranking import Ranked
from tests.recommend.fake import session

# Features take 0.05 s for each image of 320 pixels, so an epoch of 200 images takes 3.5 · 200 · 0.05 s = 35 s.
BEST = Ranked(Base("cnn", (), "imagenet", 1), 0.8, 0.7, 100, 20.0, 0.05, 320, 300)


@pytest.mark.parametrize(("minutes", "given", "side"), [
    # A final has (0.65 · 0.93 · 60 minutes) / 2 − 15 seconds, and has to fit 20 epochs of 35 s · (side / 320)².
    (60, {}, None),  # 1073 s are 31 epochs
    (15, {}, 192),  # 257 s are 7.3 epochs: 320 · √(7.3 / 20) = 193, of which 192 is the multiple of 32
    (2, {}, 128),  # the smallest side
    (15, {"image_size": 300}, None),  # the user has chosen
    (15, {"tiles": 128}, None),
])  # fmt: skip
def test_a_short_time_gives_a_detector_smaller_images(
    minutes: float, given: dict[str, int], side: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = session(tmp_path / "s", monkeypatch, lambda *_: 0.5, minutes=minutes)
    made.compose = lambda overrides: OmegaConf.create({"data": {"image_size": None, "tiles": None} | given})
    made.journal.decide("images", lambda: {"train": 200, "val": 50, "test": 50})
    assert ranking.smaller_side(made, BEST) == side
    assert ranking.epoch_seconds(made, BEST, 320) == pytest.approx(35)
    assert ranking.epoch_seconds(made, BEST, 160) == pytest.approx(35 / 4)


def test_the_smallest_backbone_that_is_as_good_as_the_best_comes_first() -> None:
    def ranked(name: str, probe: float, cost: float) -> Ranked:
        return Ranked(Base(name, (), "imagenet", cost), probe, None, 100, 20.0, 0.05, 224, 300)

    # The standard error of the best is √(0.8 · 0.2 / 100) = 0.04, so 0.77 is as good and 0.75 isn't.
    found = [ranked("small", 0.77, 1), ranked("middle", 0.78, 2), ranked("smallest", 0.75, 0), ranked("best", 0.8, 3)]
    assert [one.base.name for one in ranking.in_order(found)] == ["small", "best", "middle", "smallest"]
