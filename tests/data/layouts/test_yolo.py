"""YOLO: the forms of data.yaml, boxes and polygons; errors are reported by file and line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data import layouts
from cvlib.data.labels import BOXES
from cvlib.runtime.errors import UserError

MESSY = Path(__file__).parents[4] / "shared" / "data" / "messy" / "detection_yolo"


def _write_image(file: Path, size=(40, 20)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng([*str(file).encode()]).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).save(file)


def _write_sample(root: Path, name: str, text: str | None) -> None:
    _write_image(root / "images" / f"{name}.png")
    if text is not None:
        file = root / "labels" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def _read(root: Path):
    return layouts.read(root, None, BOXES, DataConfig())


def _findings(collection, severity="error"):
    return [(f.kind, f.path, f.place) for f in collection.findings if f.severity == severity]


@pytest.mark.parametrize("names", ["names: [cat, dog]", "names: {0: cat, 1: dog}", "nc: 2\nnames:\n  - cat\n  - dog"])
def test_boxes_and_polygons_are_converted_to_pixels(tmp_path, names):
    _write_sample(tmp_path, "train/a", "1 0.5 0.5 0.25 0.5\n\n0 0.1 0.2 0.4 0.2 0.3 0.9\n")
    _write_sample(tmp_path, "val/b", "")
    _write_sample(tmp_path, "test/c", "0 0.5 0.5 1 1")
    (tmp_path / "data.yaml").write_text(f"train: images/train\nval: images/val\ntest: images/test\n{names}\n")
    dataset = data.load(DataConfig(name="folder", path=str(tmp_path)), 0, BOXES)
    assert dataset.layout == "yolo" and dataset.classes == ["cat", "dog"]
    assert dataset.train.names == ["images/train/a.png"]
    # 40×20 pixels: the box has centre (20, 10), width and height 10; the polygon has corners (4, 4), (16, 4), (12, 18).
    assert dataset.train.labels[0].corners.tolist() == [[15, 5, 25, 15], [4, 4, 16, 18]]
    assert dataset.train.labels[0].classes.tolist() == [1, 0]
    assert len(dataset.val.labels[0]) == 0 and dataset.test.labels[0].corners.tolist() == [[0, 0, 40, 20]]


def test_a_split_can_be_a_list_or_several_folders(tmp_path):
    for name in ("one/a", "one/b", "two/c", "two/d"):
        _write_sample(tmp_path, name, "0 0.5 0.5 0.5 0.5")
    (tmp_path / "data.yaml").write_text("path: .\ntrain: [images/one, more.txt]\nval: val.txt\nnames: [x]\n")
    (tmp_path / "more.txt").write_text("./images/two/c.png\nimages/two/gone.png\n../secret.png\n")
    (tmp_path / "val.txt").write_text("images/two/d.png\n")
    _write_image(tmp_path.parent / "secret.png")
    collection = _read(tmp_path)
    assert [sample.name for sample in collection.splits["train"]] == [
        "images/one/a.png", "images/one/b.png", "images/two/c.png"]  # fmt: skip
    assert [sample.name for sample in collection.splits["val"]] == ["images/two/d.png"]
    assert _findings(collection) == [("missing image", "more.txt", "line 2"), ("missing image", "more.txt", "line 3")]
    assert "points outside the collection" in collection.findings[1].message


def test_paths_are_read_as_annotation_tools_write_them(tmp_path):
    for split in ("train", "valid"):
        _write_image(tmp_path / split / "images" / "a.png")
        (tmp_path / split / "labels").mkdir()
        (tmp_path / split / "labels" / "a.txt").write_text("0 0.5 0.5 0.5 0.5")
    (tmp_path / "data.yaml").write_text("path: /content/x\ntrain: ../train/images\nval: ../valid/images\nnames: [x]\n")
    collection = _read(tmp_path)
    assert {split: [s.name for s in samples] for split, samples in collection.splits.items()} == {
        "train": ["train/images/a.png"], "val": ["valid/images/a.png"]}  # fmt: skip
    assert all(len(sample.label) == 1 for samples in collection.splits.values() for sample in samples)


def test_a_collection_without_data_yaml_is_read(tmp_path):
    _write_sample(tmp_path, "a", "0 0.5 0.5 0.5 0.5")
    _write_sample(tmp_path, "b", "2 0.5 0.5 0.5 0.5")
    assert _read(tmp_path).classes == ["class 0", "class 1", "class 2"]
    (tmp_path / "labels" / "classes.txt").write_text("cat\ndog\nbird\n")
    collection = _read(tmp_path)
    assert collection.classes == ["cat", "dog", "bird"] and list(collection.splits) == ["train"]


def test_bad_lines_are_reported_and_left_out(tmp_path):
    lines = ["0 0.5 0.5 0.5 0.5", "7 0.5 0.5 0.5 0.5", "0 0.5 0.5 0.5", "0 0.5 0.5 x 0.5", "0.5 0.5 0.5 0.5 0.5",
             "-1 0.5 0.5 0.5 0.5", "0 nan 0.5 0.5 0.5", "0 1.7 0.5 0.2 0.2", "0 0.9 0.5 0.4 0.2"]  # fmt: skip
    _write_sample(tmp_path, "a", "\n".join(lines))
    (tmp_path / "data.yaml").write_text("train: images\nnames: [x, y]\nnc: 3\n")
    collection = _read(tmp_path)
    assert [(kind, place) for kind, _, place in _findings(collection)] == [
        ("unknown class", "line 2"), ("bad label line", "line 3"), ("bad label line", "line 4"),
        ("bad label line", "line 5"), ("unknown class", "line 6"), ("bad label line", "line 7")]  # fmt: skip
    assert _findings(collection, "warning") == [("class count", "data.yaml", "")]
    with pytest.raises(UserError, match=r"7 errors in the data: labels/a\.txt, line 2: class 7, but only 0 to 1 exist"):
        data.load(DataConfig(name="folder", path=str(tmp_path)), 0, BOXES)


def test_labels_without_images_and_images_without_labels_give_warnings(tmp_path):
    _write_sample(tmp_path, "a", "0 0.5 0.5 0.5 0.5")
    _write_sample(tmp_path, "b", None)
    (tmp_path / "labels" / "c.txt").write_text("0 0.5 0.5 0.5 0.5")
    (tmp_path / "labels" / "classes.txt").write_text("cat\n")
    collection = _read(tmp_path)
    assert _findings(collection, "warning") == [("missing label file", "images/b.png", ""),
                                                ("missing image", "labels/c.txt", "")]  # fmt: skip
    assert _findings(collection, "remark") == [("stray file", "labels/classes.txt", "")]
    assert len(collection.splits["train"]) == 2 and _findings(collection) == []


@pytest.mark.parametrize(("content", "words"), [
    ("names: [a", "can't be read as YAML"),
    ("names: 3\ntrain: images", "names must be a list"),
    ("names: {1: a, 2: b}\ntrain: images", "from 0 without gaps"),
    ("- a", "expected keys such as train"),
])  # fmt: skip
def test_an_invalid_data_yaml_is_refused(tmp_path, content, words):
    _write_sample(tmp_path, "a", "0 0.5 0.5 0.5 0.5")
    (tmp_path / "data.yaml").write_text(content)
    with pytest.raises(UserError, match=words) as caught:
        _read(tmp_path)
    assert "data.yaml" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.skipif(not MESSY.is_dir(), reason="the shared data isn't available")
def test_the_messy_collection_is_read_with_the_expected_findings():
    collection = _read(MESSY)
    assert _findings(collection) == [("unknown class", "labels/train/train_cam_image48.txt", "line 1")]
    assert {kind for kind, _, _ in _findings(collection, "warning")} == {
        "class count", "missing folder", "missing label file", "missing image"}  # fmt: skip
    dataset = data.load(DataConfig(name="folder", path=str(MESSY), on_error="skip"), 0, BOXES)
    assert len(dataset.train) + len(dataset.val) + len(dataset.test) == 6
    assert dataset.skipped == [f"labels/train/train_cam_image{number}.txt, line 1" for number in (48, 47)]
