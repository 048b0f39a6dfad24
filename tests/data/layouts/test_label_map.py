"""The meaning of mask values: every form of label file, and masks without a label file."""

from __future__ import annotations

import numpy as np
import pytest
from masks_on_disk import IDS, coloured, read, write_image, write_mask

from cvlib.runtime.errors import UserError


def test_ids_need_not_be_consecutive_and_void_may_have_any_id(tmp_path):
    write_image(tmp_path, "a")
    write_mask(tmp_path, "a", np.array([[7, 30], [4, 255]], np.uint8).repeat(3, 0).repeat(5, 1)[:, :9])
    (tmp_path / "labels.csv").write_text("id;name;colour\n30;road;#010203\n7;car;10 20 30\n4;Void;0 0 0\n")
    collection = read(tmp_path)
    assert collection.classes == ["road", "car"] and collection.colours.tolist() == [[1, 2, 3], [10, 20, 30]]
    mask = collection.splits["train"][0].label()
    assert mask[0, 0] == 1 and mask[0, 8] == 0 and mask[5, 0] == 255 and mask[5, 8] == 255


def test_the_position_in_a_list_of_names_is_the_id(tmp_path):
    write_image(tmp_path, "a")
    write_mask(tmp_path, "a", IDS)
    (tmp_path / "classes.txt").write_text("sky\ncat\ndog\n")
    collection = read(tmp_path)
    assert collection.classes == ["sky", "cat", "dog"] and collection.colours is None
    assert np.array_equal(collection.splits["train"][0].label(), IDS)


@pytest.mark.parametrize(("name", "text"), [
    ("labelmap.txt", "# label:colour:parts:actions\nbackground:0,0,0::\ncat:220,60,60::\ndog:60,110,220::\n"),
    ("class_dict.csv", "name, r, g, b\nbackground, 0, 0, 0\ncat, 220, 60, 60\ndog, 60, 110, 220\n"),
    ("labels.csv", "id,label,rgb\n0,background,#000000\n1,cat,dc3c3c\n2,dog,60 110 220\n"),
])  # fmt: skip
def test_other_forms_of_label_files_are_read(tmp_path, name, text):
    write_image(tmp_path, "a")
    ids = np.where(IDS == 255, 0, IDS)
    write_mask(tmp_path, "a", coloured(ids))
    (tmp_path / name).write_text(text)
    collection = read(tmp_path)
    assert collection.classes == ["background", "cat", "dog"]
    assert np.array_equal(collection.splits["train"][0].label(), ids)


@pytest.mark.parametrize(("text", "words"), [
    ("id,name\none,cat\n", "invalid literal"),
    ("id,name\n0,cat\n1\n", "row 2 has no name"),
    ("id,name,colour\n0,cat,blue\n", "'blue' is not a colour"),
])  # fmt: skip
def test_an_invalid_label_file_is_refused(tmp_path, text, words):
    write_image(tmp_path, "a")
    write_mask(tmp_path, "a", IDS)
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=rf"labels\.csv: a label file needs the columns id,name.*{words}"):
        read(tmp_path)


@pytest.mark.parametrize(("mask", "classes", "expected"), [
    (IDS, ["0", "1", "2"], IDS),
    (np.where(IDS == 1, 255, 0).astype(np.uint8), ["background", "foreground"], IDS == 1),
    (np.where(IDS == 1, 9, 3).astype(np.uint8), ["3", "9"], IDS == 1),
    (np.where((IDS == 1)[..., None], [0, 0, 9], [1, 2, 3]).astype(np.uint8), ["#000009", "#010203"], IDS != 1),
])  # fmt: skip
def test_without_a_label_file_the_values_are_the_classes(tmp_path, mask, classes, expected):
    write_image(tmp_path, "a")
    write_mask(tmp_path, "a", mask)
    collection = read(tmp_path)
    assert collection.classes == classes and collection.notes[0].startswith("no label file")
    assert np.array_equal(collection.splits["train"][0].label(), expected)


def test_photographs_are_not_masks(tmp_path):
    write_image(tmp_path, "a")
    write_mask(tmp_path, "a", np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8))
    with pytest.raises(UserError, match="different values, but there is no label file"):
        read(tmp_path)
