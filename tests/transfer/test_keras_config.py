"""The config inside a Keras file shows whether its weights fit, before an image is read and without running code."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import pytest

from cvlib.runtime.errors import UserError
from cvlib.transfer import sources
from tests.configs import model_config


def write(file: Path, *layers: tuple[str, dict[str, Any]]) -> str:
    """Write a file with the config of a network, but without weights."""
    text = json.dumps({"class_name": "Functional", "config": {"layers": [
        {"class_name": name, "config": config} for name, config in layers]}})  # fmt: skip
    if file.suffix == ".keras":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("config.json", text)
    else:
        with h5py.File(file, "w") as opened:
            opened.attrs["model_config"] = text
    return str(file)


def refusal(source: str, model: str, size: tuple[int, int] | None = None, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        sources.check_source(source, model_config(model, **options), size)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["some.h5", "some.keras"])
def test_a_lambda_layer_is_refused(tmp_path: Path, name: str) -> None:
    source = write(tmp_path / name, ("Lambda", {"name": "double", "function": ["4wEA", None, None]}))
    assert "contains a Lambda layer, whose code cvlib never runs" in refusal(source, "cnn")


@pytest.mark.parametrize("name", ["some.h5", "some.keras"])
def test_another_depth_and_size_are_named(tmp_path: Path, name: str) -> None:
    names = [
        f"block{block}_conv{number}" for block, count in enumerate((2, 2, 4, 4, 4), 1) for number in range(1, count + 1)
    ]
    vgg19 = write(tmp_path / name, *(("Conv2D", {"name": layer}) for layer in names))
    assert "set model.depth=19, or" in refusal(vgg19, "vgg")
    assert "set model.depth=19 model.convention=keras" in refusal(vgg19, "vgg", convention="torch")
    sources.check_source(vgg19, model_config("vgg", depth=19), None)
    vgg16 = write(tmp_path / name, *(("Conv2D", {"name": layer}) for layer in names if not layer.endswith("4")
                                     or layer[5] < "3"))  # fmt: skip
    assert "set model.depth=16" in refusal(vgg16, "vgg", depth=19)
    sized = write(tmp_path / name, ("InputLayer", {"name": "pixels", "batch_shape": [None, 32, 32, 1]}))
    assert "set data.image_size=32" in refusal(sized, "cnn", (28, 28))
    sources.check_source(sized, model_config("cnn"), (32, 32))
    sources.check_source(sized, model_config("cnn", features="global_average"), (28, 28))


def test_the_pixels_in_the_file_decide_the_convention(tmp_path: Path) -> None:
    source = write(tmp_path / "model.keras", ("Normalization", {"name": "torch_pixels"}))
    assert "set model.convention=torch" in refusal(source, "vgg")
    sources.check_source(source, model_config("vgg", convention="torch"), None)


def test_the_size_of_a_runs_images_is_named(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(json.dumps({"status": "completed", "model": "cnn", "image_size": [24, 32]}))
    (tmp_path / "model.keras").touch()
    assert "set data.image_size=[24,32]" in refusal(str(tmp_path), "cnn", (32, 32))
    sources.check_source(str(tmp_path), model_config("cnn"), (24, 32))


def test_a_run_of_the_other_convention_is_refused(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(json.dumps({"status": "completed", "model": "resnet"}))
    (tmp_path / "config.yaml").write_text("model: {name: resnet, depth: 50}")
    (tmp_path / "model.keras").touch()
    assert "set 'model.convention=keras'" in refusal(str(tmp_path), "resnet", convention="torch")
    sources.check_source(str(tmp_path), model_config("resnet"), None)
