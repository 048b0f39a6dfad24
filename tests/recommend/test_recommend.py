"""`cvlib recommend` on small folders of images, as a user would run it."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.runs.summary import read_summary
from tests import programs

NUMBERS = """
rank_share: 0.01
rank_images: 60
shortest: 2
overhead: 4
most_seeds: 2
tasks:
  classification:
    base: ["model={backbone}", model.dropout=0]
    frozen: ["{1}", mode=feature_extractor]
    trained:
      - [model=cnn, "model.filters=[8]", mode=scratch]
      - [model=cnn, "model.filters=[4]", mode=scratch]
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a working folder with 24 images of three colours, and settings for short runs."""
    generator = np.random.default_rng(0)
    for number, name in enumerate(("red", "green", "blue")):
        (tmp_path / "my_images" / name).mkdir(parents=True)
        for index in range(12):
            pixels = generator.integers(0, 120, (32, 32, 3))
            pixels[..., number] += 100
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "my_images" / name / f"{index}.png")
    (tmp_path / "conf/recommend").mkdir(parents=True)
    (tmp_path / "conf/recommend/default.yaml").write_text(NUMBERS)
    return tmp_path


def recommend(place: Path, *arguments: str) -> programs.Program:
    return programs.start(place, *programs.CVLIB, "recommend", *arguments)


def decisions(place: Path) -> list[tuple[str, object]]:
    file = place / "outputs/sweeps/recommend-my_images/recommend.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(entry["what"], entry["value"]) for entry in map(json.loads, lines)]


@pytest.mark.slow
def test_a_recommendation_survives_kills_and_reads_the_test_part_once(place: Path) -> None:
    generator, before = random.Random(0), decisions(place)
    for _ in range(3):
        program = recommend(place, "my_images", "--minutes", "1")
        time.sleep(generator.uniform(4, 12))
        program.send_signal(signal.SIGKILL)
        program.communicate()
        now = decisions(place)
        assert now[: len(before)] == before  # no decision is made anew
        before = now
    program = recommend(place, "my_images", "--minutes", "1.5")
    stdout, stderr = program.communicate()
    assert program.returncode == 0, stderr
    assert decisions(place)[: len(before)] == before
    assert "is recommended" in stdout and "On the test part" in stdout

    target, runs = place / "outputs/recommended/my_images", place / "outputs/sweeps/recommend-my_images"
    summary = read_summary(target) or {}
    assert summary["status"] == "completed" and summary["metrics"]["test/accuracy"] > 0.5
    assert (target / "model.keras").is_file() and (target / "test_results.csv").is_file()
    races = [read_summary(folder) or {} for folder in runs.iterdir() if (folder / "summary.json").is_file()]
    assert len(races) >= 2
    for race in races:  # the test part was left unread
        assert not any(name.startswith("test/") for name in race.get("metrics", {}))
    assert not list(runs.glob("*/test_results.csv"))
    page = (target / "recommendation.html").read_text()
    assert "http" not in page.replace("http://www.w3.org", "") and "cvlib predict" in page

    again = recommend(place, "my_images", "--minutes", "1.5")
    again.communicate()
    assert again.returncode == 0 and len(list(runs.glob("*/summary.json"))) == len(races)


@pytest.mark.parametrize(("arguments", "message"), [
    (["nowhere"], "nowhere: no such folder or file, and no dataset of cvlib has this name"),
    (["my_images", "--minutes", "0"], "invalid recommend.minutes=0"),
    (["my_images", "model=cnn"], "model=cnn: only data.…=… can be given"),
    (["my_images", "data.sise=3"], "data.sise"),
    (["my_images", "--task", "juggling"], "no candidates for task=juggling"),
])  # fmt: skip
def test_bad_input_is_one_line_and_leaves_nothing(place: Path, arguments: list[str], message: str) -> None:
    program = recommend(place, *arguments)
    _, stderr = program.communicate()
    assert program.returncode == 2 and message in stderr and len(stderr.strip().splitlines()) == 1
    assert not list((place / "outputs").rglob("summary.json"))


def test_images_that_would_spoil_every_run_stop_the_recommendation(place: Path) -> None:
    (place / "my_images/red/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    program = recommend(place, "my_images")
    _, stderr = program.communicate()
    assert program.returncode == 2 and "broken.png" in stderr and "cvlib check my_images" in stderr


def test_too_few_images_are_one_line(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "few" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "few" / name / "1.png")
    program = recommend(tmp_path, "few")
    _, stderr = program.communicate()
    assert program.returncode == 2 and len(stderr.strip().splitlines()) == 1, stderr
