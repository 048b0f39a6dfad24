"""A run's images and initial weights are checked before anything is read or written."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pytest

from cvlib.config.schema import Config, DataConfig, Finetune, ModelConfig
from cvlib.runtime.errors import UserError
from cvlib.transfer import sources
from tests import programs
from tests.configs import model_config


def starting_from(weights: str | None, model: ModelConfig | None = None, **data: str) -> Config:
    return Config(model or model_config(), Finetune(weights=weights), DataConfig(**data))


def write_run(folder: Path, model: str, saved: bool = True, status: str = "completed") -> str:
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps({"status": status, "model": model}))
    if saved:
        (folder / "model.keras").touch()
    return str(folder)


def test_existing_matching_sources_pass(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", "cnn")
    h5py.File(tmp_path / "some.weights.h5", "w").close()
    detector = model_config("yolo", backbone="cnn", filters=[32, 64])
    for config in (starting_from(None), starting_from(run), starting_from(run, detector, path=str(tmp_path)),
                   starting_from(str(tmp_path / "some.weights.h5")), starting_from("imagenet", pretrain_on="letters"),
                   starting_from("imagenet", model_config("resnet"))):  # fmt: skip
        sources.check(config)


def test_missing_or_mismatched_sources_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "weights.txt").touch()
    for config, words in [
        (starting_from(str(tmp_path / "none")), "no such file or folder"),
        (starting_from(str(tmp_path)), "this folder is not a run"),
        (starting_from(str(tmp_path / "weights.txt")), "expected a .keras, .weights.h5, .h5, .safetensors"),
        (starting_from(write_run(tmp_path / "a", "vgg")), "was trained with model=vgg, but this run has the base"),
        (starting_from(write_run(tmp_path / "b", "cnn", saved=False)), "that run's model.keras is missing: restore"),
        (starting_from(write_run(tmp_path / "c", "cnn", False, "interrupted")), "interrupted and has no model.keras"),
        (starting_from("imagenet"), "there are no ImageNet weights for cnn"),
        (starting_from("imagenet", model_config("yolo")), "no ImageNet weights for darknet"),
        (starting_from(None, path=str(tmp_path / "images")), "images is not a folder"),
        (starting_from(None, layout="vocc"), "invalid data.layout=vocc: expected one of .*voc.*null"),
    ]:  # fmt: skip
        with pytest.raises(UserError, match=words):
            sources.check(config)


def test_a_base_with_other_layers_is_refused_with_a_matching_override(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", "cnn")
    (tmp_path / "run/config.yaml").write_text("model: {name: cnn, filters: [8, 16], batch_norm: true, dropout: 0.5}")
    segmenter = model_config("segmenter", filters=[8, 16, 32], batch_norm=False)
    with pytest.raises(UserError, match=r"set 'model.filters=\[8,16\]' 'model.batch_norm=true' to match it"):
        sources.check(starting_from(run, segmenter))
    sources.check(starting_from(run, model_config("segmenter", filters=[8, 16], batch_norm=True)))


@pytest.mark.slow
def test_a_sweep_that_cant_work_is_refused_before_its_first_job(tmp_path: Path) -> None:
    result = programs.run(tmp_path, programs.RUN, "-m", "mode=finetune", "mode.weights=missing", "seed=0,1")
    assert result.returncode == 2
    assert result.stderr.startswith("error: seed=0: mode.weights=missing: no such file or folder")
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
