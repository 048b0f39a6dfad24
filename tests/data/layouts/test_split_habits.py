"""Splits and class folders as people name them are read correctly, or refused with advice."""

from __future__ import annotations

import pytest

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data.layouts import names
from cvlib.runtime.errors import UserError
from tests.data.layouts.habits_on_disk import (
    labels,
    notes,
    read,
    rows,
    sizes,
    write_classes,
    write_image,
    write_table,
)


@pytest.mark.parametrize(("name", "split"), [
    ("train", "train"), ("Training", "train"), ("seg_train", "train"), ("training_set", "train"),
    ("train_data", "train"), ("train_images", "train"), ("train2017", "train"),
    ("TrainSet", "train"), ("stage1_train", "train"),
    ("valid", "val"), ("dev", "val"), ("validation_set", "val"), ("val_256", "val"), ("holdout", "test"),
    ("test_images", "test"), ("Test Data", "test"), ("PublicTest", "val"), ("train_val", "train"),
    ("train_station", None), ("test tube", None), ("cat", None), ("trained", None), ("contest", None), ("pred", None),
])  # fmt: skip
def test_names_of_splits_are_recognised(name, split):
    assert names.split_of(name) == split


def test_an_unknown_prefix_is_accepted_if_two_split_names_share_it():
    assert names.splits_among(["birds_train", "birds_test", "other"]) == {"birds_train": "train", "birds_test": "test"}
    assert names.splits_among(["birds_train", "cars_test"]) == {}


@pytest.mark.parametrize(("train", "test"), [
    ("training_data", "testing_data"), ("my_birds_train", "my_birds_test"), ("Train_Images", "Test_Images"),
    ("final_train", "holdout"), ("x_train/x_train", "x_test/x_test"),
])  # fmt: skip
def test_split_folders_are_never_read_as_classes(tmp_path, train, test):
    write_classes(tmp_path, f"{train}/cat", f"{train}/dog", count=5)
    write_classes(tmp_path, f"{test}/cat", f"{test}/dog", count=2)
    collection = read(tmp_path)
    assert collection.classes == ["cat", "dog"] and sizes(collection) == {"train": 10, "test": 4}
    assert "read as class folders: 2 class folders in" in collection.read_as


def test_images_without_labels_are_set_aside_and_reported(tmp_path):
    write_classes(tmp_path, "train/cat", "train/dog", "to_predict", "test")
    collection = read(tmp_path)
    assert collection.classes == ["cat", "dog"] and sizes(collection) == {"train": 8}
    assert "to_predict: its images are for prediction and have no labels" in notes(collection)
    assert "test: it has no class folders, so its 4 images without labels are set aside" in notes(collection)


def test_class_names_in_val_may_differ_in_case_from_train(tmp_path):
    write_classes(tmp_path, "train/Cat", "train/Dog", "val/cat", "val/dog")
    collection = read(tmp_path)
    assert collection.classes == ["Cat", "Dog"] and sizes(collection) == {"train": 8, "val": 8}
    assert "class cat is read as Cat" in notes(collection)


def test_class_folders_can_contain_the_split_folders(tmp_path):
    for name in ("cat", "dog"):
        write_classes(tmp_path, f"{name}/train", count=5)
        write_classes(tmp_path, f"{name}/test", count=2)
    collection = read(tmp_path)
    assert collection.classes == ["cat", "dog"] and sizes(collection) == {"train": 10, "test": 4}


def test_a_list_gives_the_classes_of_a_val_folder_without_class_folders(tmp_path):
    write_classes(tmp_path, "train/n01/images", "train/n02/images", "val/images")
    lines = [f"{i}.png\tn0{1 + i % 2}\t0\t0\t9\t9" for i in range(4)]
    (tmp_path / "val" / "val_annotations.txt").write_text("\n".join(lines))
    collection = read(tmp_path)
    assert sizes(collection) == {"train": 8, "val": 4}
    assert labels(collection)["val/images/1.png"] == "n02"


def test_the_error_for_a_train_folder_without_class_folders_says_what_to_do(tmp_path):
    for i in range(6):
        write_image(tmp_path / "train" / f"{'cat' if i % 2 else 'dog'}.{i}.jpg")
    write_classes(tmp_path, "test1")
    with pytest.raises(UserError, match=r"train has no class folders; .* begin with cat, dog: .* into its own folder"):
        read(tmp_path)


@pytest.mark.parametrize("groups", [
    ("fold1", "fold2"), ("patient_07", "patient_12"), ("2023-01-05", "2023-02-11"), ("8863", "8864"),
])  # fmt: skip
def test_folders_of_folds_or_patients_are_not_read_as_classes(tmp_path, groups):
    for group in groups:
        write_classes(tmp_path, f"{group}/benign", f"{group}/malignant")
    collection = read(tmp_path)
    assert collection.classes == ["benign", "malignant"] and sizes(collection) == {"train": 16}
    assert "look like folds, patients or dates" in notes(collection)


def test_classes_with_the_same_subfolders_are_reported(tmp_path):
    write_classes(tmp_path, "cat/indoor", "cat/outdoor", "dog/indoor", "dog/outdoor")
    collection = read(tmp_path)
    assert collection.classes == ["cat", "dog"] and "are these the classes?" in notes(collection)


def test_unsupported_image_formats_are_named(tmp_path):
    write_classes(tmp_path, "cat", "dog")
    for name in ("a.svg", "b.psd"):
        (tmp_path / "cat" / name).write_bytes(b"<svg/>")
    assert "1 .svg file is in an unsupported format (SVG): convert to PNG" in notes(read(tmp_path))


def test_a_collection_in_an_unsupported_format_is_refused(tmp_path):
    for name in ("normal", "ill"):
        (tmp_path / name).mkdir()
        for i in range(3):
            (tmp_path / name / f"{i}.dcm").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(UserError, match="DICOM"):
        read(tmp_path)


def test_files_that_the_layout_does_not_use_are_reported(tmp_path):
    write_table(tmp_path, "file,label\n" + rows(lambda i: "ab"[i % 2]))
    write_classes(tmp_path, "more", count=9)
    assert "9 files are not used by this layout (9 .png), such as more/0.png" in notes(read(tmp_path))


def test_an_alternative_layout_that_fits_nearly_as_well_is_reported(tmp_path):
    write_classes(tmp_path, "train/cat", "train/dog", "test/cat", "test/dog")
    lines = "".join(f"train/{name}/{i}.png,{name}\n" for name in ("cat", "dog") for i in range(4))
    (tmp_path / "labels.csv").write_text("file,label\n" + lines)
    collection = read(tmp_path)
    assert collection.layout == "folder" and "it could also be a table: labels.csv lists images" in notes(collection)


def test_data_for_evaluation_needs_no_train_split(tmp_path):
    write_classes(tmp_path, "test/cat", "test/dog")
    with pytest.raises(UserError, match="no training samples, only test"):
        read(tmp_path)
    dataset = data.undivided(DataConfig(name="folder", path=str(tmp_path)))
    assert [len(split) for split in dataset.splits.values()] == [0, 0, 8] and dataset.classes == ["cat", "dog"]


def test_data_for_evaluation_may_have_a_single_class(tmp_path):
    write_classes(tmp_path, "cat")
    with pytest.raises(UserError, match="only one class"):
        read(tmp_path)
    assert len(data.undivided(DataConfig(name="folder", path=str(tmp_path))).train) == 4
