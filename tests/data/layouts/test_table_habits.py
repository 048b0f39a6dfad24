"""Tables as common programs write them are read correctly, or refused with advice."""

from __future__ import annotations

import pytest

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data.labels import BOXES
from cvlib.runtime.errors import UserError
from tests.data.layouts.habits_on_disk import (
    labels,
    notes,
    read,
    rows,
    sizes,
    write_classes,
    write_table,
)


@pytest.mark.parametrize(("text", "encoding"), [
    ("file;label\n" + rows(lambda i: "äö"[i % 2], separator=";"), "cp1252"),
    ("file\tlabel\n" + rows(lambda i: "äö"[i % 2], separator="\t"), "utf-16"),
    ("sep=;\nfile;label\n" + rows(lambda i: "äö"[i % 2], separator=";"), "utf-8-sig"),
    ("file|label\n" + rows(lambda i: "äö"[i % 2], separator="|"), "utf-8"),
    ("Photo,Was\n" + rows(lambda i: "äö"[i % 2]), "utf-8"),
    ("label,file\n" + "".join(f"{'äö'[i % 2]},C:\\Users\\me\\x\\images\\{i:03}.png\n" for i in range(6)), "utf-8"),
    ("file,label\n" + rows(lambda i: "äö"[i % 2], "/home/me/x/images/{:03}.png"), "utf-8"),
    ("id,label\n" + rows(lambda i: "äö"[i % 2], "{}"), "utf-8"),  # a spreadsheet has dropped the leading zeros
    ("image,ä,ö\n" + rows(lambda i: "1.0,0.0" if i % 2 == 0 else "0.0,1.0"), "utf-8"),
    ("image;ä;ö\n" + rows(lambda i: "1,0;0,0" if i % 2 == 0 else "0,0;1,0", separator=";"), "utf-8"),
])  # fmt: skip
def test_tables_are_read_as_common_programs_write_them(tmp_path, text, encoding):
    write_table(tmp_path, text, encoding=encoding)
    for root in (tmp_path, tmp_path / "labels.csv"):
        collection = read(root)
        expected = {f"images/{i:03}.png": "äö"[i % 2] for i in range(6)}
        assert labels(collection) == expected and not [f for f in collection.findings if f.severity == "error"]


def test_a_table_takes_precedence_over_the_image_folders_beside_it(tmp_path):
    write_table(tmp_path, "image_id,label\n" + rows(lambda i: i % 2, "{:03}"), "train.csv", folder="train_images")
    write_classes(tmp_path, "test_images")
    (tmp_path / "sample_submission.csv").write_text("image_id,label\n0.png,4\n1.png,4\n")
    (tmp_path / "test.csv").write_text("image_id\n000\n001\n")
    collection = read(tmp_path)
    assert collection.layout == "csv" and collection.classes == ["0", "1"] and sizes(collection) == {"train": 6}
    assert "test.csv: it lists 2 images without labels: set aside" in notes(collection)
    assert {name.split("/")[0] for name in labels(collection)} == {"train_images"}


def test_integers_written_in_different_ways_are_one_class(tmp_path):
    write_table(tmp_path, "file,label\n" + rows(lambda i: ["0", "1", "0.0", "1,0"][i % 4] if i % 4 != 3 else '"1,0"'))
    collection = read(tmp_path)
    assert collection.classes == ["0", "1"] and "are the same number" in notes(collection)


@pytest.mark.parametrize("text", [
    "file,a,b,c\n" + rows(lambda i: f"1,{i % 2},0"),
    "file,tags\n" + rows(lambda i: "clear primary" if i % 2 else "haze primary"),
    "file,label\n" + rows(lambda i: ["edema|mass", "edema|nodule", "mass"][i % 3]),
    "file,smiling,young\n" + rows(lambda i: f"1,{1 if i % 2 else -1}"),
])  # fmt: skip
def test_several_labels_per_image_are_refused_in_one_line(tmp_path, text):
    write_table(tmp_path, text)
    with pytest.raises(UserError, match="images can have several classes, because") as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_label_with_spaces_is_one_class(tmp_path):
    write_table(tmp_path, "file,label\n" + rows(lambda i: "golden retriever" if i % 2 else "labrador retriever"))
    assert read(tmp_path).classes == ["golden retriever", "labrador retriever"]


@pytest.mark.parametrize("text", [
    "filename,width,height,class,xmin,ymin,xmax,ymax\n" + rows(lambda i: "40,20,cat,4,2,12,10"),
    rows(lambda i: "4,2,12,10,cat"),
    "image_id,label,bbox\n" + rows(lambda i: 'cat,"[4.0, 2.0, 8.0, 8.0]"', "{:03}"),
    "image,x,y,w,h,label\n" + rows(lambda i: "4,2,8,8,cat"),
    "ImageID,LabelName,XMin,XMax,YMin,YMax\n" + rows(lambda i: "cat,0.1,0.3,0.1,0.5", "{:03}"),
])  # fmt: skip
def test_tables_of_boxes_are_read_for_detection(tmp_path, text):
    write_table(tmp_path, text, "boxes.csv")
    collection = read(tmp_path, BOXES)
    assert collection.classes == ["cat"] and collection.layout == "csv"
    dataset = data.load(DataConfig(name="folder", path=str(tmp_path)), 0, BOXES)
    assert all(label.corners.tolist() == [[4, 2, 12, 10]] for label in dataset.train.labels)
    with pytest.raises(UserError, match=r"only for detection \(csv: "):
        read(tmp_path)
