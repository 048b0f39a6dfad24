"""The page of a recommendation, from drawn results."""

from __future__ import annotations

import json
from pathlib import Path

from cvlib.recommend import as_json, insights, page, race, words
from cvlib.recommend.bases import Base
from cvlib.recommend.candidates import Candidate
from cvlib.recommend.ranking import Ranked
from tests.recommend.fake import session

LEVELS = {"frozen": 0.7, "tuned": 0.9, "scratch": 0.3}
DOUBTS = [{"name": "digits/0001", "label": "1", "other": "7", "probability": 0.97}]


def test_the_page_has_every_part_also_for_data_without_files(tmp_path: Path, monkeypatch) -> None:
    made = session(tmp_path / "s", monkeypatch, lambda name, minutes, seed: LEVELS[name])
    result = race.run(made, [Candidate("frozen", ())], [Candidate("tuned", ()), Candidate("scratch", ())])
    made.journal.decide("doubtful labels", lambda: DOUBTS)
    made.journal.decide("more data", lambda: {"counts": [10, 20], "accuracies": [[0.5, 0.6], [0.55, 0.62]],
                                              "gain": 0.02, "low": 0.01, "high": 0.03})  # fmt: skip
    assert insights.sheet(made, DOUBTS) is None
    ranked = [Ranked(Base("cnn", (), "imagenet", 1), 0.8, 0.7, 100, 5.0, 0.04, 32, 32)]
    target = result.finals[result.best][0].folder  # as if its test part had been read
    checked = {"findings": [{"severity": "warning", "path": "a.png", "message": "is blank"}], "collections": []}
    text = page.write(made, checked, ranked, result, target, "cvlib recommend digits").read_text()
    for part in ("tuned is recommended", "is clearly ahead of frozen", "race, round 1", "digits/0001", "a.png is blank",
                 "would bring about +2.0 points (95 % interval 1.0 to 3.0", "cvlib predict"):  # fmt: skip
        assert part in text
    rows = words.rows(result)
    assert [row["candidate"] for row in rows] == ["tuned", "frozen", "scratch"]

    as_json.write(made, ranked, result, target)
    found = json.loads((target / "recommendation.json").read_text())
    assert found["recommended"] == "tuned" and found["clear"] and found["metric"] == "val/accuracy"
    assert [one["name"] for one in found["candidates"]] == ["tuned", "frozen", "scratch"]
    tuned = found["candidates"][0]
    assert abs(tuned["validation"] - 0.9) < 0.03 and tuned["seeds"] == len(tuned["runs"]) > 1
    assert found["ranking"] == [{"backbone": "cnn", "probe": 0.8, "neighbours": 0.7, "images": 100}]
    assert found["commands"]["Predict"] == f"cvlib predict {target} IMAGES"
