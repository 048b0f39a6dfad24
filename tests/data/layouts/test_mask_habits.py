"""Images with masks as people organise them are paired and read correctly."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data.labels import BOXES, MASK
from cvlib.runtime.errors import UserError
from tests.data.layouts.habits_on_disk import (
    HEIGHT,
    WIDTH,
    notes,
    read,
    sizes,
    write_image,
    write_mask,
)


@pytest.mark.parametrize(("image", "mask"), [
    ("Images/{}.png", "Masks/{}.png"), ("imgs/{}.jpg", "annotations/{}.png"),
    ("Original/{}.png", "Ground truth/{}.png"),
    ("image/img_{}.png", "label/label_{}.png"), ("photos/{}.jpg", "seg/{}_seg.png"),
    ("{}.jpg", "{}_mask.png"),
    ("img/{}_sat.png", "gt/{}_mask.png"), ("train/{}.png", "train_masks/{}_L.png"), ("inputs/{}.png", "targets/{}.png"),
    ("images/{}.png", "segmentation/{}_segmentation.png"), ("train/images/{}.png", "train/masks/{}.png"),
])  # fmt: skip
def test_images_and_masks_are_paired_under_common_names(tmp_path, image, mask):
    for i in range(6):
        write_image(tmp_path / image.format(f"car{i}"))
        inside = write_mask(tmp_path / mask.format(f"car{i}"))
    collection = read(tmp_path, MASK)
    assert collection.layout == "masks" and sizes(collection) == {"train": 6}
    assert all(np.array_equal(sample.label(), inside) for sample in collection.splits["train"])
    with pytest.raises(UserError, match=r"(only for segmentation \(masks: |look like|no class folders)"):
        read(tmp_path)


def test_masks_in_class_folders_are_not_read_as_images(tmp_path):
    for name in ("benign", "malignant"):
        for i in range(4):
            write_image(tmp_path / name / f"{name} ({i}).png")
            write_mask(tmp_path / name / f"{name} ({i})_mask.png")
    write_mask(tmp_path / "benign" / "benign (0)_mask_1.png")
    collection = read(tmp_path)
    assert collection.classes == ["benign", "malignant"] and sizes(collection) == {"train": 8}
    assert "masks beside the images that they belong to" in notes(collection)
    assert sizes(read(tmp_path, MASK)) == {"train": 8}


def test_masks_of_label_ids_take_precedence_over_colours_and_instances(tmp_path):
    for split, count in (("train", 3), ("val", 2)):
        for i in range(count):
            stem = f"town/town_{i:06}_000019"
            write_image(tmp_path / "leftImg8bit" / split / f"{stem}_leftImg8bit.png")
            for ending, values in (("color", (9, 99)), ("instanceIds", (0, 77)), ("labelIds", (0, 26))):
                write_mask(tmp_path / "gtFine" / split / f"{stem}_gtFine_{ending}.png", values)
    collection = read(tmp_path, MASK)
    assert collection.classes == ["0", "26"] and sizes(collection) == {"train": 3, "val": 2}


def test_masks_of_the_field_of_view_are_not_labels(tmp_path):
    for split in ("training", "test"):
        for i in range(3):
            write_image(tmp_path / split / "images" / f"{i}_{split}.png")
            write_mask(tmp_path / split / "1st_manual" / f"{i}_manual1.gif", (0, 1))
            write_mask(tmp_path / split / "mask" / f"{i}_{split}_mask.gif", (1, 0))
    collection = read(tmp_path, MASK)
    assert sizes(collection) == {"train": 3, "test": 3}
    assert {sample.label_file.parent.name for sample in collection.splits["test"]} == {"1st_manual"}
    assert "or masks of the camera's field of view" in notes(collection)


def test_masks_of_single_objects_are_combined_per_image(tmp_path):
    for i in range(4):
        write_image(tmp_path / f"id{i}" / "images" / f"id{i}.png")
        inside = write_mask(tmp_path / f"id{i}" / "masks" / "a.png")
        Image.fromarray(np.where(np.roll(inside, 10, 1), 255, 0).astype(np.uint8)).save(tmp_path / f"id{i}/masks/b.png")
    collection = read(tmp_path, MASK)
    assert sizes(collection) == {"train": 4}
    assert np.array_equal(collection.splits["train"][0].label(), inside | np.roll(inside, 10, 1))


@pytest.mark.parametrize("form", ["jpeg", "soft", "rgba", "la", "rgb"])
def test_black_and_white_masks_are_read_in_every_form(tmp_path, form):
    for i in range(6):
        write_image(tmp_path / "images" / f"{i}.png")
        file = tmp_path / "masks" / f"{i}.{'jpg' if form == 'jpeg' else 'png'}"
        inside = write_mask(file, mode="RGB" if form == "rgb" else "L")
        if form in ("rgba", "la"):  # white on a transparent background; an opaque mask
            grey = np.where(inside, 255, 0).astype(np.uint8)
            white, opaque = np.full_like(grey, 255), np.full_like(grey, 255)
            bands = [white, white, white, grey] if form == "rgba" else [grey, opaque]
            Image.fromarray(np.dstack(bands)).save(file)
        if form == "soft":
            big = Image.fromarray(np.where(inside, 255, 0).astype(np.uint8)).resize((WIDTH * 4, HEIGHT * 4))
            big.rotate(3 + i).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(file)
    collection = read(tmp_path, MASK)
    assert collection.classes == ["background", "foreground"]
    if form != "soft":
        assert np.mean(collection.splits["train"][0].label() != inside) < 0.01
    dataset = data.load(DataConfig(name="folder", path=str(tmp_path)), 0, MASK)
    assert any("thresholded at 128" in note for note in dataset.notes) == (form in ("jpeg", "soft"))
    named = data.load(DataConfig(name="folder", path=str(tmp_path), classes=["paper", "cell"]), 0, MASK)
    assert named.classes == ["paper", "cell"]
    assert [len(split) for split in named.splits.values()] == [len(split) for split in dataset.splits.values()]


@pytest.mark.parametrize(("name", "text"), [
    ("classes.txt", "0 sky\n1 road\n"), ("classes.txt", "0: sky\n1: road\n"), ("class_names.txt", "sky\nroad\n"),
    ("codes.txt", "sky\nroad\n"), ("_classes.csv", "Pixel Value, Class\n0, sky\n1, road\n"),
    ("labels.txt", "__ignore__\nsky\nroad\n"),
])  # fmt: skip
def test_lists_of_mask_classes_are_read(tmp_path, name, text):
    for i in range(4):
        write_image(tmp_path / "images" / f"{i}.png")
        inside = write_mask(tmp_path / "masks" / f"{i}.png", (0, 1))
    (tmp_path / name).write_text(text)
    collection = read(tmp_path, MASK)
    assert collection.classes == ["sky", "road"]
    assert np.array_equal(collection.splits["train"][0].label(), inside)


def test_a_list_of_only_the_validation_images_defines_the_split(tmp_path):
    for i in range(6):
        write_image(tmp_path / "images" / f"{i}.png")
        write_mask(tmp_path / "labels" / f"{i}_P.png", (0, 1))
    (tmp_path / "valid.txt").write_text("1.png\n4.png\n")
    assert sizes(read(tmp_path, MASK)) == {"train": 4, "val": 2}


def test_yolo_polygons_are_read_as_masks_and_as_boxes(tmp_path):
    for i in range(4):
        write_image(tmp_path / "train" / "images" / f"{i}.png")
        (tmp_path / "train" / "labels").mkdir(exist_ok=True)
        (tmp_path / "train" / "labels" / f"{i}.txt").write_text("1 0.2 0.2 0.6 0.2 0.6 0.6 0.2 0.6\n")
    (tmp_path / "data.yaml").write_text("train: ../train/images\nval: ../valid/images\nnames: [apple, pear]\n")
    masks, boxes = read(tmp_path, MASK), read(tmp_path, BOXES)
    assert masks.classes == ["background", "apple", "pear"] and boxes.classes == ["apple", "pear"]
    mask = masks.splits["train"][0].label()
    assert mask[8, 16] == 2 and mask[0, 0] == 0 and abs((mask == 2).sum() - 16 * 8) < 40
    np.testing.assert_allclose(boxes.splits["train"][0].label.corners, [[0.2, 0.2, 0.6, 0.6]])
