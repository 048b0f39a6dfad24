"""How runs describe their metrics."""

from __future__ import annotations

import json
import math
from pathlib import Path

from cvlib.runs.metric_specs import MetricSpec, from_json, headline, to_json
from cvlib.runs.record import Record
from cvlib.runs.run import read_run
from tests.runs.small_config import config_in


def test_a_run_records_its_format_and_describes_its_metrics(tmp_path: Path) -> None:
    specs = (MetricSpec("mAP", column="ap", sample="own"), MetricSpec("loss", higher_is_better=False, high=math.inf))
    with Record(tmp_path / "run", config_in(tmp_path), specs=specs) as run:
        run.update(status="completed")
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["form"] == 2
    assert summary["metric_specs"][1] == {"name": "loss", "higher_is_better": False, "low": 0.0, "high": None,
                                          "column": None, "sample": None, "sample_name": None}  # fmt: skip
    read = read_run(tmp_path / "run")
    assert (read.metric_specs, read.headline) == (specs, "test/mAP")
    assert read.metric_spec("val/loss") == specs[1]
    assert read.metric_spec("test/AP/cat") == MetricSpec("AP/cat")
    assert read.metric_spec("train/box_loss") == MetricSpec("box_loss", higher_is_better=False, high=math.inf)


def test_invalid_entries_are_left_out_and_missing_fields_have_defaults() -> None:
    content = [{"name": "mAP", "of_tomorrow": 1}, {"column": "x"}, 7, {"name": "loss", "high": "Infinity"}]
    assert from_json(content) == (MetricSpec("mAP"), MetricSpec("loss", high=math.inf))
    assert from_json(None) == from_json({"name": "x"}) == ()
    assert from_json(to_json([MetricSpec("x", low=-math.inf)])) == (MetricSpec("x", low=-math.inf),)


def test_the_first_metric_is_the_headline() -> None:
    assert headline({"metric_specs": [{"name": "mIoU"}, {"name": "loss"}]}) == "test/mIoU"
    assert headline({}) == "test/accuracy"


def test_metrics_between_0_and_1_are_shown_in_percent() -> None:
    assert [spec.in_percent for spec in (MetricSpec("a"), MetricSpec("b", high=math.inf))] == [True, False]
