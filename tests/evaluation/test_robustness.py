"""Evaluation on corrupted images, and `cvlib evaluate --corrupt`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib import cli
from cvlib.data.corruptions import BY_NAME
from cvlib.data.input_spec import InputSpec
from cvlib.data.split import Split
from cvlib.evaluation import evaluate_run, robustness, samples
from cvlib.models import restore
from cvlib.runs import corruptions
from tests.small_runs import write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("robustness") / "run"
    write_run(folder)
    return folder


def test_strength_0_gives_the_plain_metrics(run: Path) -> None:
    opened = restore.open_run(run)
    wanted = samples.limited(samples.choose(opened, "test"), 50)
    network = evaluate_run.network_of(opened)
    plain = evaluate_run.measure(opened, network, {}, wanted).metrics
    found = robustness.measure(opened, network, wanted, plain, ["fog", "shot_noise"], [0, 5])
    assert [row.metrics for row in found.rows if row.strength == 0] == [found.clean] * 2
    assert all(row.metrics["loss"] != found.clean["loss"] for row in found.rows if row.strength)
    again = robustness.measure(opened, network, wanted, plain, ["shot_noise"], [5])
    assert again.rows[0] == found.rows[1]  # random numbers depend on the image alone


def test_the_padding_of_a_letterbox_stays_black(tmp_path: Path) -> None:
    Image.fromarray(np.full((20, 40, 3), 200, np.uint8)).save(tmp_path / "a.png")
    split = Split(["a"], [tmp_path / "a.png"], np.zeros(1, np.int64))
    corrupter = robustness.Corrupter(split, InputSpec(32, 32, 3, "letterbox"))
    corrupter.name, corrupter.strength = "brightness", 1
    images = np.zeros((1, 32, 32, 3), np.uint8)
    images[:, 8:24] = 200
    found = corrupter(images, np.array([0]))
    assert (found[0, :8] == 0).all() and (found[0, 24:] == 0).all()
    assert (found[0, 8:24] == 226).all()  # 200 + 0.1 · 255, rounded


def test_the_command_shows_some_corruptions(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", str(run), "--corrupt", "fog,pixelate", "--strengths", "1,5", "--limit", "30"]) == 0
    output, folder = capsys.readouterr().out, run / "evaluate/test-30"
    assert "note: --limit: 30 of 269 images, drawn at random" in output
    assert "mean accuracy under corruption: " in output
    assert "only all corruptions in all strengths" in output
    found = corruptions.read(folder)
    assert found is not None and (found.images, found.names, found.strengths) == (30, ["fog", "pixelate"], [1, 5])
    assert (folder / "corruptions.png").is_file()
    assert not (run / corruptions.FILE).exists()


@pytest.mark.slow
def test_all_corruptions_become_part_of_the_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", str(run), "--limit", "8", "--corrupt"]) == 0
    found = corruptions.read(run)
    assert found is not None and found.names == list(BY_NAME)
    assert "<h2>Robustness</h2>" in (run / "report.html").read_text(encoding="utf-8")
    mean = found.mean("accuracy")
    assert mean is not None
    (run / "summary.json").write_text(
        (run / "summary.json").read_text().replace('"metrics": {}', '"metrics": {"test/accuracy": 0.5}')
    )
    capsys.readouterr()
    assert cli.main(["compare", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith("run ")).endswith("under corruption %")
    assert any(line.endswith(f"{100 * mean:.2f} of {100 * found.clean['accuracy']:.2f}") for line in lines)


@pytest.mark.parametrize(("arguments", "words"), [
    (["--corrupt", "rain"], "--corrupt rain: expected all, noise, blur"),
    (["--strengths", "1"], "--strengths 1 is for --corrupt: add --corrupt"),
    (["--corrupt", "fog", "--strengths", "6"], "--strengths 6: expected numbers from 1 to 5"),
    (["--corrupt", "data.path=x"], "write --corrupt last"),
    (["--limit", "0"], "--limit 0: expected at least 1 image"),
])  # fmt: skip
def test_invalid_options(run: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    assert cli.main(["evaluate", str(run), *arguments]) == 2
    assert words in capsys.readouterr().err
