"""COCO: arbitrary ids, crowds, polygons and RLE compared with pycocotools, and errors reported by annotation."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data import images, layouts
from cvlib.data.labels import BOXES, CLASS_SET, MASK
from cvlib.runtime.errors import UserError

MESSY = Path(__file__).parents[4] / "shared" / "data" / "messy" / "detection_coco"
CATEGORIES = [{"id": 44, "name": "dog"}, {"id": 7, "name": "cat"}]


def _write_image(file: Path, size=(40, 20), **options) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng([*str(file).encode()]).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).save(file, **options)


def _entry(number, name, size=(40, 20)):
    return {"id": number, "file_name": name, "width": size[0], "height": size[1]}


def _object(number, image, category, box=(1, 2, 10, 10), **more):
    return {"id": number, "image_id": image, "category_id": category, "bbox": list(box), "iscrowd": 0, **more}


def _write(file: Path, pictures, objects, categories=CATEGORIES) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"images": pictures, "annotations": objects, "categories": categories}))


def _read(root: Path, kind=BOXES):
    return layouts.read(root, None, kind, DataConfig())


def _findings(collection, severity="error"):
    return [(f.kind, f.path, f.place) for f in collection.findings if f.severity == severity]


def test_ids_need_not_be_consecutive(tmp_path):
    for name in ("b.png", "a.png"):
        _write_image(tmp_path / "images" / name)
    _write(tmp_path / "annotations" / "instances.json", [_entry(900, "b.png"), _entry(13, "a.png")], [
        _object(5, 13, 44, (1, 2, 10, 12.5)), _object(70, 13, 7, (0, 0, 40, 20), iscrowd=1)])  # fmt: skip
    collection = _read(tmp_path)
    assert collection.layout == "coco" and collection.classes == ["cat", "dog"] and collection.findings == []
    first, second = collection.splits["train"]
    assert first.name == "images/b.png" and len(first.label) == 0
    assert second.label.corners.tolist() == [[1, 2, 11, 14.5], [0, 0, 40, 20]]
    assert second.label.classes.tolist() == [1, 0] and second.label.crowd.tolist() == [False, True]


def test_each_split_can_have_a_file_with_the_usual_coco_name(tmp_path):
    for split in ("train", "val"):
        _write_image(tmp_path / f"{split}2017" / f"{split}.png")
        _write(
            tmp_path / "annotations" / f"instances_{split}2017.json", [_entry(1, f"{split}.png")], [_object(1, 1, 7)]
        )
        _write(tmp_path / "annotations" / f"captions_{split}2017.json", [_entry(1, f"{split}.png")], [])
    collection = _read(tmp_path)
    assert {split: [s.name for s in samples] for split, samples in collection.splits.items()} == {
        "train": ["train2017/train.png"], "val": ["val2017/val.png"]}  # fmt: skip


def test_each_split_folder_can_contain_its_own_file(tmp_path):
    for split in ("train", "valid", "test"):
        _write_image(tmp_path / split / "a.png")
        _write(tmp_path / split / "_annotations.coco.json", [_entry(0, "a.png")], [_object(1, 0, 7)])
    collection = _read(tmp_path)
    assert {split: [s.name for s in samples] for split, samples in collection.splits.items()} == {
        "train": ["train/a.png"], "val": ["valid/a.png"], "test": ["test/a.png"]}  # fmt: skip


def _write_shapes(tmp_path):
    """Write four images with polygons, compressed and plain RLE, and overlapping objects."""
    for i in range(4):
        _write_image(tmp_path / f"{i}.png")
    square = np.zeros((20, 40), np.uint8)
    square[5:15, 10:30] = 1
    packed = coco_mask.encode(np.asfortranarray(square))
    packed["counts"] = packed["counts"].decode()
    plain = {"size": [20, 40], "counts": [200, 200, 400]}  # all of columns 10 to 19
    objects = [
        _object(1, 0, 44, segmentation=[[2, 2, 30, 2, 30, 18, 2, 18]], area=448),
        _object(2, 0, 7, segmentation=[[10, 6, 20, 6, 15, 16]], area=50),
        _object(3, 1, 7, segmentation=packed),
        _object(4, 1, 44, segmentation=plain, iscrowd=1),
        _object(5, 2, 44, segmentation=[[1, 1, 5, 1, 5, 5], [20, 10, 30, 10, 30, 15, 20, 15]]),
    ]
    _write(tmp_path / "labels.json", [_entry(i, f"{i}.png") for i in range(4)], objects)
    return tmp_path / "labels.json"


def test_masks_match_pycocotools(tmp_path, capsys):
    file = _write_shapes(tmp_path)
    collection = _read(tmp_path, MASK)
    assert collection.classes == ["background", "cat", "dog"] and collection.findings == []
    coco = COCO(str(file))
    capsys.readouterr()
    masks = [pickle.loads(pickle.dumps(sample.label))() for sample in collection.splits["train"]]
    objects = {number: coco.annToMask(coco.loadAnns(number)[0]).astype(bool) for number in range(1, 6)}
    first = np.where(objects[1], 2, 0)
    first[objects[2]] = 1  # the smaller object lies on top, whatever the order in the file
    second = np.where(objects[4], 255, 0)
    second[objects[3]] = 1
    for found, expected in zip(masks, (first, second, np.where(objects[5], 2, 0), np.zeros((20, 40))), strict=True):
        assert found.dtype == np.uint8 and np.array_equal(found, expected)
    assert (masks[1] == 255).sum() == 200 - 100  # the crowd minus the square that covers half of it


def test_segmentations_are_loaded_as_a_dataset_of_masks(tmp_path):
    _write_shapes(tmp_path)
    dataset = data.load(DataConfig(name="folder", path=str(tmp_path)), 0, MASK)
    assert dataset.layout == "coco" and dataset.size == (20, 40)
    assert len(dataset.train) + len(dataset.val) + len(dataset.test) == 4
    assert all(label().shape == (20, 40) for label in dataset.train.labels)


def test_a_mask_is_rotated_with_its_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    _write_image(tmp_path / "0.png", exif=exif)
    shape = [[0, 0, 20, 0, 20, 10, 0, 10]]
    _write(tmp_path / "labels.json", [_entry(0, "0.png")], [_object(1, 0, 7, segmentation=shape)])
    mask = _read(tmp_path, MASK).splits["train"][0].label()
    stored = np.zeros((20, 40), np.uint8)
    stored[:10, :20] = 1
    assert mask.shape == (40, 20) and np.array_equal(mask, np.rot90(stored, -1))
    assert images.read_image(tmp_path / "0.png", 3).shape == (40, 20, 3)


@pytest.mark.parametrize(("change", "kind", "words"), [
    ({"bbox": None}, "missing box", "no bbox"),
    ({"bbox": [1, 2, 3]}, "invalid box number", "four numbers"),
    ({"bbox": [1, 2, "3", 4]}, "invalid box number", "four numbers"),
    ({"category_id": 999}, "unknown class", "category_id 999"),
    ({"image_id": 999}, "unknown image", "image_id 999"),
    ({"image_id": [1]}, "unknown image", "image_id [1]"),
    ({"category_id": {}}, "unknown class", "category_id {}"),
    ({"bbox": [1, 2, float("nan"), 4]}, "invalid box number", "four numbers"),
])  # fmt: skip
def test_bad_annotations_are_reported_and_left_out(tmp_path, change, kind, words):
    _write_image(tmp_path / "a.png")
    _write(tmp_path / "x.json", [_entry(1, "a.png")], [_object(3, 1, 7), {**_object(8, 1, 44), **change}])
    collection = _read(tmp_path)
    assert _findings(collection) == [(kind, "x.json", "annotation 8 (annotations[1])")]
    assert words in collection.findings[0].message and len(collection.splits["train"][0].label) == 1


@pytest.mark.parametrize("shape", [[], [[1, 2, 3, 4]], [[1, 2, 3, 4, 5]], None, {"counts": "x"}])
def test_bad_segmentations_are_reported(tmp_path, shape):
    _write_image(tmp_path / "a.png")
    good = _object(3, 1, 7, segmentation=[[1, 1, 9, 1, 9, 9]])
    _write(tmp_path / "x.json", [_entry(1, "a.png")], [good, _object(8, 1, 44, segmentation=shape)])
    collection = _read(tmp_path, MASK)
    assert _findings(collection) == [("bad segmentation", "x.json", "annotation 8 (annotations[1])")]


def test_an_rle_of_the_wrong_size_is_an_error(tmp_path):
    for name in "abcd":
        _write_image(tmp_path / f"{name}.png")
    objects = [_object(i, i, 7, segmentation=[[1, 1, 9, 1, 9, 9]]) for i in range(3)]
    objects.append(_object(3, 3, 7, segmentation={"size": [9, 9], "counts": [40, 41]}))
    _write(tmp_path / "x.json", [_entry(i, f"{name}.png") for i, name in enumerate("abcd")], objects)
    with pytest.raises(UserError, match=r"1 error in the data: x\.json.*d\.png: an RLE of 9×9 pixels in a 40×20"):
        data.load(DataConfig(name="folder", path=str(tmp_path)), 0, MASK)


def test_invalid_characters_are_escaped(tmp_path):
    _write_image(tmp_path / "a.png")
    _write(tmp_path / "x.json", [_entry(1, "a.png"), _entry(2, "\ud800.png")], [_object(1, 1, 7)],
           [{"id": 7, "name": "ca\ud800t"}])  # fmt: skip
    collection = _read(tmp_path)
    assert collection.classes == ["ca\\ud800t"]
    assert [str(finding).encode() for finding in collection.findings] == [
        b"x.json, image 2 (images[1]): there is no image \\ud800.png; add it, or remove the entry"
    ]


def test_missing_images_duplicate_ids_and_paths_outside_are_reported(tmp_path):
    for name in ("in/a.png", "in/b.png", "in/c.png", "secret.png"):
        _write_image(tmp_path / name)
    pictures = [_entry(1, "a.png"), _entry(2, "b.png"), _entry(2, "c.png"), _entry(3, "gone.png"),
                _entry(6, "x" * 300), _entry([7], "a.png"),
                _entry(4, "../secret.png"), _entry(5, "/etc/hostname")]  # fmt: skip
    _write(tmp_path / "in" / "x.json", pictures, [_object(1, 1, 7), _object(2, 2, 7)])
    collection = _read(tmp_path / "in")
    assert [sample.name for sample in collection.splits["train"]] == ["a.png"]
    assert [kind for kind, _, _ in _findings(collection)] == [
        *["duplicate image id"] * 2, *["missing image"] * 2, "bad image entry", *["missing image"] * 2]  # fmt: skip
    assert [f.message for f in collection.findings if f.severity == "error"][-2:] == [
        f"the path {path!r} points outside the collection" for path in ("../secret.png", "/etc/hostname")
    ]


def test_an_image_has_the_classes_of_its_annotations(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        _write_image(tmp_path / "images" / name)
    without_a_box = {"id": 3, "image_id": 2, "category_id": 7}
    _write(tmp_path / "labels.json", [_entry(1, "a.png"), _entry(2, "b.png"), _entry(3, "c.png")],
           [_object(1, 1, 44), _object(2, 1, 44), _object(4, 2, 44, iscrowd=1), without_a_box])  # fmt: skip
    collection = _read(tmp_path, CLASS_SET)
    assert collection.classes == ["cat", "dog"] and collection.findings == []
    assert [sample.label for sample in collection.splits["train"]] == [{1}, {0, 1}, set()]
    assert CLASS_SET not in layouts.available(tmp_path)  # not detected, only read on request


@pytest.mark.parametrize(("content", "words"), [
    ("[]", "found a list"),
    ('{"images": [{"id": 1, "file', "can't be read as JSON"),
    ('{"images": [], "annotations": []}', "the list 'categories' is missing"),
    ('{"images": [], "annotations": [], "categories": [{"name": "a"}]}', "a category has no valid id"),
    ('{"images": [], "annotations": [], "categories": []}', "no categories"),
])  # fmt: skip
def test_invalid_json_files_are_refused(tmp_path, content, words):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "x.json").write_text(content)
    with pytest.raises(UserError, match=words) as caught:
        _read(tmp_path)
    assert "x.json" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.skipif(not MESSY.is_dir(), reason="the shared data isn't available")
def test_each_messy_file_gives_the_expected_errors():
    with pytest.raises(UserError, match="several COCO files, and their names don't identify"):
        _read(MESSY)
    expected = {
        "good": [], "category_zero": [], "file_name_subfolder": [], "iscrowd": [], "bbox_outside": [],
        "bbox_negative_width": [], "size_wrong": [], "no_annotations": [], "no_annotations_key": [],
        "duplicate_annotation_id": [], "bbox_missing": ["missing box"], "bbox_three_numbers": ["invalid box number"],
        "category_unknown": ["unknown class"], "image_id_unknown": ["unknown image"],
        "image_missing": ["missing image"],
    }  # fmt: skip
    for name, kinds in expected.items():
        collection = _read(MESSY / "annotations" / f"{name}.json")
        assert [kind for kind, _, _ in _findings(collection)] == kinds, name
        assert len(collection.splits["train"]) == 6 and collection.classes[0] == "ace"
    for name in ("top_level_list", "truncated"):
        with pytest.raises(UserError, match=rf"{name}\.json: "):
            _read(MESSY / "annotations" / f"{name}.json")
    crowd = _read(MESSY / "annotations" / "iscrowd.json").splits["train"]
    assert sum(int(sample.label.crowd.sum()) for sample in crowd) == 1
