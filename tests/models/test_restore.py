"""Loading a finished, unfinished or damaged run from its folder."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from cvlib import tasks
from cvlib.config.schema import Config, DataConfig, ModelConfig
from cvlib.data.input_spec import InputSpec
from cvlib.models.restore import as_trained, network, open_run
from cvlib.runtime.errors import UserError
from cvlib.tasks import saved
from tests.configs import model_config
from tests.networks import network_of
from tests.small_runs import SIDE, write_network, write_record, write_run

pytestmark = pytest.mark.usefixtures("eager")

TASK = tasks.of("classification")
CLASSES = ["background", "cat", "dog"]


def test_a_finished_run_is_loaded(tmp_path: Path) -> None:
    model = write_run(tmp_path / "run")
    run = open_run(tmp_path / "run")
    assert (run.size, run.channels, run.classes[:2], run.notes) == ((SIDE, SIDE), 1, ["0", "1"], [])
    images = np.random.default_rng(0).uniform(0, 255, (2, 11, 7, 1)).astype(np.float32)
    np.testing.assert_array_equal(network(run, TASK).predict(images, verbose=0), model.predict(images, verbose=0))
    dataset = saved.dataset(run)
    assert len(dataset.classes) == 10
    assert dataset.task == "classification"


def test_an_unfinished_run_uses_its_best_weights_so_far_with_a_note(tmp_path: Path) -> None:
    model = write_run(tmp_path / "run", status="interrupted")
    run = open_run(tmp_path / "run")
    assert run.notes == [f"{tmp_path / 'run'}: status interrupted after 1 of 3 epochs; the best epoch so far is used"]
    images = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 1)).astype(np.float32)
    logits = model.predict(images, verbose=0)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(network(run, TASK).predict(images, verbose=0), expected, atol=1e-5)
    assert saved.labels(run)["classes"] == list("0123456789")


@pytest.mark.parametrize(("model", "side"), [
    (model_config("yolo", backbone="cnn", filters=[8, 8, 8, 8], neck_channels=8), 64),
    (model_config("segmenter", filters=[4, 4, 4, 4], decoder_filters=8), 64),
    pytest.param(model_config("inception"), 75, marks=pytest.mark.slow),  # has an auxiliary classifier
    pytest.param(model_config("resnet"), 32, marks=pytest.mark.slow),
], ids=lambda value: getattr(value, "name", None))  # fmt: skip
def test_as_trained_returns_the_network_as_it_was_trained(model: ModelConfig, side: int, tmp_path: Path) -> None:
    whole = Config(model, data=DataConfig(tasks=[model.task], image_size=side))
    resize, task = tasks.resize(whole), tasks.of(model.task)
    write_record(tmp_path / "run", whole, InputSpec(side, side, 3, resize), CLASSES)
    built = network_of(model, side, 3, len(CLASSES), resize)
    for weight in built.model.weights:  # so that boxes and classes differ between positions
        weight.assign(weight + 0.05 * keras.random.normal(weight.shape, seed=len(weight.shape)))
    write_network(tmp_path / "run", whole, built, CLASSES)
    expected = task.validated(built)
    found = task.validated(as_trained(open_run(tmp_path / "run"), task))
    images = np.random.default_rng(0).integers(0, 256, (2, side, side, 3)).astype(np.float32)
    for one, other in zip(keras.tree.flatten(found(images)), keras.tree.flatten(expected(images)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_input_spec_comes_from_the_summary(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    summary = tmp_path / "run/summary.json"
    changes = {"image_size": [12, 20], "resize": "letterbox"}
    summary.write_text(json.dumps(json.loads(summary.read_text()) | changes))
    run = open_run(tmp_path / "run")
    assert run.spec == InputSpec(12, 20, 1, "letterbox")
    assert run.config.model == model_config(filters=[4, 6], dense=[8], dropout=0.2)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    config = (tmp_path / "run/config.yaml").read_text()
    (tmp_path / "run/config.yaml").write_text(config.replace("filters:\n  - 4", "filters:\n  - 5"))
    with pytest.raises(UserError, match=r"model\.keras doesn't fit the run's config"):
        as_trained(open_run(tmp_path / "run"), TASK)


@pytest.mark.parametrize(("epochs", "words"), [
    (0, "this run has not finished an epoch"), (1, r"model\.keras and the checkpoints are missing or damaged"),
])  # fmt: skip
def test_a_run_without_files_of_its_network_says_why(tmp_path: Path, epochs: int, words: str) -> None:
    write_run(tmp_path / "run", status="interrupted")
    for file in (tmp_path / "run/checkpoints").iterdir():
        file.unlink()
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    (tmp_path / "run/summary.json").write_text(json.dumps(summary | {"epochs": epochs}))
    with pytest.raises(UserError, match=words):
        network(open_run(tmp_path / "run"), TASK)


def test_a_damaged_network_is_named(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    (tmp_path / "run/model.keras").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"model\.keras can't be loaded"):
        network(open_run(tmp_path / "run"), TASK)


@pytest.mark.parametrize(("name", "content", "words"), [
    ("config.yaml", "x", r"config\.yaml is missing or can't be read"),
    ("config.yaml", "", r"config\.yaml can't be read: the config has no keys"),
    ("config.yaml", "model: [1]", r"config\.yaml can't be read"),
    ("summary.json", {"classes": "ab"}, r"summary\.json: invalid classes=ab"),
    ("summary.json", {"channels": "x"}, r"summary\.json: invalid channels=x"),
    ("summary.json", {"image_size": -4}, r"summary\.json: invalid image_size=-4"),
    ("summary.json", {"classes": ["a"]}, r"model\.keras doesn't fit the run's summary\.json"),
    ("summary.json", {"channels": 3}, r"model\.keras doesn't fit the run's summary\.json"),
    ("labels.json", "{", r"labels\.json can't be read"),
    ("labels.json", "1", r"labels\.json can't be read"),
])  # fmt: skip
def test_a_damaged_record_is_named(tmp_path: Path, name: str, content: str | dict[str, object], words: str) -> None:
    write_run(tmp_path / "run")
    file = tmp_path / "run" / name
    file.write_text(json.dumps(json.loads(file.read_text()) | content) if isinstance(content, dict) else content)
    with pytest.raises(UserError, match=words):
        saved.labels(opened := open_run(tmp_path / "run"))
        network(opened, TASK)


@pytest.mark.parametrize(("make", "words"), [
    (lambda folder: None, "is not a folder"),
    (lambda folder: folder.mkdir(), "is not a run: it has no summary.json"),
    (lambda folder: (write_run(folder), (folder / "config.yaml").unlink()), "it has no config.yaml"),
    (lambda folder: write_run(folder, classes=None), "stopped before its data was read"),
])  # fmt: skip
def test_folders_without_a_run_are_refused(tmp_path: Path, make: object, words: str) -> None:
    make(tmp_path / "run")  # type: ignore[operator]
    with pytest.raises(UserError, match=words):
        open_run(tmp_path / "run")
