"""`cvlib visualize`: every picture in the run's folder and in TensorBoard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cvlib import cli
from tests.prediction.test_prediction import SMALL
from tests.prediction.test_prediction import write_run as write_untrained
from tests.small_runs import write_run


def tags(run: Path) -> list[str]:
    board = EventAccumulator(str(run / "tensorboard/visualizations"))
    board.Reload()
    return sorted(board.Tags()["tensors"])


def test_all_pictures_of_a_run_are_written_and_logged(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    assert cli.main(["visualize", str(tmp_path / "run"), "--steps", "2"]) == 0
    found = sorted(path.stem for path in (tmp_path / "run/visualizations").iterdir())
    assert found == [
        "embedding_pca", "embedding_tsne", "explanations", "feature_maps_conv1_relu", "feature_maps_conv2_pool",
        "feature_maps_conv2_relu", "filters", "maximized_classes", "maximized_conv1_relu", "maximized_conv2_pool",
        "maximized_conv2_relu",
    ]  # fmt: skip
    assert len(tags(tmp_path / "run")) == len(found)
    assert "maximized/classes" in tags(tmp_path / "run")
    vectors = (tmp_path / "run/tensorboard/visualizations/features.tsv").read_text().splitlines()
    assert len(vectors) == 269  # the test digits
    assert len(vectors[0].split("\t")) == 8


def test_given_images_and_layers_of_an_unfinished_run_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "run", status="interrupted")
    Image.fromarray(np.arange(600, dtype=np.uint8).reshape(20, 30)).save(tmp_path / "mine.png")
    arguments = ["visualize", str(tmp_path / "run"), "--image", str(tmp_path / "mine.png"), "--layers", "conv1",
                 "--steps", "0"]  # fmt: skip
    for _ in range(2):  # a second call replaces the pictures of the first one
        assert cli.main(arguments) == 0
    assert "status interrupted after 1 of 3 epochs; the best epoch so far is used" in capsys.readouterr().out
    assert tags(tmp_path / "run") == ["embedding/pca", "embedding/tsne", "explanations", "feature_maps/conv1",
                                      "filters"]  # fmt: skip
    assert len(list((tmp_path / "run/tensorboard/visualizations").glob("events*"))) == 1


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_segmentation_has_explanations_and_detection_has_none(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_untrained(tmp_path / "run", SMALL[task])
    assert cli.main(["visualize", str(tmp_path / "run"), "--steps", "0"]) == 0
    explained = (tmp_path / "run/visualizations/explanations.png").is_file()
    assert explained == (task == "segmentation")
    assert ("detection predicts no class for a whole image" in capsys.readouterr().out) != explained


@pytest.mark.parametrize(("arguments", "words"), [
    (["{}", "--layers", "conv3"], "conv3: there is no such layer; similar names are conv"),
    (["{}", "--layers", "logits"], "logits: there is no such layer"),
    (["{}", "--image", "absent.png"], "absent.png: can't be opened"),
    (["{}/absent"], "absent is not a folder"),
    (["{}", "--steps", "-1"], "expected a whole number, 0 or more, not -1"),
])  # fmt: skip
def test_invalid_input_gives_a_one_line_error(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str],
                                              words: str) -> None:  # fmt: skip
    write_run(tmp_path / "run")
    assert cli.main(["visualize", *[argument.replace("{}", str(tmp_path / "run")) for argument in arguments]]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "run/visualizations").exists()
