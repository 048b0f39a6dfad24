"""Annotations as tools export them are read correctly, or refused with advice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cvlib.data.labels import BOXES, MASK
from cvlib.runtime.errors import UserError
from tests.data.layouts.habits_on_disk import (
    HEIGHT,
    WIDTH,
    notes,
    read,
    sizes,
    write_image,
)

XML = ("<annotation><object><name>cat</name><bndbox><xmin>4</xmin><ymin>2</ymin><xmax>12</xmax><ymax>10</ymax></bndbox>"
       "</object></annotation>")  # fmt: skip
LINE = "0 0.2 0.3 0.2 0.4\n"


@pytest.mark.parametrize("places", [
    ("{split}/{i}.png", "{split}/{i}.{ending}"),
    ("images/{split}/{i}.png", "annotations/{split}/{i}.{ending}"),
    ("{split}/images/{i}.png", "{split}/labels/{i}.{ending}"),
])  # fmt: skip
@pytest.mark.parametrize("ending", ["xml", "txt"])
def test_annotations_are_found_for_every_arrangement_of_split_folders(tmp_path, places, ending):
    if ending == "txt" and "annotations" in places[1]:
        pytest.skip("YOLO has no annotations folder")
    for split, count in (("training", 4), ("valid", 2)):
        for i in range(count):
            image, label = (tmp_path / place.format(split=split, i=i, ending=ending) for place in places)
            write_image(image)
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text(XML if ending == "xml" else LINE)
    (tmp_path / "classes.txt").write_text("cat\n")
    collection = read(tmp_path, BOXES)
    assert collection.layout == {"xml": "voc", "txt": "yolo"}[ending] and collection.classes == ["cat"]
    assert sizes(collection) == {"train": 4, "val": 2} and all(len(s.label) == 1 for s in collection.splits["val"])
    with pytest.raises(UserError, match="only for detection"):
        read(tmp_path)


def test_the_obj_data_file_of_darknet_is_read(tmp_path):
    for i in range(4):
        write_image(tmp_path / "obj_train_data" / f"{i}.PNG")
        (tmp_path / "obj_train_data" / f"{i}.txt").write_text(LINE)
    (tmp_path / "obj.data").write_text(
        "classes = 1\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n"
    )
    (tmp_path / "obj.names").write_text("apple\n")
    (tmp_path / "train.txt").write_text("".join(f"data/obj_train_data/{i}.PNG\n" for i in range(4)))
    collection = read(tmp_path, BOXES)
    assert collection.classes == ["apple"] and sizes(collection) == {"train": 4} and collection.findings == []


@pytest.mark.parametrize("written", [
    "..\\..\\media\\upload\\4\\abcdef01-{}.png", "http://host:8080/data/upload/1/abcdef01-{}.png",
    "../up/abcdef01-{}.png",
    "{}.png", "/data/local-files/?d=abcdef01-{}.png",
])  # fmt: skip
def test_coco_file_names_from_other_machines_are_resolved(tmp_path, written):
    for i in range(3):
        write_image(tmp_path / "images" / f"abcdef01-{i}.png")
    if "?" in written:
        pytest.skip("the file name is in the query of the URL")
    content = {
        "images": [{"id": i, "file_name": written.format(i), "width": WIDTH, "height": HEIGHT} for i in range(3)],
        "annotations": [{"id": i, "image_id": i, "category_id": 0, "bbox": [4, 2, 8, 8]} for i in range(3)],
        "categories": [{"id": 0, "name": "cat"}],
    }
    (tmp_path / "result.json").write_text(json.dumps(content))
    collection = read(tmp_path, BOXES)
    assert sizes(collection) == {"train": 3} and not [f for f in collection.findings if f.severity == "error"]


def _write_coco(root: Path, categories: list[dict], used: list[int], **more) -> None:
    write_image(root / "images" / "0.png")
    content = {
        "images": [{"id": 0, "file_name": "0.png", "width": WIDTH, "height": HEIGHT}],
        "annotations": [{"id": n, "image_id": 0, "category_id": category, "bbox": [4 + n, 2, 8, 8], **more}
                        for n, category in enumerate(used)],
        "categories": categories,
    }  # fmt: skip
    (root / "annotations.json").write_text(json.dumps(content))


def test_an_unused_supercategory_is_not_a_class(tmp_path):
    group = {"id": 0, "name": "fruit", "supercategory": "none"}
    _write_coco(tmp_path, [group, {"id": 1, "name": "apple", "supercategory": "fruit"}], [1])
    collection = read(tmp_path, BOXES)
    assert collection.classes == ["apple"] and "fruit (id 0) is only the supercategory of others" in notes(collection)
    _write_coco(tmp_path, [group, {"id": 1, "name": "apple", "supercategory": "fruit"}], [1, 0])
    assert read(tmp_path, BOXES).classes == ["fruit", "apple"]


def test_categories_with_the_same_name_are_one_class(tmp_path):
    _write_coco(
        tmp_path, [{"id": 3, "name": "apple"}, {"id": 5, "name": "apple"}, {"id": 6, "name": "pear"}], [3, 5, 6]
    )
    collection = read(tmp_path, BOXES)
    assert collection.classes == ["apple", "pear"] and "2 categories have the same name apple" in notes(collection)
    assert collection.splits["train"][0].label.classes.tolist() == [0, 0, 1]


@pytest.mark.parametrize("keypoint_line", ["kpt_shape: [2, 3]\n", ""])
def test_the_boxes_of_poses_are_read(tmp_path, keypoint_line):
    for i in range(3):
        write_image(tmp_path / "images" / f"{i}.png")
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / f"{i}.txt").write_text("0 0.5 0.5 0.2 0.4 0.45 0.5 2 0.5 0.6 0\n")
    (tmp_path / "data.yaml").write_text(f"train: images\n{keypoint_line}names: [person]\n")
    collection = read(tmp_path, BOXES)
    np.testing.assert_allclose(collection.splits["train"][0].label.corners, [[0.4, 0.3, 0.6, 0.7]])
    assert "keypoints" in notes(collection)
    with pytest.raises(UserError, match="no labels for segmentation"):
        read(tmp_path, MASK)


def test_class_names_that_yaml_parses_as_other_types_stay_names(tmp_path):
    write_image(tmp_path / "images" / "0.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "0.txt").write_text(LINE)
    (tmp_path / "data.yaml").write_text("train: images\nnames: [on, off, no, 1.0, null]\n")
    assert read(tmp_path, BOXES).classes == ["on", "off", "no", "1.0", "null"]


def test_yolo_boxes_in_pixels_are_refused(tmp_path):
    write_image(tmp_path / "images" / "0.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "0.txt").write_text("0 20 10 8 4\n")
    with pytest.raises(UserError, match="looks like pixels, but YOLO's numbers are relative"):
        read(tmp_path, BOXES)


def test_a_val_split_identical_to_train_is_reported(tmp_path):
    for i in range(8):
        write_image(tmp_path / "images" / f"{i}.png")
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / f"{i}.txt").write_text(LINE)
    (tmp_path / "data.yaml").write_text("train: images\nval: images\nnames: [cat]\n")
    collection = read(tmp_path, BOXES)
    assert sizes(collection) == {"train": 8} and "lists the same images as train" in notes(collection)


@pytest.mark.parametrize(("name", "content", "word"), [
    ("a.tfrecord", b"x", "TFRecord"), ("annotations.ndjson", b'{"data_row": {}}', "JSON lines|Labelbox"),
    ("export.json", b'[{"annotations": [{"from_name": "a", "to_name": "b"}]}]', "Label Studio JSON"),
    ("via.json", b'{"_via_img_metadata": {}}', "VIA"),
])  # fmt: skip
def test_unsupported_annotation_formats_are_named(tmp_path, name, content, word):
    for i in range(3):
        write_image(tmp_path / "images" / f"{i}.png")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=word) as caught:
        read(tmp_path, BOXES)
    assert "\n" not in str(caught.value)


def test_coco_areas_are_kept_with_their_boxes(tmp_path):
    _write_coco(tmp_path, [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}], [1, 2], area=17.5)
    label = read(tmp_path, BOXES).splits["train"][0].label
    assert label.areas.tolist() == [17.5, 17.5]
