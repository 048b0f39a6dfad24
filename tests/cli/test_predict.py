"""`cvlib predict` predicts the same for image files as the evaluation for the same samples."""

from __future__ import annotations

import csv
import errno
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from cvlib import cli, prediction
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import CLASS
from cvlib.data.make_feed import make_feed
from cvlib.models import restore
from cvlib.models.network import build
from cvlib.runtime.errors import UserError
from cvlib.tasks import saved
from cvlib.tasks.classification import TASK
from tests.small_runs import CLASSES, SIDE, config, write_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path / "run")
    return tmp_path / "run"


def picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 31)).astype(np.uint8)).save(path)
    return path


def test_predictions_for_files_equal_those_of_the_evaluation(run: Path, tmp_path: Path) -> None:
    opened = restore.open_run(run)
    split = saved.dataset(opened).test
    for name, pixels in zip(split.names[:40], split.images[:40], strict=True):
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(pixels[..., 0]).save(tmp_path / "images" / f"{name.replace('/', '_')}.png")
    write_run(tmp_path / "as_trained", status="interrupted")
    network = build(config().model, InputSpec(SIDE, SIDE, 1), len(CLASSES))
    network.model.set_weights(saved.network(opened).get_weights())
    feed = make_feed(split, InputSpec(SIDE, SIDE, 1), CLASS, 32, seed=0)
    expected = TASK.evaluate(TASK.validated(network), feed, CLASSES).results(split.names)[:40]
    assert cli.main(["predict", str(run), str(tmp_path / "images")]) == 0
    with (run / "predictions/predictions.csv").open() as file:
        found = list(csv.DictReader(file))
    assert [row["prediction"] for row in found] == [row["prediction"] for row in expected]
    np.testing.assert_allclose(
        [float(row["probability"]) for row in found], [float(row["score"]) for row in expected], atol=2e-6
    )


def test_a_note_counts_images_that_the_run_was_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [picture(tmp_path / f"data/{label}/{i}.png", i).relative_to(tmp_path / "data").as_posix()
             for label in "ab" for i in range(5)]  # fmt: skip
    write_run(tmp_path / "run")
    config = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    config["data"] |= {"name": "folder", "path": str(tmp_path / "data")}
    (tmp_path / "run/config.yaml").write_text(yaml.safe_dump(config))
    splits = {"train": names[:3], "val": names[3:5], "test": names[5:]}
    (tmp_path / "run/splits.json").write_text(json.dumps(splits))
    assert cli.main(["predict", str(tmp_path / "run"), str(tmp_path / "data")]) == 0
    assert "note: the run was trained on 3 of these 10 images (such as " in capsys.readouterr().err
    assert cli.main(["predict", str(tmp_path / "run"), str(tmp_path / "data/b")]) == 0
    assert "trained on" not in capsys.readouterr().err


def test_predictions_are_written_as_json_csv_and_pictures(run: Path, tmp_path: Path) -> None:
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


def test_an_unreadable_file_is_named_and_skipped(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = picture(tmp_path / "good.png")
    (tmp_path / "torn.png").write_bytes(good.read_bytes()[:100])
    assert cli.main(["predict", str(run), str(tmp_path / "*.png")]) == 1
    captured = capsys.readouterr()
    assert "torn.png" in captured.err
    assert "1 predictions in" in captured.out
    assert "1 files skipped" in captured.out
    assert len(json.loads((run / "predictions/predictions.json").read_text())) == 1


def test_an_unwritable_output_folder_is_named(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = picture(tmp_path / "good.png")
    assert cli.main(["predict", str(run), str(good), "--output", str(good / "out")]) == 2
    assert "good.png" in capsys.readouterr().err


def test_images_are_found_by_file_folder_and_pattern(tmp_path: Path) -> None:
    a, b = picture(tmp_path / "a.png"), picture(tmp_path / "deep/er/b.JPG")
    (tmp_path / "deep/notes.txt").write_text("")
    assert prediction.find_files([str(tmp_path)]) == [a, b]
    assert prediction.find_files([str(b), str(tmp_path / "**/*.JPG"), str(a)]) == [b, a]
    assert prediction.find_files([str(tmp_path / "de*")]) == [b]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty contains no images"):
        prediction.find_files([str(tmp_path / "empty")])
    with pytest.raises(UserError, match="is not a file, a folder, or a pattern"):
        prediction.find_files([str(tmp_path / "absent.png")])


def test_the_command_fails_if_every_file_is_unreadable(run: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"PNG")
    assert cli.main(["predict", str(run), str(tmp_path / "torn.png")]) == 2
    assert not (run / "predictions").exists()


def test_predict_files_works_without_the_command_line(run: Path, tmp_path: Path) -> None:
    good, torn = picture(tmp_path / "good.png"), tmp_path / "torn.png"
    torn.write_bytes(good.read_bytes()[:100])
    progress: list[int] = []
    found = prediction.predict_files(restore.open_run(run), [good, torn], tmp_path / "out", show=progress.append)
    assert found == (1, [torn])
    assert progress in ([1], [2])
    assert (tmp_path / "out/predictions.csv").is_file()
    with pytest.raises(UserError, match="none of 1 files"):
        prediction.predict_files(restore.open_run(run), [torn], tmp_path / "none")


def test_pictures_of_an_earlier_prediction_are_reported(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, old = picture(tmp_path / "a.png"), picture(tmp_path / "out/masks/old.png")
    assert cli.main(["predict", str(run), str(images), "--output", str(tmp_path / "out")]) == 0
    assert f"1 pictures in {tmp_path / 'out'} are from an earlier prediction (such as masks/old.png)" in (
        capsys.readouterr().err
    )
    assert old.exists()
    assert cli.main(["predict", str(run), "--output", str(tmp_path / "new"), str(images)]) == 0
    assert "earlier prediction" not in capsys.readouterr().err


def test_an_output_folder_that_cannot_be_written_is_refused_first(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    image = picture(tmp_path / "a.png")
    monkeypatch.setattr(Path, "touch", refuse)
    before = sorted(run.rglob("*"))
    for command in (["predict", str(run), str(image)], ["evaluate", str(run)], ["visualize", str(run)],
                    ["export", str(run), "--format", "onnx"]):  # fmt: skip
        assert cli.main(command) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "can't be written (Read-only file system): give another" in line
    assert sorted(run.rglob("*")) == before
