"""What TensorBoard reads back: curves under the same tags, pictures, text, hyperparameters; no point twice."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from cvlib.tensorboard import Board, flatten


def tensors(folder: Path, tag: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder)).Reload().Tensors(tag)
    return [(event.step, float(make_ndarray(event.tensor_proto))) for event in events]


def tags(folder: Path) -> set[str]:
    return set(EventAccumulator(str(folder)).Reload().Tags()["tensors"])


def write(folder: Path, epochs: range, done: int = 0) -> None:
    board = Board(folder, done)
    for epoch in epochs:
        board.scalars(epoch, {"loss": epoch / 2, "learning_rate": 0.125}, {"loss": epoch * 1.0})
    board.close()


def test_training_and_validation_have_the_same_tags(tmp_path: Path) -> None:
    write(tmp_path, range(1, 3))
    assert tensors(tmp_path / "train", "loss") == [(1, 0.5), (2, 1.0)]
    assert tensors(tmp_path / "validation", "loss") == [(1, 1.0), (2, 2.0)]
    assert tags(tmp_path / "train") == {"loss", "learning_rate"}


def test_a_run_that_goes_on_has_no_point_twice(tmp_path: Path) -> None:
    write(tmp_path, range(1, 4))
    write(tmp_path, range(3, 5), done=2)
    points = [point for file in sorted((tmp_path / "train").iterdir()) for point in tensors(file, "loss")]
    assert sorted(points) == [(1, 0.5), (2, 1.0), (3, 1.5), (4, 2.0)]


def test_results_that_a_kill_cut_off_are_taken_back_and_what_is_shown_at_the_start_too(tmp_path: Path) -> None:
    for done in (0, 0, 2):
        board = Board(tmp_path, done)
        if not done:
            board.text("train", "config", "seed: 0", 0)
        for epoch in range(done + 1, 3):
            board.scalars(epoch, {"loss": 1.0}, {"loss": 1.0})
        board.begin_results()
        board.hparams({"seed": 0}, {"test/accuracy": 0.5}, 1)
        board.close()
    assert len(tensors(tmp_path / "validation", "test/accuracy")) == 1
    assert tensors(tmp_path / "validation", "loss") == [(1, 1.0), (2, 1.0)]
    assert len(EventAccumulator(str(tmp_path / "train")).Reload().Tensors("config")) == 1


def test_an_event_file_cut_short_keeps_what_came_before(tmp_path: Path) -> None:
    write(tmp_path, range(1, 4))
    (file,) = (tmp_path / "train").iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    Board(tmp_path, 3).close()
    assert tensors(file, "loss")[:2] == [(1, 0.5), (2, 1.0)]


def test_pictures_text_graph_and_hyperparameters_are_there(tmp_path: Path) -> None:
    board = Board(tmp_path, 0)
    board.image("train", "augmented_samples", np.zeros((4, 6, 3), np.uint8), 0)
    board.text("train", "config", "```\nseed: 0\n```", 0)
    board.graph(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))
    board.hparams({"optimizer": {"lr": 0.1, "clipnorm": None}, "filters": [1, 2]}, {"test/accuracy": 0.5}, 3)
    board.close()
    assert tags(tmp_path / "train") == {"augmented_samples", "config"}
    assert EventAccumulator(str(tmp_path / "train")).Reload().Tags()["graph"]
    assert tensors(tmp_path / "validation", "test/accuracy") == [(3, 0.5)]
    stored = EventAccumulator(str(tmp_path / "validation")).Reload()
    assert stored.SummaryMetadata("_hparams_/session_start_info").plugin_data.plugin_name == "hparams"


@pytest.mark.parametrize(
    ("config", "flat"),
    [
        ({"a": {"b": {"c": 1}}, "d": True}, {"a.b.c": 1, "d": True}),
        ({"a": None, "b": [1, 2], "c": "x", "d": 0.5}, {"a": "None", "b": "[1, 2]", "c": "x", "d": 0.5}),
    ],
)
def test_a_nested_config_becomes_dotted_keys_of_plain_values(
    config: dict[str, object], flat: dict[str, object]
) -> None:
    assert flatten(config) == flat
