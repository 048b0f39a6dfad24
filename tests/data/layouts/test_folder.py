"""Collections of the user's: layouts, what is left out, what is refused."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from cvlib import clock as spans
from cvlib import data
from cvlib.config import DataConfig
from cvlib.errors import UserError

CLOTHING = Path(__file__).parents[4] / "shared" / "data" / "clothing10"


def _images(place: Path, count: int, kind: str = "png", colour: bool = True, size=(6, 4)) -> None:
    place.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        shape = (size[1], size[0], 3) if colour else (size[1], size[0])
        noise = np.random.default_rng([i, *place.as_posix().encode()]).integers(0, 256, shape, np.uint8)
        Image.fromarray(noise).save(place / f"{i}.{kind}")


def _load(path: Path, task: str = "classification", **options) -> data.Dataset:
    return data.load(DataConfig(name="folder", path=str(path), **options), 0, task)


def _sizes(dataset: data.Dataset) -> list[int]:
    return [len(part) for part in (dataset.train, dataset.val, dataset.test)]


def test_a_folder_per_class_is_split_by_us(tmp_path):
    _images(tmp_path / "dog", 20)
    _images(tmp_path / "cat" / "deeper" / "still", 20)
    dataset = _load(tmp_path)
    assert dataset.classes == ["cat", "dog"] and dataset.channels == 3 and dataset.size == (4, 6)
    assert _sizes(dataset) == [28, 6, 6]
    for part in (dataset.train, dataset.val, dataset.test):
        assert np.bincount(part.labels).tolist() == [len(part) // 2] * 2
        for name, file, label in zip(part.names, part.images, part.labels, strict=True):
            assert file == tmp_path / name and name.split("/")[0] == dataset.classes[label]
    assert [note.split(":")[0] for note in dataset.notes] == ["no val folder", "no test folder"]


@pytest.mark.parametrize(("train", "val", "test"), [
    ("train", "val", "test"), ("training", "valid", "testing"), ("Train", "validation", "TEST"),
    ("train", "dev", "test"),
])  # fmt: skip
def test_given_splits_are_kept(tmp_path, train, val, test):
    for part, count in ((train, 5), (val, 2), (test, 3)):
        for name in ("a", "b"):
            _images(tmp_path / part / name, count)
    dataset = _load(tmp_path)
    assert _sizes(dataset) == [10, 4, 6] and dataset.notes == []
    assert {name.split("/")[0] for name in dataset.val.names} == {val}


def test_what_is_missing_comes_out_of_train(tmp_path):
    for name in ("a", "b"):
        _images(tmp_path / "train" / name, 20)
        _images(tmp_path / "test" / name, 3)
    dataset = _load(tmp_path)
    assert _sizes(dataset) == [34, 6, 6]
    assert dataset.notes == ["no val folder: 15 % of the training images taken, stratified by class"]
    (tmp_path / "test").rename(tmp_path / "val")
    dataset = _load(tmp_path, test_fraction=0.1)
    assert _sizes(dataset) == [36, 6, 4]
    assert dataset.notes == ["no test folder: 10 % of the training images taken, stratified by class"]
    shutil.rmtree(tmp_path / "val")
    assert _sizes(_load(tmp_path)) == [28, 6, 6]


def test_a_class_may_be_called_train(tmp_path):
    for name in ("car", "plane", "train"):
        _images(tmp_path / name, 4)
    assert _load(tmp_path).classes == ["car", "plane", "train"]


@pytest.mark.parametrize("sizes", [(9, 1), (5, 5), (4, 3, 3)])
def test_ten_images_and_one_in_a_class(tmp_path, sizes):
    for label, count in enumerate(sizes):
        _images(tmp_path / f"class {label}", count)
    dataset = _load(tmp_path)
    assert sum(_sizes(dataset)) == 10 and min(_sizes(dataset)) >= 1
    assert set(dataset.train.labels.tolist()) == set(range(len(sizes)))


def test_a_class_without_training_images_is_noted(tmp_path):
    for name in "abcd":
        _images(tmp_path / name, 1)
    dataset = _load(tmp_path)
    assert _sizes(dataset) == [2, 1, 1]
    assert any(note.startswith("no training image for ") for note in dataset.notes)


def test_all_extensions_in_any_case_and_nothing_else(tmp_path):
    _images(tmp_path / "a", 1)
    picture = Image.open(tmp_path / "a" / "0.png")
    for extension in ("jpg", "JPEG", "bmp", "Gif", "webp", "tif", "TIFF", "PNG"):
        picture.save(tmp_path / "a" / f"kind.{extension}")
    _images(tmp_path / "b", 9)
    for name in (".DS_Store", "._0.png", "Thumbs.db", "notes.txt", "no_extension"):
        (tmp_path / "a" / name).write_bytes(b"no image")
    _images(tmp_path / "a" / ".hidden", 3)
    _images(tmp_path / ".git", 3)
    (tmp_path / "loose.png").write_bytes((tmp_path / "a" / "0.png").read_bytes())
    dataset = _load(tmp_path)
    assert dataset.classes == ["a", "b"] and sum(_sizes(dataset)) == 18
    notes = " | ".join(dataset.notes)
    assert "5 × stray file, such as a/.DS_Store: no image by name or content: left out" in notes
    assert "loose.png: lies beside the class folders: left out" in notes


def test_an_empty_class_folder_is_skipped_and_noted(tmp_path):
    for name in ("a", "b"):
        _images(tmp_path / name, 3)
    (tmp_path / "empty").mkdir()
    dataset = _load(tmp_path)
    assert dataset.classes == ["a", "b"]
    assert dataset.notes[0].startswith("empty: the class folder holds no images: left out")


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_are_followed_and_circles_end(tmp_path):
    _images(tmp_path / "store" / "x", 4)
    _images(tmp_path / "data" / "b", 4)
    (tmp_path / "data" / "a").symlink_to(tmp_path / "store" / "x")
    (tmp_path / "data" / "b" / "again").symlink_to(tmp_path / "data" / "b")
    dataset = _load(tmp_path / "data")
    parts = (dataset.train, dataset.val, dataset.test)
    assert np.bincount(np.concatenate([part.labels for part in parts])).tolist() == [4, 4]


@pytest.mark.parametrize("names", [("Ünïcode class", "帽子 😀"), ("a'b,c;d#e%20", "glob[1]*"), ("-dash", "10")])
def test_odd_names_work(tmp_path, names):
    for name in names:
        _images(tmp_path / "my däta [1]" / name, 3)
        (tmp_path / "my däta [1]" / name / "0.png").rename(tmp_path / "my däta [1]" / name / "é 'x' #1.png")
    dataset = _load(tmp_path / "my däta [1]")
    assert dataset.classes == sorted(names) and sum(_sizes(dataset)) == 6


def test_decomposed_unicode_is_the_same_class(tmp_path):
    _images(tmp_path / "train" / "caf\u00e9", 5)
    _images(tmp_path / "train" / "bar", 5)
    _images(tmp_path / "test" / "cafe\u0301", 2)
    _images(tmp_path / "test" / "bar", 2)
    dataset = _load(tmp_path)
    assert dataset.classes == ["bar", "caf\u00e9"]
    assert "test/caf\u00e9/0.png" in dataset.test.names


def test_grey_collections_are_grey_unless_overridden(tmp_path):
    for name in ("a", "b"):
        _images(tmp_path / name, 3, colour=False)
    assert _load(tmp_path).channels == 1
    assert _load(tmp_path, channels=3).channels == 3
    _images(tmp_path / "c", 3)
    assert _load(tmp_path).channels == 3


def test_the_size_is_the_median_and_does_not_depend_on_the_fraction(tmp_path):
    _images(tmp_path / "a", 6, size=(10, 20))
    _images(tmp_path / "b", 8, size=(30, 40))
    assert _load(tmp_path).size == _load(tmp_path, fraction=0.2).size == (40, 30)


def test_a_relative_path_starts_at_the_working_directory(tmp_path, monkeypatch):
    for name in ("a", "b"):
        _images(tmp_path / "data" / name, 3)
    monkeypatch.chdir(tmp_path)
    dataset = _load(Path("data"))
    monkeypatch.chdir("/")
    assert all(file.is_absolute() and file.exists() for file in dataset.train.images)


def test_identical_files_in_train_and_test_are_noted(tmp_path):
    for part in ("train", "val", "test"):
        for name in ("a", "b"):
            _images(tmp_path / part / name, 3)
    shutil.copy(tmp_path / "train" / "a" / "1.png", tmp_path / "test" / "b" / "twin.png")
    assert _load(tmp_path).notes == ["1 of 7 test images are in train too, byte for byte: test/b/twin.png"]


def test_a_progress_line_only_where_it_takes_long(tmp_path, monkeypatch, capsys):
    for name in ("a", "b"):
        _images(tmp_path / name, 3)
    _load(tmp_path)
    assert capsys.readouterr() == ("", "")
    clock = iter(range(0, 100, 1))
    monkeypatch.setattr(spans, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    _load(tmp_path)
    out, err = capsys.readouterr()
    assert out == "" and "looking at the files: 3 of 6, about" in err


def _refused(words: str, path: Path, task: str = "classification", **options) -> str:
    with pytest.raises(UserError, match=words) as caught:
        _load(path, task, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_folders_that_cannot_be_trained_on(tmp_path):
    _refused("there is no folder", tmp_path / "nowhere")
    _refused("no images in it", tmp_path)
    _images(tmp_path / "one", 5)
    _refused(r"only one class \(one\)", tmp_path)
    (tmp_path / "file").write_text("x")
    _refused("there is no folder", tmp_path / "file")
    _refused("data.layout=vocc is unknown: known are folder, csv, voc", tmp_path, layout="vocc")
    _refused("no VOC labels for detection", tmp_path, "detection", layout="voc")
    _refused("has labels for classification, not for detection", tmp_path, "detection", layout="folder")


def test_a_folder_too_far_up_or_down_is_explained(tmp_path):
    for part in ("train", "test"):
        for name in ("a", "b"):
            _images(tmp_path / "set" / part / name, 3)
    _images(tmp_path / "other", 3)
    assert f"is data.path={tmp_path / 'set'} meant?" in _refused("is split into train", tmp_path)
    _images(tmp_path / "flat" / "train", 3)
    _images(tmp_path / "flat" / "test", 3)
    _refused("train has no class folders in it", tmp_path / "flat")
    _images(tmp_path / "wrapped" / "inner" / "a", 3)
    _images(tmp_path / "wrapped" / "inner" / "b", 3)
    assert f"is data.path={tmp_path / 'wrapped' / 'inner'} meant?" in _refused("only one class", tmp_path / "wrapped")


def test_two_folders_for_one_split_are_refused(tmp_path):
    for part in ("train", "val", "validation"):
        for name in ("a", "b"):
            _images(tmp_path / part / name, 3)
    _refused("val and validation both mean val", tmp_path)


def test_a_class_that_only_test_has_is_refused(tmp_path):
    for name in ("a", "b"):
        _images(tmp_path / "train" / name, 3)
    _images(tmp_path / "test" / "c", 3)
    _refused("test/c: class c is in test but not in train", tmp_path)


def test_unreadable_images_are_counted_and_the_first_is_named(tmp_path):
    for name in ("a", "b"):
        _images(tmp_path / name, 10)
    (tmp_path / "b" / "3.png").write_bytes(b"no image")
    _refused(r"1 error in the data: b/3\.png: can't be read as an image", tmp_path)
    cut = tmp_path / "b" / "5.png"
    cut.write_bytes(cut.read_bytes()[:-40])
    _refused(r"2 errors in the data: b/3\.png: can't be read as an image: .* · b/5\.png: ", tmp_path)


def test_unreadable_images_and_unseen_classes_are_left_out_when_asked(tmp_path):
    for name in ("a", "b"):
        _images(tmp_path / "train" / name, 10)
        _images(tmp_path / "test" / name, 2)
    _images(tmp_path / "test" / "c", 1)
    (tmp_path / "train" / "b" / "3.png").write_bytes(b"no image")
    (tmp_path / "test" / "a" / "0.png").write_bytes(b"")
    dataset = _load(tmp_path, on_error="skip", val_fraction=0.1)
    assert _sizes(dataset) == [17, 2, 3]  # 19 good ones for training, a tenth of them to val
    assert sorted(dataset.skipped) == ["test/a/0.png", "test/c", "train/b/3.png"]
    assert any(note.startswith("data.on_error=skip: 3 left out for errors: test/c, ") for note in dataset.notes)
    assert not {"train/b/3.png", "test/a/0.png"} & {
        name for part in (dataset.train, dataset.val, dataset.test) for name in part.names
    }


def test_content_decides_where_the_name_says_nothing(tmp_path):
    for name in ("a", "b"):
        _images(tmp_path / name, 3)
    kinds = {"PNG": "x", "JPEG": "photo", "GIF": "y.dat", "BMP": "z", "TIFF": "t", "WEBP": "w"}
    for kind, name in kinds.items():
        Image.new("RGB", (6, 4), "red").save(tmp_path / "a" / name, kind)
    (tmp_path / "a" / "BMW").write_bytes(b"BM is how this text begins, no bitmap")
    dataset = _load(tmp_path)
    names = {name for part in (dataset.train, dataset.val, dataset.test) for name in part.names}
    assert {f"a/{name}" for name in kinds.values()} <= names and len(names) == 12


def test_classes_that_are_not_asked_for_need_not_be_readable(tmp_path):
    for name in ("a", "b", "c"):
        _images(tmp_path / name, 10)
    (tmp_path / "b" / "3.png").write_bytes(b"no image")
    assert sum(_sizes(_load(tmp_path, classes=["c", "a"]))) == 20


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_broken_link_is_named(tmp_path):
    for name in ("a", "b"):
        _images(tmp_path / name, 3)
    (tmp_path / "a" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    _refused(r"a/gone\.png: can't be opened", tmp_path)


@pytest.mark.skipif(not CLOTHING.is_dir(), reason="the shared clothing10 photographs aren't here")
def test_a_real_collection():
    dataset = _load(CLOTHING)
    assert _sizes(dataset) == [3068, 341, 372] and dataset.notes == []
    assert dataset.classes == (CLOTHING / "classes.txt").read_text().split()
    assert np.bincount(dataset.test.labels).tolist() == [15, 12, 72, 38, 42, 26, 73, 30, 12, 52]
    assert dataset.channels == 3 and min(dataset.size) == 192
