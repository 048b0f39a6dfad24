"""Published collections and exports of annotation tools are read correctly, or named in one line."""

from __future__ import annotations

import re

import pytest

from cvlib.data.labels import BOXES, CLASS, CLASS_SET, MASK
from cvlib.runtime.errors import UserError
from tests.data.layouts.habits_on_disk import labels, notes, read, sizes, write_classes, write_image, write_mask

AUTOML = [("TRAIN", "0"), ("TRAIN", "1"), ("VALIDATION", "2"), ("TEST", "3")]


def _write_table(root, text, name="labels.csv", count=4):
    for i in range(count):
        write_image(root / "images" / f"{i}.png", (8, 6))
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text(text)


def test_frames_of_videos_with_tracks_are_not_classes(tmp_path):
    for split, video in (("train", "MOT17-02"), ("train", "MOT17-04"), ("test", "MOT17-01")):
        write_classes(tmp_path, f"{split}/{video}/img1", count=2)
        (tmp_path / split / video / "seqinfo.ini").write_text("[Sequence]")
    with pytest.raises(UserError, match=r"MOT17-02, MOT17-04 look like video sequences with boxes \(MOT\)"):
        read(tmp_path)


def test_masks_in_a_folder_of_labels_below_a_class_are_no_images_of_it(tmp_path):
    for name in ("Class1", "Class2"):
        write_classes(tmp_path, f"{name}/Train", f"{name}/Test", count=3)
        write_mask(tmp_path / name / "Train" / "Label" / "1_label.png")
    found = read(tmp_path)
    assert found.classes == ["Class1", "Class2"] and sizes(found) == {"train": 6, "test": 6}


def test_masks_of_the_objects_of_each_image_may_be_in_split_folders(tmp_path):
    for i in range(2):
        write_image(tmp_path / f"stage1_train/id{i}/images/id{i}.png")
        inside = write_mask(tmp_path / f"stage1_train/id{i}/masks/a.png")
        write_mask(tmp_path / f"stage1_train/id{i}/masks/b.png")
        write_image(tmp_path / f"stage1_test/t{i}/images/t{i}.png")
    found = read(tmp_path, MASK)
    assert sizes(found) == {"train": 2} and (found.splits["train"][0].label() == inside).all()


def test_masks_may_be_in_a_folder_of_a_version(tmp_path):
    for split in ("training", "validation"):
        for i in range(2):
            write_image(tmp_path / split / "images" / f"{i}.png")
            write_mask(tmp_path / split / "v2.0" / "labels" / f"{i}.png", (0, 1))
            write_mask(tmp_path / split / "v2.0" / "instances" / f"{i}.png", (0, 9))
    found = read(tmp_path, MASK)
    assert sizes(found) == {"train": 2, "val": 2} and found.classes == ["0", "1"]


def test_the_tables_of_automl_give_splits_classes_and_boxes(tmp_path):
    _write_table(tmp_path, "".join(f"{split},gs://b/{i}.png,{'ab'[int(i) % 2]}\n" for split, i in AUTOML))
    assert sizes(read(tmp_path)) == {"train": 2, "val": 1, "test": 1} and read(tmp_path).classes == ["a", "b"]
    _write_table(tmp_path, "".join(f"{split},gs://b/{i}.png,car,0.1,0.2,,,0.5,0.6,,\n" for split, i in AUTOML))
    found = read(tmp_path, BOXES)
    assert sizes(found) == {"train": 2, "val": 1, "test": 1}
    assert found.splits["test"][0].label.corners.tolist() == [[0.1, 0.2, 0.5, 0.6]]


def test_the_solutions_of_imagenet_give_classes_and_splits(tmp_path):
    cells = ["n01 1 2 5 5 ", "n02 1 2 5 5 n02 2 2 4 4 "]
    for split, start in (("train", 0), ("val", 4)):
        rows = "".join(f"{i},{cells[i % 2]}\n" for i in range(start, start + 4))
        _write_table(tmp_path, "ImageId,PredictionString\n" + rows, f"LOC_{split}_solution.csv", 8)
    found = read(tmp_path)
    assert found.classes == ["n01", "n02"] and sizes(found) == {"train": 4, "val": 4}


def test_a_table_may_be_in_a_folder_of_ground_truth(tmp_path):
    rows = "".join(f"{i},{float(i % 2 == 0)},{float(i % 2)}\n" for i in range(4))
    _write_table(tmp_path, "image,MEL,NV\n" + rows, "ISIC_Training_GroundTruth/truth.csv")
    assert labels(read(tmp_path)) == {f"images/{i}.png": ["MEL", "NV"][i % 2] for i in range(4)}


def test_of_two_columns_of_labels_the_names_are_used(tmp_path):
    _write_table(tmp_path, "Filename,Label,ClassName\n" + "".join(f"{i}.png,{i % 2},{'ab'[i % 2]}\n" for i in range(4)))
    assert read(tmp_path).classes == ["a", "b"]


def test_xml_files_are_paired_with_images_in_class_folders(tmp_path):
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>8</xmax><ymax>9</ymax></bndbox>"
    for i in range(4):
        write_image(tmp_path / f"train/images/{'ab'[i % 2]}/{i}.png")
        (tmp_path / "train/annotations").mkdir(exist_ok=True)
        text = f"<annotation><object><name>{'ab'[i % 2]}</name>{box}</object></annotation>"
        (tmp_path / f"train/annotations/{i}.xml").write_text(text)
    write_classes(tmp_path, "val/images/a", "val/images/b", count=1)
    assert read(tmp_path, BOXES).classes == read(tmp_path, CLASS).classes == ["a", "b"]


def test_the_polygons_of_labelme_are_boxes_for_a_detector(tmp_path):
    points = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in ((3, 2), (9, 4), (5, 8)))
    for i in range(2):
        write_image(tmp_path / "Images" / f"{i}.png")
        (tmp_path / "Annotations").mkdir(exist_ok=True)
        (tmp_path / "Annotations" / f"{i}.xml").write_text(
            f"<annotation><object><name>car</name><deleted>0</deleted><polygon>{points}</polygon></object>"
            f"<object><name>car</name><deleted>1</deleted><polygon>{points}</polygon></object></annotation>"
        )
    found = read(tmp_path, BOXES)
    assert found.splits["train"][0].label.corners.tolist() == [[3, 2, 9, 8]]


@pytest.mark.parametrize(("text", "words"), [
    ("file,value\n" + "".join(f"{i}.png,{i}.5\n" for i in range(4)), "look like measurements"),
    ("file,Id\n" + "".join(f"{i}.png,w_{i}\n" for i in range(12)), "12 of 12 classes .* have one image each"),
])  # fmt: skip
def test_labels_that_may_be_no_classes_are_reported(tmp_path, text, words):
    _write_table(tmp_path, text, count=12)
    (finding,) = [finding for finding in read(tmp_path).findings if finding.kind == "class names"]
    assert re.search(words, finding.message)


@pytest.mark.parametrize(("name", "text", "kind", "words"), [
    ("captions.csv", "image,caption\n0.png,a dog runs\n1.png,a cat sleeps here\n", CLASS, "no column is recognised"),
    ("train.csv", "ImageId,ClassId,EncodedPixels\n0.png,1,1 3\n1.png,2,4 5\n", CLASS, "run-length masks"),
    ("train.csv", "ImageId,ClassId,EncodedPixels\n0.png,1,1 3\n1.png,2,4 5\n", MASK, "run-length masks"),
    ("fer2013.csv", "emotion,pixels,Usage\n0,70 80,Training\n", CLASS, "table of pixels"),
    ("gt.txt", "0.png;1;2;5;5;3\n", BOXES, "text list of boxes"),
    ("list_attr_celeba.txt", "4\nBald Young\n0.png  1 -1\n1.png -1  1\n", CLASS_SET, "CelebA's list of attributes"),
    ("geojson/0.geojson", '{"type": "FeatureCollection", "features": []}', MASK, "GeoJSON"),
    ("digitStruct.mat", "MATLAB 7.3 MAT-file", BOXES, "MATLAB"),
    ("project.json", '[{"image": "0.png", "label": [{"x": 1, "original_width": 8}]}]', BOXES, "Label Studio"),
])  # fmt: skip
def test_other_files_are_named_in_one_line(tmp_path, name, text, kind, words):
    _write_table(tmp_path, text, name)
    with pytest.raises(UserError, match=words) as caught:
        read(tmp_path, kind)
    assert "\n" not in str(caught.value)


def test_images_whose_names_begin_with_classes_are_pointed_out(tmp_path):
    for i in range(4):
        write_image(tmp_path / f"{['cat', 'dog'][i % 2]}_{i}.png")
    with pytest.raises(
        UserError, match="no class folders; the file names begin with cat, dog: put each class's images"
    ):
        read(tmp_path)


def test_notes_name_no_finding_for_plain_classes(tmp_path):
    _write_table(tmp_path, "file,label\n" + "".join(f"{i}.png,{i % 2}\n" for i in range(4)))
    assert "class names" not in notes(read(tmp_path))
