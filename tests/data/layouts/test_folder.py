"""Collections of class folders, and files that are left out or refused."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from folders_on_disk import assert_refused, load, sizes_of, write_images

from cvlib.runtime import live

CLOTHING = Path(__file__).parents[4] / "shared" / "data" / "clothing10"


def test_a_collection_without_splits_is_divided(tmp_path):
    write_images(tmp_path / "dog", 20)
    write_images(tmp_path / "cat" / "deeper" / "still", 20)
    dataset = load(tmp_path)
    assert dataset.classes == ["cat", "dog"] and dataset.channels == 3 and dataset.size == (4, 6)
    assert sizes_of(dataset) == [28, 6, 6]
    for split in (dataset.train, dataset.val, dataset.test):
        assert np.bincount(split.labels).tolist() == [len(split) // 2] * 2
        for name, file, label in zip(split.names, split.images, split.labels, strict=True):
            assert file == tmp_path / name and name.split("/")[0] == dataset.classes[label]
    assert [note.split(":")[0] for note in dataset.notes] == ["no val folder", "no test folder"]


@pytest.mark.parametrize(("train", "val", "test"), [
    ("train", "val", "test"), ("training", "valid", "testing"), ("Train", "validation", "TEST"),
    ("train", "dev", "test"),
])  # fmt: skip
def test_existing_splits_are_kept(tmp_path, train, val, test):
    for split, count in ((train, 5), (val, 2), (test, 3)):
        for name in ("a", "b"):
            write_images(tmp_path / split / name, count)
    dataset = load(tmp_path)
    assert sizes_of(dataset) == [10, 4, 6] and dataset.notes == []
    assert {name.split("/")[0] for name in dataset.val.names} == {val}


def test_missing_splits_are_taken_from_train(tmp_path):
    for name in ("a", "b"):
        write_images(tmp_path / "train" / name, 20)
        write_images(tmp_path / "test" / name, 3)
    dataset = load(tmp_path)
    assert sizes_of(dataset) == [34, 6, 6]
    assert dataset.notes == ["no val folder: 15 % of the training images held out, stratified by class"]
    (tmp_path / "test").rename(tmp_path / "val")
    dataset = load(tmp_path, test_fraction=0.1)
    assert sizes_of(dataset) == [36, 6, 4]
    assert dataset.notes == ["no test folder: 10 % of the training images held out, stratified by class"]
    shutil.rmtree(tmp_path / "val")
    assert sizes_of(load(tmp_path)) == [28, 6, 6]


def test_a_class_may_be_called_train(tmp_path):
    for name in ("car", "plane", "train"):
        write_images(tmp_path / name, 4)
    assert load(tmp_path).classes == ["car", "plane", "train"]


@pytest.mark.parametrize("sizes", [(9, 1), (5, 5), (4, 3, 3)])
def test_ten_images_give_three_splits_with_every_class_in_train(tmp_path, sizes):
    for label, count in enumerate(sizes):
        write_images(tmp_path / f"class {label}", count)
    dataset = load(tmp_path)
    assert sum(sizes_of(dataset)) == 10 and min(sizes_of(dataset)) >= 1
    assert set(dataset.train.labels.tolist()) == set(range(len(sizes)))


def test_a_class_without_training_images_is_noted(tmp_path):
    for name in "abcd":
        write_images(tmp_path / name, 1)
    dataset = load(tmp_path)
    assert sizes_of(dataset) == [2, 1, 1]
    assert any(note.startswith("no training image for ") for note in dataset.notes)


def test_an_empty_class_folder_is_skipped_and_noted(tmp_path):
    for name in ("a", "b"):
        write_images(tmp_path / name, 3)
    (tmp_path / "empty").mkdir()
    dataset = load(tmp_path)
    assert dataset.classes == ["a", "b"]
    assert dataset.notes[0].startswith("empty: the class folder holds no images: left out")


def test_grey_collections_have_one_channel_unless_overridden(tmp_path):
    for name in ("a", "b"):
        write_images(tmp_path / name, 3, colour=False)
    assert load(tmp_path).channels == 1
    assert load(tmp_path, channels=3).channels == 3
    write_images(tmp_path / "c", 3)
    assert load(tmp_path).channels == 3


def test_the_size_is_the_median_and_does_not_depend_on_the_fraction(tmp_path):
    write_images(tmp_path / "a", 6, size=(10, 20))
    write_images(tmp_path / "b", 8, size=(30, 40))
    assert load(tmp_path).size == load(tmp_path, fraction=0.2).size == (40, 30)


def test_a_relative_path_is_resolved_against_the_working_directory(tmp_path, monkeypatch):
    for name in ("a", "b"):
        write_images(tmp_path / "data" / name, 3)
    monkeypatch.chdir(tmp_path)
    dataset = load(Path("data"))
    monkeypatch.chdir("/")
    assert all(file.is_absolute() and file.exists() for file in dataset.train.images)


def test_identical_files_in_train_and_test_are_noted(tmp_path):
    for split in ("train", "val", "test"):
        for name in ("a", "b"):
            write_images(tmp_path / split / name, 3)
    shutil.copy(tmp_path / "train" / "a" / "1.png", tmp_path / "test" / "b" / "twin.png")
    assert load(tmp_path).notes == ["1 of 7 test images have exact copies in train, such as test/b/twin.png"]


def test_a_progress_line_appears_only_if_checking_takes_long(tmp_path, monkeypatch, capsys):
    for name in ("a", "b"):
        write_images(tmp_path / name, 3)
    load(tmp_path)
    assert capsys.readouterr() == ("", "")
    for name in ("NO_COLOR", "CI", "TERM"):
        monkeypatch.delenv(name, raising=False)
    seconds = iter(range(0, 100, 1))
    monkeypatch.setattr(live, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    load(tmp_path)
    out, err = capsys.readouterr()
    assert out == "" and "checking files" in err and "3/6" in err


def test_unusable_folders_and_layouts_are_refused(tmp_path):
    assert_refused("nowhere is not a folder or file", tmp_path / "nowhere")
    assert_refused("no images found", tmp_path)
    write_images(tmp_path / "one", 5)
    assert_refused(r"only one class \(one\)", tmp_path)
    (tmp_path / "file").write_text("x")
    assert_refused("file is not a folder", tmp_path / "file")
    assert_refused("invalid data.layout=vocc: expected one of folder, csv, voc", tmp_path, layout="vocc")
    assert_refused("no VOC labels for detection", tmp_path, "detection", layout="voc")
    assert_refused("has labels for classification, not for detection", tmp_path, "detection", layout="folder")


def test_a_path_above_or_below_the_collection_is_explained(tmp_path):
    for split in ("train", "test"):
        for name in ("a", "b"):
            write_images(tmp_path / "set" / split / name, 3)
    write_images(tmp_path / "other", 3)
    assert f"did you mean data.path={tmp_path / 'set'}?" in assert_refused("contains train and other splits", tmp_path)
    write_images(tmp_path / "flat" / "train", 3)
    write_images(tmp_path / "flat" / "test", 3)
    assert_refused("train has no class folders", tmp_path / "flat")
    write_images(tmp_path / "wrapped" / "inner" / "a", 3)
    write_images(tmp_path / "wrapped" / "inner" / "b", 3)
    assert f"did you mean data.path={tmp_path / 'wrapped' / 'inner'}?" in assert_refused(
        "only one class", tmp_path / "wrapped"
    )


def test_two_folders_for_one_split_are_refused(tmp_path):
    for split in ("train", "val", "validation"):
        for name in ("a", "b"):
            write_images(tmp_path / split / name, 3)
    assert_refused("val and validation both mean val", tmp_path)


def test_a_class_that_is_only_in_test_is_refused(tmp_path):
    for name in ("a", "b"):
        write_images(tmp_path / "train" / name, 3)
    write_images(tmp_path / "test" / "c", 3)
    assert_refused("test/c: class c is in test but not in train", tmp_path)


def test_unreadable_images_are_counted_and_named(tmp_path):
    for name in ("a", "b"):
        write_images(tmp_path / name, 10)
    (tmp_path / "b" / "3.png").write_bytes(b"no image")
    assert_refused(r"1 error in the data: b/3\.png: can't be read as an image", tmp_path)
    cut = tmp_path / "b" / "5.png"
    cut.write_bytes(cut.read_bytes()[:-40])
    assert_refused(r"2 errors in the data: b/3\.png: can't be read as an image: .* · b/5\.png: ", tmp_path)


def test_unreadable_images_and_unseen_classes_are_left_out_on_request(tmp_path):
    for name in ("a", "b"):
        write_images(tmp_path / "train" / name, 10)
        write_images(tmp_path / "test" / name, 2)
    write_images(tmp_path / "test" / "c", 1)
    (tmp_path / "train" / "b" / "3.png").write_bytes(b"no image")
    (tmp_path / "test" / "a" / "0.png").write_bytes(b"")
    dataset = load(tmp_path, on_error="skip", val_fraction=0.1)
    assert sizes_of(dataset) == [17, 2, 3]  # of 19 readable training images, a tenth goes to val
    assert sorted(dataset.skipped) == ["test/a/0.png", "test/c", "train/b/3.png"]
    words = "data.on_error=skip: 3 items left out because of errors: test/c, "
    assert any(note.startswith(words) for note in dataset.notes)
    assert not {"train/b/3.png", "test/a/0.png"} & {
        name for split in (dataset.train, dataset.val, dataset.test) for name in split.names
    }


def test_unselected_classes_need_not_be_readable(tmp_path):
    for name in ("a", "b", "c"):
        write_images(tmp_path / name, 10)
    (tmp_path / "b" / "3.png").write_bytes(b"no image")
    assert sum(sizes_of(load(tmp_path, classes=["c", "a"]))) == 20


@pytest.mark.skipif(not CLOTHING.is_dir(), reason="the shared clothing10 photographs aren't available")
def test_a_real_collection_is_read():
    dataset = load(CLOTHING)
    assert sizes_of(dataset) == [3068, 341, 372] and dataset.notes == []
    assert dataset.classes == (CLOTHING / "classes.txt").read_text().split()
    assert np.bincount(dataset.test.labels).tolist() == [15, 12, 72, 38, 42, 26, 73, 30, 12, 52]
    assert dataset.channels == 3 and min(dataset.size) == 192
