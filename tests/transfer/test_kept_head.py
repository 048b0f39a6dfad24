"""The head of an earlier run is kept by class name when fine-tuning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cvlib import experiment, tasks
from cvlib.config.schema import Config, DataConfig, Finetune, TrainerConfig
from cvlib.models.network import Network
from cvlib.runtime.errors import UserError
from cvlib.transfer import weights
from tests.configs import model_config
from tests.networks import network

IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 1)).astype(np.float32)


def cnn(classes: int, **changes: Any) -> Network:
    return network("cnn", 8, 1, classes, filters=[4], dense=[6], **changes)


def saved(folder: Path, classes: list[str], task: str = "classification", **changes: Any) -> Network:
    """Write the files of a completed run that `mode.weights` needs; the network's weights are random."""
    folder.mkdir()
    keras.utils.set_random_seed(7)
    source = cnn(len(classes), **changes)
    source.model.get_layer("logits").bias.assign(np.arange(1.0, len(classes) + 1))
    tasks.of(task).inference(source, {"temperature": 2.0}).save(folder / "model.keras")
    summary = {"status": "completed", "model": "cnn", "task": task, "classes": classes}
    (folder / "summary.json").write_text(json.dumps(summary))
    return source


def test_classes_with_the_same_name_keep_their_logits_and_new_ones_start_at_zero(tmp_path: Path) -> None:
    source = saved(tmp_path / "run", ["a", "b", "c"])
    target = cnn(4)
    loaded = weights.start_from(target, str(tmp_path / "run"), ["x", "c", "a", "y"])
    before, after = (one.model.predict(IMAGES, verbose=0) for one in (source, target))
    np.testing.assert_array_equal(after, np.stack([0 * before[:, 0], before[:, 2], before[:, 0], 0 * before[:, 0]], 1))
    assert (loaded.classes_kept, loaded.classes_new, loaded.skipped) == (["c", "a"], ["x", "y"], [])
    assert loaded.head == ("the head keeps 2 classes with the same names (c, a); 2 new ones start at 0 (x, y)")


@pytest.mark.parametrize(("classes", "task", "changes"), [
    (["d", "e", "f"], "classification", {}),  # no class in common
    (["a", "b", "c"], "multilabel", {}),  # the logits of another loss
    (None, "classification", {}),  # mode.keep_classes=false
])  # fmt: skip
def test_otherwise_the_head_is_new(
    tmp_path: Path, classes: list[str] | None, task: str, changes: dict[str, Any]
) -> None:
    saved(tmp_path / "run", ["a", "b", "c"], task, **changes)
    target = cnn(3)
    loaded = weights.start_from(target, str(tmp_path / "run"), classes)
    np.testing.assert_array_equal(target.model.predict(IMAGES, verbose=0), np.zeros((3, 3)))
    assert (loaded.classes_kept, loaded.classes_new, loaded.head) == ([], [], "")


def test_a_segmenter_keeps_its_whole_decoder(tmp_path: Path) -> None:
    options: dict[str, Any] = {"encoder": "cnn", "filters": [4, 4], "decoder_filters": 4}
    source, target = (network("segmenter", 16, 1, classes, **options) for classes in (2, 3))
    tasks.of("segmentation").inference(source).save(tmp_path / "model.keras")
    summary = {"status": "completed", "model": "segmenter", "task": "segmentation", "classes": ["a", "b"]}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    (tmp_path / "config.yaml").write_text("model: {encoder: cnn}")
    weights.start_from(target, str(tmp_path), ["b", "c", "a"])
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 1)).astype(np.float32)
    before, after = (one.predictive().predict(images, verbose=0) for one in (source, target))
    np.testing.assert_array_equal(after, np.stack([before[..., 1], 0 * before[..., 0], before[..., 0]], -1))
    assert np.ptp(before) > 0


def test_values_of_the_head_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    source = saved(tmp_path / "run", ["a"])
    source.model.get_layer("logits").bias.assign([np.nan])
    tasks.of("classification").inference(source).save(tmp_path / "run/model.keras")
    with pytest.raises(UserError, match="logits of that run's head has values that aren't finite"):
        weights.start_from(cnn(2), str(tmp_path / "run"), ["a", "b"])


def test_a_run_records_and_prints_the_kept_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved(tmp_path / "first", list("01234567"))
    (tmp_path / "first/config.yaml").write_text("model: {name: cnn}")
    config = Config(
        model_config("cnn", filters=[4], dense=[6]), Finetune(weights=str(tmp_path / "first")),
        data=DataConfig("digits", samples=60), trainer=TrainerConfig(epochs=1, steps_per_epoch=1),
    )  # fmt: skip
    summary = experiment.run(config, tmp_path / "second")
    assert summary["weights"]["classes_kept"] == list("01234567")
    assert summary["weights"]["classes_new"] == ["8", "9"]
    assert "the head keeps 8 classes with the same names (0, 1, 2, 3, 4, 5, 6, 7); 2 new ones start at 0 (8, 9)" in (
        capsys.readouterr().out
    )
