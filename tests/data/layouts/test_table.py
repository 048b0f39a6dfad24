"""CSV and TSV: detection of columns, quoting and splits; errors are reported by line."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data import layouts
from cvlib.data.labels import CLASS
from cvlib.runtime.errors import UserError

MESSY = Path(__file__).parents[4] / "shared" / "data" / "messy" / "classification" / "train" / "hat"


def _write_image(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng([*str(file).encode()]).integers(0, 256, (4, 6, 3), np.uint8)
    Image.fromarray(noise).save(file, "PNG")


def _read(root: Path):
    return layouts.read(root, None, CLASS, DataConfig())


def _findings(collection, severity="error"):
    return [(f.kind, f.path, f.place) for f in collection.findings if f.severity == severity]


def _labels(collection) -> dict[str, str]:
    return {s.name: collection.classes[s.label] for samples in collection.splits.values() for s in samples}


@pytest.mark.parametrize(("name", "text"), [
    ("labels.csv", "file,label\na.png,cat\nb.png,dog\n"),
    ("labels.csv", "LABEL,Image Path\ncat,a.png\ndog,b.png\n"),
    ("labels.csv", "a.png,cat\nb.png,dog\n"),
    ("anything.csv", "\ufefffilename;breed\r\na.png;cat\r\n\r\nb.png;dog\r\n"),
    ("some.tsv", "image\tclass\tnote, or so\na.png\tcat\t1\nb.png\tdog\t2\n"),
    ("train.csv", "id_code,diagnosis\na,cat\nb,dog\n"),
    ("labels.csv", "file,label\n./images/a.png,cat\nimages\\b.png,dog\n"),
])  # fmt: skip
def test_columns_are_detected(tmp_path, name, text):
    for file in "ab":
        _write_image(tmp_path / "images" / f"{file}.png")
    (tmp_path / name).write_text(text)
    collection = _read(tmp_path)
    assert collection.layout == "csv" and collection.findings == []
    assert _labels(collection) == {"images/a.png": "cat", "images/b.png": "dog"}
    assert collection.splits["train"][0].label_file == tmp_path / name


def test_names_that_need_quoting_are_read(tmp_path):
    names = ["a,b.png", 'say "hi".png', "semi;colon.png", "é 帽子 😀.png", "50%20#1.png", "-dash.png", "tab\there.png"]
    for name in names:
        _write_image(tmp_path / name)
    with (tmp_path / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "label"])
        rows.writerows([name, f"class {i % 2}, odd"] for i, name in enumerate(names))
    assert _labels(_read(tmp_path)) == {name: f"class {i % 2}, odd" for i, name in enumerate(names)}


def test_composed_and_decomposed_names_match(tmp_path):
    _write_image(tmp_path / "cafe\u0301.png")
    _write_image(tmp_path / "th\u00e9.png")
    (tmp_path / "labels.csv").write_text("file,label\ncaf\u00e9.png,a\nthe\u0301.png,b\n")
    assert _labels(_read(tmp_path)) == {"caf\u00e9.png": "a", "th\u00e9.png": "b"}


def test_a_split_column_or_one_file_per_split_defines_the_splits(tmp_path):
    for i in range(6):
        _write_image(tmp_path / f"{i}.png")
    rows = ["0.png,a,train", "1.png,b,Train", "2.png,a,valid", "3.png,b,val", "4.png,a,test", "5.png,b,test"]
    (tmp_path / "labels.csv").write_text("file,label,split\n" + "\n".join(rows))
    dataset = data.load(DataConfig(name="folder", path=str(tmp_path)), 0)
    expected = [["0.png", "1.png"], ["2.png", "3.png"], ["4.png", "5.png"]]
    assert [split.names for split in (dataset.train, dataset.val, dataset.test)] == expected
    assert dataset.layout == "csv" and dataset.notes == [] and dataset.train.labels.tolist() == [0, 1]
    (tmp_path / "labels.csv").unlink()
    for split, lines in (("train", rows[:2]), ("val", rows[2:4]), ("test", rows[4:])):
        (tmp_path / f"{split}.csv").write_text("file,label,split\n" + "\n".join(lines))
    dataset = data.load(DataConfig(name="folder", path=str(tmp_path)), 0)
    assert [split.names for split in (dataset.train, dataset.val, dataset.test)] == expected


def test_bad_rows_are_reported_by_line_and_left_out(tmp_path):
    for i in range(6):
        _write_image(tmp_path / "in" / f"{i}.png")
    _write_image(tmp_path / "secret.png")
    lines = ["file,label,split", "0.png,a,train", "1.png,b,train", "gone.png,a,train", "2.png,,train", "3.png",
             "../secret.png,a,train", "4.png,a,later", "0.png,a,train", "5.png,a,train", "5.png,b,train",
             "5.png,c,test"]  # fmt: skip
    (tmp_path / "in" / "labels.csv").write_text("\n".join(lines))
    collection = _read(tmp_path / "in")
    assert _findings(collection) == [
        ("missing image", "labels.csv", "line 4"), ("bad row", "labels.csv", "line 5"),
        ("bad row", "labels.csv", "line 6"), ("missing image", "labels.csv", "line 7"),
        ("bad row", "labels.csv", "line 8"), ("two labels", "5.png", ""),
        ("class set", "labels.csv", "")]  # fmt: skip
    assert _findings(collection, "warning") == [("listed twice", "labels.csv", "")]
    assert _labels(collection) == {"0.png": "a", "1.png": "b"}


@pytest.mark.parametrize(("text", "words"), [
    ("file,breed,species\na.png,x,cat\nb.png,y,dog\n", "no column is recognised as the label .file, breed, species.: "),
    ("file,label\na.png,cat\nb.png,cat\n", "fewer than two classes"),
    ('file,label\na.png,"cat\nb.png,dog\n', "line 3: can't be read as a table"),
    ("a.png\nb.png\n", "one column only"),
])  # fmt: skip
def test_unusable_tables_are_refused(tmp_path, text, words):
    for name in "ab":
        _write_image(tmp_path / f"{name}.png")
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        layouts.read(tmp_path, "csv", CLASS, DataConfig())
    assert "labels.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_the_path_can_select_one_of_several_tables(tmp_path):
    for name in "ab":
        _write_image(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.csv").write_text("file,label\na.png,x\nb.png,y\n")
    with pytest.raises(UserError, match=r"several tables list its images \(a.csv, b.csv\): set data.path"):
        layouts.read(tmp_path, "csv", CLASS, DataConfig())
    assert len(_labels(_read(layouts.place(str(tmp_path / "b.csv"))))) == 2


@pytest.mark.skipif(not MESSY.is_dir(), reason="the shared data isn't available")
def test_messy_names_in_a_table_are_read(tmp_path):
    names = ["quote'and,comma;semi#hash%20.jpg", "chapeau_été_帽子_😀.jpg", "café_nfd.jpg", "glob[1]*name.jpg",
             "a file with spaces (1).jpg", "-leading-dash.jpg", "no_extension", "UPPER.JPG"]  # fmt: skip
    shutil.copytree(MESSY, tmp_path / "images")
    with (tmp_path / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["file", "label"], *([name, f"c{i % 2}"] for i, name in enumerate(names))])
    collection = _read(tmp_path)
    assert {finding.kind for finding in collection.findings} == {"unused images"}
    assert len(collection.splits["train"]) == len(names)


@pytest.mark.parametrize("outside", ["../pictures/{}.png", "{root}/pictures/{}.png", "..\\pictures\\{}.png"])
@pytest.mark.parametrize("header", ["file,label\n", ""])
def test_images_outside_the_folder_are_refused(tmp_path, outside, header):
    for name in "ab":
        _write_image(tmp_path / "pictures" / f"{name}.png")
    (tmp_path / "lists").mkdir()
    lines = [
        f"{outside.format(name, root=tmp_path)},{label}\n" for name, label in zip("ab", ("cat", "dog"), strict=True)
    ]
    (tmp_path / "lists/labels.csv").write_text(header + "".join(lines))
    for root in (tmp_path / "lists", tmp_path / "lists/labels.csv"):
        with pytest.raises(UserError, match=r"labels\.csv, line \d: the path .* points outside .* move the image"):
            _read(root)


def test_a_table_of_another_copy_is_ignored_beside_class_folders(tmp_path):
    for label in "ab":
        _write_image(tmp_path / "first" / label / "0.png")
        _write_image(tmp_path / "second" / label / "0.png")
    lines = "".join(f"{tmp_path}/first/{label}/0.png,{label}\n" for label in "ab")
    for copy in ("first", "second"):
        (tmp_path / copy / "labels.csv").write_text("file,label\n" + lines)
    assert [layouts.detect(tmp_path / copy) for copy in ("first", "second")] == ["csv", "folder"]


def test_absolute_paths_work_through_a_link_to_the_folder(tmp_path):
    for name in "ab":
        _write_image(tmp_path / "real" / f"{name}.png")
    (tmp_path / "real/labels.csv").write_text(f"file,label\n{tmp_path}/real/a.png,x\n{tmp_path}/real/b.png,y\n")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert _labels(_read(tmp_path / "link")) == {"a.png": "x", "b.png": "y"}
