"""`cvlib predict` gives for files what the evaluation gives for the same samples."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib import cli, models, prediction
from cvlib.models import restore as saved
from cvlib.runtime.errors import UserError
from cvlib.tasks import classification
from tests.data.feeds import a_feed
from tests.small_runs import CLASSES, SIDE, config, write_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path / "run")
    return tmp_path / "run"


def picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 31)).astype(np.uint8)).save(path)
    return path


def test_files_get_the_answers_of_the_evaluation(run: Path, tmp_path: Path) -> None:
    opened = saved.open_run(run)
    split = saved.dataset(opened).test
    for name, pixels in zip(split.names[:40], split.images[:40], strict=True):
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(pixels[..., 0]).save(tmp_path / "images" / f"{name.replace('/', '_')}.png")
    write_run(tmp_path / "as_trained", status="interrupted")
    network = models.build(config().model, (SIDE, SIDE, 1), len(CLASSES))
    network.set_weights(saved.network(opened).get_weights())
    feed = a_feed(split, (SIDE, SIDE), 1, 32, 0)
    expected = classification.results(split.names, CLASSES, classification.evaluate(network, feed, CLASSES))[:40]
    assert cli.main(["predict", str(run), str(tmp_path / "images")]) == 0
    with (run / "predictions/predictions.csv").open() as file:
        found = list(csv.DictReader(file))
    assert [row["prediction"] for row in found] == [row["prediction"] for row in expected]
    np.testing.assert_allclose(
        [float(row["probability"]) for row in found], [float(row["score"]) for row in expected], atol=2e-6
    )


def test_what_is_written(run: Path, tmp_path: Path) -> None:
    files = [picture(tmp_path / f"in/{number}.png", number) for number in range(50)]
    assert cli.main(["predict", str(run), str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 0
    content = json.loads((tmp_path / "out/predictions.json").read_text())
    assert sorted(row["file"] for row in content) == sorted(map(str, files))
    top = content[0]["top"]
    assert len(top) == 5
    assert top[0] == {"class": content[0]["prediction"], "probability": content[0]["probability"]}
    assert [entry["probability"] for entry in top] == sorted((entry["probability"] for entry in top), reverse=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "predictions-1.png", "predictions-2.png", "predictions.csv", "predictions.json"
    ]  # fmt: skip


def test_a_bad_file_is_named_and_skipped(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = picture(tmp_path / "good.png")
    (tmp_path / "torn.png").write_bytes(good.read_bytes()[:100])
    assert cli.main(["predict", str(run), str(tmp_path / "*.png")]) == 1
    said = capsys.readouterr()
    assert "torn.png" in said.err
    assert "1 predictions in" in said.out
    assert "1 files skipped" in said.out
    assert len(json.loads((run / "predictions/predictions.json").read_text())) == 1


def test_a_place_that_can_not_be_written_is_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = picture(tmp_path / "good.png")
    assert cli.main(["predict", str(run), str(good), "--output", str(good / "out")]) == 2
    assert "good.png" in capsys.readouterr().err


def test_files_folders_and_patterns(tmp_path: Path) -> None:
    a, b = picture(tmp_path / "a.png"), picture(tmp_path / "deep/er/b.JPG")
    (tmp_path / "deep/notes.txt").write_text("")
    assert prediction.find_files([str(tmp_path)]) == [a, b]
    assert prediction.find_files([str(b), str(tmp_path / "**/*.JPG"), str(a)]) == [b, a]
    assert prediction.find_files([str(tmp_path / "de*")]) == [b]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty has no images in it"):
        prediction.find_files([str(tmp_path / "empty")])
    with pytest.raises(UserError, match="is no file, folder or pattern"):
        prediction.find_files([str(tmp_path / "absent.png")])


def test_only_unreadable_files_are_a_mistake(run: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"PNG")
    assert cli.main(["predict", str(run), str(tmp_path / "torn.png")]) == 2
    assert not (run / "predictions").exists()
