"""Text files that list images and classes, as published collections have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvlib.data.labels import BOXES, CLASS
from cvlib.runtime.errors import UserError
from tests.data.layouts.habits_on_disk import labels, notes, read, sizes, write_image


def _write(root: Path, pictures: list[str], /, **texts: str) -> None:
    for picture in pictures:
        write_image(root / picture, (8, 6))
    for name, text in texts.items():
        file = root / f"{name.replace('__', '/')}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


FLAT = [f"imgs/{i}.png" for i in range(6)]
OF_TRAIN, OF_VAL = range(4), range(4, 6)


def _lines(form: str, numbers: range = range(6)) -> str:
    return "".join(form.format(i=i, c=i % 2, n=["cat", "dog"][i % 2], one=i % 2 + 1) + "\n" for i in numbers)


@pytest.mark.parametrize(("train", "val", "named", "classes"), [
    ("imgs/{i}.png {c}", "imgs/{i}.png {c}", {"classes": "cat\ndog\n"}, ["cat", "dog"]),
    ("{i}.png\t{c}", "{i}.png\t{c}", {"label_list": "0 big cat\n1 dog\n"}, ["big cat", "dog"]),
    ("/old/place/imgs/{i}.png,{one}", "/old/{i}.png,{one}", {"categories": "cat 1\ndog 2\n"}, ["cat", "dog"]),
    ("imgs/{i}.png {one}", "imgs/{i}.png {one}", {"synsets": "cat\ndog\n"}, ["cat", "dog"]),
    ("imgs/{i}.png {n}", "imgs/{i}.png {n}", {}, ["cat", "dog"]),
    ("imgs/{i}.png {c}", "imgs/{i}.png {c}", {}, ["0", "1"]),
])  # fmt: skip
def test_lists_of_images_and_classes_are_read_with_their_names(tmp_path, train, val, named, classes):
    _write(tmp_path, FLAT, train_list=_lines(train, OF_TRAIN), meta__val=_lines(val, OF_VAL), **named)
    found = read(tmp_path)
    assert found.layout == "list" and found.classes == classes and sizes(found) == {"train": 4, "val": 2}
    assert [sample.label for sample in found.splits["val"]] == [0, 1] and "read as text lists" in found.read_as
    alone = read(tmp_path / "train_list.txt")
    assert sizes(alone) == {"train": 4} and alone.classes == classes


def test_the_classes_of_food_101_are_the_folders_in_its_lists(tmp_path):
    _write(tmp_path, [f"images/{name}/{i}.png" for name in ("pie", "ramen") for i in range(3)],
           meta__train="pie/0\npie/1\nramen/0\n", meta__test="pie/2\nramen/2\n",
           meta__labels="Pie\nRamen\n")  # fmt: skip
    found = read(tmp_path)
    assert found.classes == ["pie", "ramen"] and sizes(found) == {"train": 3, "test": 2}
    assert "1 image beside listed ones, such as images/ramen/1.png, not in any list" in notes(found)


def test_the_classes_of_oxford_pets_are_named_by_the_images(tmp_path):
    names = [f"{name}_{i}" for name in ("Birman", "great_pyrenees") for i in (1, 2)]
    lines = [f"{name} {1 + name.startswith('g')} 1 1" for name in names]
    _write(tmp_path, [f"images/{name}.png" for name in names], annotations__trainval="\n".join(lines),
           annotations__list="#Image CLASS-ID SPECIES BREED\n" + "\n".join(lines))  # fmt: skip
    assert labels(read(tmp_path)) == {f"images/{name}.png": name[:-2] for name in names}


def test_the_files_of_cub_200_share_ids(tmp_path):
    _write(tmp_path, [f"images/00{1 + i % 2}.Bird{i % 2}/{i}.png" for i in range(4)],
           images="".join(f"{i + 10} 00{1 + i % 2}.Bird{i % 2}/{i}.png\n" for i in range(4)),
           image_class_labels="".join(f"{i + 10} {1 + i % 2}\n" for i in range(4)),
           train_test_split="".join(f"{i + 10} {int(i < 2)}\n" for i in range(4)),
           bounding_boxes="".join(f"{i + 10} {i}.0 1.0 4.0 3.0\n" for i in range(4)),
           classes="1 001.Bird0\n2 002.Bird1\n")  # fmt: skip
    found, boxes = read(tmp_path), read(tmp_path, BOXES)
    assert found.classes == ["001.Bird0", "002.Bird1"] and sizes(found) == sizes(boxes) == {"train": 2, "test": 2}
    assert [sample.label.corners.tolist() for sample in boxes.splits["test"]] == [[[2, 1, 6, 4]], [[3, 1, 7, 4]]]
    assert [sample.label.classes.tolist() for sample in boxes.splits["test"]] == [[0], [1]]


def test_numbered_lists_are_folds_of_which_the_first_is_read(tmp_path):
    images = [f"images/{name}/{name}_{i}.png" for name in ("banded", "dotted") for i in range(3)]
    text = {f"labels__{split}{k}": f"banded/banded_{i}.png\ndotted/dotted_{i}.png\n"
            for k in (1, 2) for split, i in (("train", k - 1), ("test", 2))}  # fmt: skip
    _write(tmp_path, images, **text)
    found = read(tmp_path)
    assert sorted(sample.image.stem for sample in found.splits["train"]) == ["banded_0", "dotted_0"]
    assert "train1.txt is read, and other lists are not: train2.txt" in notes(found)


def test_lists_with_other_classes_for_the_same_images_are_refused(tmp_path):
    _write(tmp_path, FLAT, images_family_train=_lines("{i} {n}"), images_variant_train=_lines("{i} {n} {c}x"))
    with pytest.raises(UserError, match=r"several lists give classes for train \(images_family_train\.txt, images_var"):
        read(tmp_path)


@pytest.mark.parametrize(("name", "line"), [
    ("train", "imgs/{i}.png imgs/{i}.png"),  # masks
    ("train", "imgs/{i}.png 1,2,5,5,{c}"),  # boxes
    ("gt", "{i}.png;1;2;5;5;{c}"),
    ("cat_train", "{i}  -1"),  # flags of Pascal VOC
    ("list_eval_partition", "{i}.png {c}"),  # splits of CelebA
    ("train", "{i}.png {i}"),  # the numbers of the lines
    ("train", "imgs/{i}.png"),  # no class
    ("classes", "{i} {n}"),  # the numbers of classes, not of images
])  # fmt: skip
def test_lists_of_something_else_are_not_classes(tmp_path, name, line):
    _write(tmp_path, FLAT, **{name: _lines(line)})
    with pytest.raises(UserError):
        read(tmp_path, CLASS)


def test_numbers_in_a_list_for_val_are_positions_of_the_class_folders(tmp_path):
    _write(tmp_path, ["train/n02/0.png", "train/n01/0.png", "val/7.png", "val/8.png"], val="7.png 1\n8.png 0\n")
    found = read(tmp_path)
    assert labels(found)["val/7.png"] == "n02" and labels(found)["val/8.png"] == "n01"
    assert "read as positions of the class folders in alphabetical order: 0 is n01" in notes(found)
