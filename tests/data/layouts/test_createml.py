"""CreateML: centre coordinates, one file per split, and errors reported by annotation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cvlib.config.schema import DataConfig
from cvlib.data import layouts
from cvlib.data.labels import BOXES
from cvlib.runtime.errors import UserError
from tests.data.layouts.folders_on_disk import write_images

NAME = "_annotations.createml.json"


def _box(label="cat", **coordinates):
    return {"label": label, "coordinates": {"x": 3, "y": 2, "width": 4, "height": 3} | coordinates}


def _write(folder: Path, *entries) -> None:
    write_images(folder, 2)
    listed = [{"image": image, "annotations": boxes} for image, boxes in entries]
    (folder / NAME).write_text(json.dumps(listed))


def _read(root: Path, layout=None):
    return layouts.read(root, layout, BOXES, DataConfig())


def test_centres_are_converted_to_corners(tmp_path):
    _write(tmp_path, ("0.png", [_box(), _box("ant", x=1.5, width=1)]), ("1.png", []))
    collection = _read(tmp_path)
    assert collection.layout == "createml" and collection.classes == ["ant", "cat"] and collection.findings == []
    first, second = collection.splits["train"]
    assert first.label.corners.tolist() == [[1, 0.5, 5, 3.5], [1, 0.5, 2, 3.5]]
    assert first.label.classes.tolist() == [1, 0] and len(second.label) == 0


def test_each_split_folder_can_contain_its_own_file(tmp_path):
    for folder in ("train", "valid", "test"):
        _write(tmp_path / folder, ("0.png", [_box()]), ("1.png", [_box(folder)]))
    collection = _read(tmp_path)
    names = {split: [sample.name for sample in samples] for split, samples in collection.splits.items()}
    assert names == {"train": ["train/0.png", "train/1.png"], "val": ["valid/0.png", "valid/1.png"],
                     "test": ["test/0.png", "test/1.png"]}  # fmt: skip
    assert collection.classes == ["cat", "test", "train", "valid"] and collection.findings == []


def test_the_path_can_be_the_json_file(tmp_path):
    _write(tmp_path / "train", ("0.png", [_box()]))
    file = tmp_path / "train" / NAME
    assert layouts.detect(file) == "createml"
    assert [sample.name for sample in _read(file).splits["train"]] == ["0.png"]


def test_damaged_entries_are_reported_and_left_out(tmp_path):
    damaged = [_box(), _box(""), {"label": "cat"}, _box(width="4"), _box(height=float("nan")), "cat"]
    _write(tmp_path, ("0.png", damaged), ("gone.png", [_box()]), ("../0.png", []), ("1.png", None), ("0.png", []))
    collection = _read(tmp_path)
    (sample,) = collection.splits["train"]
    assert sample.name == "0.png" and len(sample.label) == 1
    found = [(finding.severity, finding.kind, finding.place.split(" ")[0]) for finding in collection.findings]
    assert sorted(found) == sorted([
        ("error", "missing class", "[0]"), ("error", "missing box", "[0]"), ("error", "invalid box number", "[0]"),
        ("error", "invalid box number", "[0]"), ("error", "bad annotation", "[0]"), ("error", "missing image", "[1]"),
        ("warning", "listed twice", "[2]"), ("error", "bad image entry", "[3]"), ("warning", "listed twice", "[4]"),
        ("remark", "unused images", "")])  # fmt: skip
    assert {finding.path for finding in collection.findings} == {NAME, "."}


@pytest.mark.parametrize(("content", "words"), [
    ('[{"image": "0.png", "annotations": [', "can't be read as JSON"),
    ('{"images": []}', "not a CreateML JSON file.*found a dict"),
    ('[{"image": "0.png", "annotations": []}]', "no class to learn")])  # fmt: skip
def test_a_damaged_file_is_refused_in_one_line(tmp_path, content, words):
    write_images(tmp_path, 2)
    (tmp_path / NAME).write_text(content)
    with pytest.raises(UserError, match=words) as caught:
        _read(tmp_path / NAME, "createml")
    assert "\n" not in str(caught.value) and str(tmp_path / NAME) in str(caught.value)
