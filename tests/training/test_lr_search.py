"""The learning-rate search: smoothing, suggestion and settings by hand, and a search that changes no weight."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cvlib import experiment
from cvlib.cli import main
from cvlib.config.parse import parse
from cvlib.config.schema import Adam, Config, DataConfig, FeatureExtractor, Finetune, Scratch, Sgd, TrainerConfig
from cvlib.models import run_state
from cvlib.models.options import read_model
from cvlib.runs.unrecorded import Unrecorded
from cvlib.runtime.errors import RunFailed, UserError
from cvlib.training import lr_search
from cvlib.training.lr_search import Curve
from tests.configs import model_config, shipped_model
from tests.transfer.test_kept_head import saved

CNN = model_config("cnn", filters=[4], dense=[6], dropout=0.2)


def test_the_loss_is_smoothed_and_the_suggestion_is_a_tenth_of_the_rate_of_its_minimum() -> None:
    losses = np.array([2.0, 1.0, 5.0])
    expected = [2.0, (0.9 * 0.2 + 0.1) / 0.19, (0.81 * 0.2 + 0.09 + 0.5) / 0.271]
    np.testing.assert_allclose(lr_search.smoothed(losses), expected)
    assert lr_search.suggested(np.array([1e-3, 0.0123, 1.0]), np.array(expected)) == 0.0012
    with pytest.raises(RunFailed, match=r"the loss falls at no learning rate between 0\.001 and 1"):
        lr_search.suggested(np.array([1e-3, 0.0123, 1.0]), np.array([1.0, 2.0, 3.0]))


@pytest.mark.parametrize(("mode", "rates", "expected"), [
    (Scratch(), {"network": 0.01}, {"optimizer.lr": 0.01}),
    (FeatureExtractor(head_lr=4), {"head": 0.01}, {"optimizer.lr": 0.0025}),
    (Finetune(), {"head": 0.01, "base": 0.002}, {"optimizer.lr": 0.002, "mode.head_lr": 5.0}),
    (Finetune(head_epochs=0), {"base": 0.002}, {"optimizer.lr": 0.002}),
])  # fmt: skip
def test_the_settings_give_each_phase_its_rate(mode: Any, rates: dict[str, float], expected: dict[str, float]) -> None:
    config, none = Config(CNN, mode), np.zeros(0)
    found = lr_search.settings_of(config, [Curve(part, none, none, none, rate) for part, rate in rates.items()])
    assert found == pytest.approx(expected)
    changed = lr_search.with_settings(config, found)
    assert changed.optimizer.lr == expected["optimizer.lr"]
    assert getattr(changed.mode, "head_lr", None) == expected.get("mode.head_lr", getattr(mode, "head_lr", None))


@pytest.mark.parametrize(("value", "expected"), [("auto", "auto"), (1, 1.0), ("1e-2", 0.01), (0.5, 0.5)])
def test_a_rate_is_a_number_or_auto(value: Any, expected: Any) -> None:
    read = parse({"model": shipped_model("cnn"), "optimizer": {"name": "sgd", "lr": value}}, read_model)
    assert read.optimizer == Sgd(lr=expected) and type(read.optimizer.lr) is type(expected)


@pytest.mark.parametrize("value", ["fast", True, None, -1, 0, 1e31, [1]])
def test_another_rate_is_refused(value: Any) -> None:
    with pytest.raises(UserError, match=r"optimizer\.lr") as caught:
        parse({"model": shipped_model("cnn"), "optimizer": {"name": "adam", "lr": value}}, read_model)
    assert "\n" not in str(caught.value)


def test_a_search_in_two_phases_leaves_the_weights_as_they_were(tmp_path: Path) -> None:
    saved(tmp_path / "first", list("0123456789"))
    (tmp_path / "first/config.yaml").write_text("model: {name: cnn}")
    config = Config(CNN, Finetune(weights=str(tmp_path / "first")), data=DataConfig("digits", samples=100))
    training = experiment._prepare(config, Unrecorded(tmp_path / "none", experiment.as_mapping(config)))[1]
    before = run_state.values(training.network.model.variables)
    found = lr_search.search(training, 1e-4, 10.0, 20)
    after = run_state.values(training.network.model.variables)
    assert before.keys() == after.keys() and all(np.array_equal(before[name], after[name]) for name in before)
    assert [curve.part for curve in found.curves] == ["head", "base"]
    for curve in found.curves:
        np.testing.assert_allclose(curve.rates, np.geomspace(1e-4, 10.0, 20)[: len(curve.rates)])
        assert len(curve.rates) == len(curve.losses) > 10 and np.ptp(curve.losses) > 0
    assert set(found.settings) == {"optimizer.lr", "mode.head_lr"}
    assert found.picture().shape[2] == 3
    assert not (tmp_path / "none").exists()


def test_a_run_with_auto_records_the_rate_and_resumes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lr_search, "STEPS", 20)
    config = Config(CNN, data=DataConfig("digits", samples=60), optimizer=Adam(lr="auto"),
                    trainer=TrainerConfig(epochs=2, steps_per_epoch=1))  # fmt: skip

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiment.run(config, tmp_path / "run", on_epoch=stop)
    rate = json.loads((tmp_path / "run/summary.json").read_text())["learning_rate_search"]["optimizer.lr"]
    assert run_state.load(tmp_path / "run/checkpoints")[0].resolved["optimizer.lr"] == str(rate)
    monkeypatch.setattr(lr_search, "search", None)
    assert experiment.run(config, tmp_path / "run")["learning_rate_search"] == {"optimizer.lr": rate}
    assert f"optimizer.lr=auto: optimizer.lr={rate:g}, as found when this run began" in capsys.readouterr().out
    with (tmp_path / "run/metrics.csv").open() as file:
        assert float(next(csv.DictReader(file))["lr"]) == pytest.approx(rate)
    with Image.open(tmp_path / "run/learning_rate.png") as picture:
        assert picture.width > 100
    assert (tmp_path / "run/learning_rate.csv").read_text().startswith("part,rate,loss,smoothed_loss\n")


@pytest.mark.parametrize(("arguments", "words"), [
    (["--from", "1", "--to", "0.1"], "--from 1 --to 0.1"), (["--steps", "5"], "--steps 5"),
    (["--from", "nan"], "--from nan"), (["model=nothing"], "nothing"),
])  # fmt: skip
def test_invalid_input_of_the_command_is_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["find-lr", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
