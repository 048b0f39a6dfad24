"""TensorBoard logs: curves with the same tags, pictures, text and hyperparameters, without duplicate points."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util.tensor_util import make_ndarray
from tensorflow.core.util import event_pb2

from cvlib.runtime import backend
from cvlib.training.tensorboard import Profile, TensorBoardLogger, hyperparameters


def tensors(folder: Path, tag: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder)).Reload().Tensors(tag)
    return [(event.step, float(make_ndarray(event.tensor_proto))) for event in events]


def tags(folder: Path) -> set[str]:
    return set(EventAccumulator(str(folder)).Reload().Tags()["tensors"])


def write(folder: Path, epochs: range, done: int = 0) -> None:
    board = TensorBoardLogger(folder, done)
    for epoch in epochs:
        board.scalars(epoch, {"loss": epoch / 2, "learning_rate": 0.125}, {"loss": epoch * 1.0})
    board.close()


@pytest.mark.parametrize("installed", [True, False])
def test_training_and_validation_have_the_same_tags(
    tmp_path: Path, installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "has_tensorflow", lambda: installed)
    write(tmp_path, range(1, 3))
    assert tensors(tmp_path / "train", "loss") == [(1, 0.5), (2, 1.0)]
    assert tensors(tmp_path / "validation", "loss") == [(1, 1.0), (2, 2.0)]
    assert tags(tmp_path / "train") == {"loss", "learning_rate"}


def test_a_resumed_run_has_no_duplicate_points(tmp_path: Path) -> None:
    write(tmp_path, range(1, 4))
    write(tmp_path, range(3, 5), done=2)
    points = [point for file in sorted((tmp_path / "train").iterdir()) for point in tensors(file, "loss")]
    assert sorted(points) == [(1, 0.5), (2, 1.0), (3, 1.5), (4, 2.0)]


def test_results_and_initial_entries_of_a_killed_run_are_not_duplicated(tmp_path: Path) -> None:
    for done in (0, 0, 2):
        board = TensorBoardLogger(tmp_path, done)
        if not done:
            board.text("train", "config", "seed: 0", 0)
        for epoch in range(done + 1, 3):
            board.scalars(epoch, {"loss": 1.0}, {"loss": 1.0})
        board.begin_results()
        board.hparams({"seed": 0}, {"test/accuracy": 0.5}, 1)
        board.close()
    assert len(tensors(tmp_path / "result", "test/accuracy")) == 1
    assert tensors(tmp_path / "validation", "loss") == [(1, 1.0), (2, 1.0)]
    assert len(EventAccumulator(str(tmp_path / "train")).Reload().Tensors("config")) == 1


def test_a_truncated_event_file_keeps_its_earlier_events(tmp_path: Path) -> None:
    write(tmp_path, range(1, 4))
    (file,) = (tmp_path / "train").iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    TensorBoardLogger(tmp_path, 3).close()
    assert tensors(tmp_path / "train", "loss")[:2] == [(1, 0.5), (2, 1.0)]


def test_a_clock_that_is_set_back_hides_no_points(tmp_path: Path) -> None:
    write(tmp_path, range(1, 4))
    for file in tmp_path.glob("*/events*"):  # as if the clock had been an hour ahead
        records = list(tf.data.TFRecordDataset(str(file)).as_numpy_iterator())
        number = file.name.split(".")[3]
        with tf.io.TFRecordWriter(str(file.with_name(file.name.replace(number, str(int(number) + 3600))))) as writer:
            for event in map(event_pb2.Event.FromString, records):
                event.wall_time += 3600
                writer.write(event.SerializeToString())
        file.unlink()
    write(tmp_path, range(3, 5), done=2)
    write(tmp_path, range(4, 6), done=3)
    stored = EventAccumulator(str(tmp_path / "train")).Reload().Tensors("loss")
    assert [event.step for event in stored] == [1, 2, 3, 4, 5]
    times = [event.wall_time for event in stored]
    assert times == sorted(times)
    assert times[-1] <= time.time()


def test_pictures_text_graph_and_hyperparameters_are_logged(tmp_path: Path) -> None:
    board = TensorBoardLogger(tmp_path, 0)
    board.image("train", "augmented_samples", np.zeros((4, 6, 3), np.uint8), 0)
    board.text("train", "config", "```\nseed: 0\n```", 0)
    board.graph(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))
    board.hparams({"optimizer.lr": 0.1, "model": "cnn"}, {"test/accuracy": 0.5}, 3)
    board.close()
    assert tags(tmp_path / "train") == {"augmented_samples", "config"}
    assert EventAccumulator(str(tmp_path / "train")).Reload().Tags()["graph"]
    assert tensors(tmp_path / "result", "test/accuracy") == [(3, 0.5)]
    stored = EventAccumulator(str(tmp_path / "result")).Reload()
    assert stored.SummaryMetadata("_hparams_/session_start_info").plugin_data.plugin_name == "hparams"


def test_runs_in_folders_with_equal_names_have_their_own_rows_of_hyperparameters(tmp_path: Path) -> None:
    rows = []
    for parent in ("a", "b"):
        folder = tmp_path / parent / "scratch/0/tensorboard"
        board = TensorBoardLogger(folder, 0)
        board.hparams({"seed": 0}, {"test/accuracy": 0.5}, 1)
        board.close()
        stored = EventAccumulator(str(folder / "result")).Reload()
        content = stored.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        rows.append(plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.group_name)
    assert rows[0] != rows[1]
    assert all(row.startswith("scratch/0 ") for row in rows)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Start TensorBoard on two runs of a sweep; return a function that requests `path` or posts `content` there."""
    for mode, lr in (("scratch", 0.1), ("finetune", 0.1)):
        board = TensorBoardLogger(tmp_path / f"sweep/mode={mode}/tensorboard", 0)
        board.scalars(1, {"loss": 0.5}, {"loss": 0.75, "accuracy": 0.5})
        board.image("validation", "predictions", np.zeros((4, 6, 3), np.uint8), 1)
        board.graph(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))
        config = {"mode": {"name": mode, "freeze": None}, "optimizer": {"lr": lr}, "model": {"filters": [8, 16]}}
        board.hparams(hyperparameters(config, ["mode.freeze", "model.filters"]), {"test/accuracy": lr}, 1)
        board.close()
    command = [
        sys.executable,
        "-m",
        "tensorboard.main",
        "--logdir",
        str(tmp_path),
        "--host",
        "127.0.0.1",
        "--port",
        "0",
    ]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    deadline = time.monotonic() + 120
    while not (found := re.search(r"http://127.0.0.1:\d+/", (tmp_path / "log").read_text())):
        assert time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.2)

    def ask(path: str, content: dict[str, Any] | None = None) -> Any:
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(f"{found[0]}data/{path}", data, {"Content-Type": "application/json"})
        return json.loads(urllib.request.urlopen(request).read())

    while len(ask("runs")) < 6 and time.monotonic() < deadline:  # TensorBoard reads the runs one by one
        time.sleep(0.2)
    yield ask
    process.terminate()
    process.wait()


@pytest.mark.slow
def test_tensorboard_shows_runs_by_name_shared_charts_and_varying_hyperparameters(server: Callable[..., Any]) -> None:
    runs = [f"sweep/mode={mode}/tensorboard/{part}" for mode in ("scratch", "finetune")
            for part in ("train", "validation", "result")]  # fmt: skip
    assert sorted(server("runs")) == sorted(runs)
    scalars = server("plugin/scalars/tags")
    assert set(scalars[runs[0]]) == {"loss"}
    assert set(scalars[runs[1]]) == {"loss", "accuracy"}
    assert set(server("plugin/images/tags")[runs[1]]) == {"predictions"}
    assert server("plugin/graphs/info")[runs[0]]["run_graph"]
    experiment = server("plugin/hparams/experiment", {"experimentName": ""})
    assert {one["name"]: one["differs"] for one in experiment["hparamInfos"]} == {
        "mode": True, "mode.freeze": False, "optimizer.lr": False, "model.filters": False}  # fmt: skip
    assert [one["name"]["tag"] for one in experiment["metricInfos"]] == ["test/accuracy"]
    groups = server("plugin/hparams/session_groups", {
        "startIndex": 0, "sliceSize": 10, "colParams": [], "allowedStatuses": ["STATUS_UNKNOWN"]})  # fmt: skip
    names = [group["name"].rpartition(" ")[0] for group in groups["sessionGroups"]]
    assert sorted(names) == ["sweep/mode=finetune", "sweep/mode=scratch"]
    assert {group["hparams"]["model.filters"] for group in groups["sessionGroups"]} == {"[8, 16]"}


def test_a_profile_of_the_requested_steps_is_recorded(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    for done in (0, 4):  # steps 3 and 4 of an epoch of four, and step 5 in the next
        profile = Profile(tmp_path, [3, 5], done)
        model.fit(np.zeros((8, 4)), np.zeros((8, 2)), batch_size=2, verbose=0, callbacks=[profile])
        assert not profile.active
    assert list(tmp_path.glob("train/plugins/profile/*/*.xplane.pb"))


def test_metrics_of_classes_have_their_own_section(tmp_path: Path) -> None:
    board = TensorBoardLogger(tmp_path, 0)
    board.scalars(1, {}, {"mAP": 0.5, "AP/cat": 0.25})
    board.close()
    assert tags(tmp_path / "validation") == {"mAP", "per_class/AP/cat"}


def test_hyperparameters_are_choices_common_settings_and_overridden_keys() -> None:
    config = {"model": {"name": "cnn", "depth": 50, "loss": {"dice": 1.0, "focal": 0.0}},
              "optimizer": {"lr": 0.1, "clipnorm": None}, "seed": 1, "name": "mine"}  # fmt: skip
    usual = {"model": "cnn", "optimizer.lr": 0.1, "seed": 1}
    assert hyperparameters(config, ["model", "name"]) == usual
    assert hyperparameters(config, ["model.loss", "optimizer.clipnorm"]) == {
        **usual, "model.loss.dice": 1.0, "model.loss.focal": 0.0, "optimizer.clipnorm": "null"}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "flat"),
    [
        ({"a": {"b": {"c": 1}}, "d": True}, {"x.a.b.c": 1, "x.d": True}),
        (
            {"a": None, "b": [1, 2], "c": "x", "d": 0.5, "e": [[1], []]},
            {"x.a": "null", "x.b": "[1, 2]", "x.c": "x", "x.d": 0.5, "x.e": "[[1], []]"},
        ),
    ],
)
def test_a_nested_config_becomes_dotted_keys_of_plain_values(
    config: dict[str, object], flat: dict[str, object]
) -> None:
    assert hyperparameters({"x": config}, ["x.a", "x.b", "x.c", "x.d", "x.e"]) == flat
