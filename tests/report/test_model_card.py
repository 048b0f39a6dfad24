"""The model card: metadata, results and what it never overwrites."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from cvlib.report import model_card
from cvlib.runs.run import read_run


def _complete(folder: Path) -> None:
    path = folder / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"channels": 3, "image_size": [32, 48]}))


def test_the_card_has_metadata_results_and_the_command(folder: Path) -> None:
    _complete(folder)
    card = model_card.card(read_run(folder), "image-classification", ["model.onnx"])
    _, metadata, text = card.split("---\n", 2)
    read = yaml.safe_load(metadata)
    assert read["pipeline_tag"] == "image-classification"
    assert read["model-index"][0]["results"][0]["metrics"] == [{"type": "accuracy", "value": 0.75}]
    assert "resizes them to 32×48 pixels" in text
    assert "| accuracy | 0.7500 | 0.5868 to 0.86" in text
    assert "cvlib train mode=finetune" in text
    assert "`model.onnx`" in text


def test_the_card_tells_how_to_use_the_onnx_file(folder: Path) -> None:
    _complete(folder)
    colour = model_card.card(read_run(folder), "image-classification", ["model.onnx"])
    assert '.convert("RGB"), "float32")[None]\nanswers = session.run(None, {"image": image})' in colour
    path = folder / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"channels": 1}))
    assert '.convert("L"), "float32")[None, ..., None]' in model_card.card(read_run(folder), "", ["model.onnx"])
    assert "onnxruntime" not in model_card.card(read_run(folder), "", ["model.tflite"])


def test_the_users_images_have_the_name_of_their_folder(folder: Path) -> None:
    _complete(folder)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["data"] |= {"name": "folder", "path": "/somewhere/my photos"}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    assert "- Data: my photos (" in model_card.card(read_run(folder), "image-classification", [])


def test_only_our_own_card_is_replaced(folder: Path, tmp_path: Path) -> None:
    _complete(folder)
    path = tmp_path / model_card.NAME
    assert model_card.may_replace(path)
    path.write_text(model_card.card(read_run(folder), "image-classification", []))
    assert model_card.may_replace(path)
    path.write_text("mine")
    assert not model_card.may_replace(path)
