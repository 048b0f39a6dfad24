"""Collections as people organise them are read correctly, with a note about any guess, or refused with advice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data import layouts
from cvlib.data.labels import BOXES, CLASS, MASK, LabelKind
from cvlib.data.layouts import names
from cvlib.runtime.errors import UserError

WIDTH, HEIGHT = 40, 20


def _write_image(file: Path, size=(WIDTH, HEIGHT)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng([*str(file).encode()]).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).save(file)


def _write_mask(file: Path, values=(0, 255), mode: str = "L") -> np.ndarray:
    """Write a mask with a rectangle of the second value, and return where the rectangle is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[4:12, 8:24] = True
    Image.fromarray(np.where(inside, values[1], values[0]).astype(np.uint8)).convert(mode).save(file)
    return inside


def _write_classes(root: Path, *folders: str, count: int = 4) -> None:
    for folder in folders:
        for i in range(count):
            _write_image(root / folder / f"{i}.png")


def _read(root: Path, kind: LabelKind = CLASS, **options):
    return layouts.read(root, None, kind, DataConfig(**options))


def _sizes(collection) -> dict[str, int]:
    return {split: len(samples) for split, samples in collection.splits.items()}


def _labels(collection) -> dict[str, str]:
    return {s.name: collection.classes[s.label] for samples in collection.splits.values() for s in samples}


def _notes(collection) -> str:
    return " · ".join([*collection.notes, *map(str, collection.findings)])


# Names


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


# Splits under other names


@pytest.mark.parametrize(("train", "test"), [
    ("training_data", "testing_data"), ("my_birds_train", "my_birds_test"), ("Train_Images", "Test_Images"),
    ("final_train", "holdout"), ("x_train/x_train", "x_test/x_test"),
])  # fmt: skip
def test_split_folders_are_never_read_as_classes(tmp_path, train, test):
    _write_classes(tmp_path, f"{train}/cat", f"{train}/dog", count=5)
    _write_classes(tmp_path, f"{test}/cat", f"{test}/dog", count=2)
    collection = _read(tmp_path)
    assert collection.classes == ["cat", "dog"] and _sizes(collection) == {"train": 10, "test": 4}
    assert "read as class folders: 2 class folders in" in collection.read_as


def test_images_without_labels_are_set_aside_and_reported(tmp_path):
    _write_classes(tmp_path, "train/cat", "train/dog", "to_predict", "test")
    collection = _read(tmp_path)
    assert collection.classes == ["cat", "dog"] and _sizes(collection) == {"train": 8}
    assert "to_predict: its images are for prediction and have no labels" in _notes(collection)
    assert "test: it has no class folders, so its 4 images without labels are set aside" in _notes(collection)


def test_class_names_in_val_may_differ_in_case_from_train(tmp_path):
    _write_classes(tmp_path, "train/Cat", "train/Dog", "val/cat", "val/dog")
    collection = _read(tmp_path)
    assert collection.classes == ["Cat", "Dog"] and _sizes(collection) == {"train": 8, "val": 8}
    assert "class cat is read as Cat" in _notes(collection)


def test_class_folders_can_contain_the_split_folders(tmp_path):
    for name in ("cat", "dog"):
        _write_classes(tmp_path, f"{name}/train", count=5)
        _write_classes(tmp_path, f"{name}/test", count=2)
    collection = _read(tmp_path)
    assert collection.classes == ["cat", "dog"] and _sizes(collection) == {"train": 10, "test": 4}


def test_a_list_gives_the_classes_of_a_val_folder_without_class_folders(tmp_path):
    _write_classes(tmp_path, "train/n01/images", "train/n02/images", "val/images")
    lines = [f"{i}.png\tn0{1 + i % 2}\t0\t0\t9\t9" for i in range(4)]
    (tmp_path / "val" / "val_annotations.txt").write_text("\n".join(lines))
    collection = _read(tmp_path)
    assert _sizes(collection) == {"train": 8, "val": 4}
    assert _labels(collection)["val/images/1.png"] == "n02"


def test_the_error_for_a_train_folder_without_class_folders_says_what_to_do(tmp_path):
    for i in range(6):
        _write_image(tmp_path / "train" / f"{'cat' if i % 2 else 'dog'}.{i}.jpg")
    _write_classes(tmp_path, "test1")
    with pytest.raises(UserError, match=r"train has no class folders; .* begin with cat, dog: .* into its own folder"):
        _read(tmp_path)


@pytest.mark.parametrize("groups", [
    ("fold1", "fold2"), ("patient_07", "patient_12"), ("2023-01-05", "2023-02-11"), ("8863", "8864"),
])  # fmt: skip
def test_folders_of_folds_or_patients_are_not_read_as_classes(tmp_path, groups):
    for group in groups:
        _write_classes(tmp_path, f"{group}/benign", f"{group}/malignant")
    collection = _read(tmp_path)
    assert collection.classes == ["benign", "malignant"] and _sizes(collection) == {"train": 16}
    assert "look like folds, patients or dates" in _notes(collection)


def test_classes_with_the_same_subfolders_are_reported(tmp_path):
    _write_classes(tmp_path, "cat/indoor", "cat/outdoor", "dog/indoor", "dog/outdoor")
    collection = _read(tmp_path)
    assert collection.classes == ["cat", "dog"] and "are these the classes?" in _notes(collection)


# Tables


def _write_table(
    root: Path, text: str, name: str = "labels.csv", encoding: str = "utf-8", folder: str = "images"
) -> None:
    for i in range(6):
        _write_image(root / folder / f"{i:03}.png")
    (root / name).write_bytes(text.encode(encoding))


def _rows(label, name="{:03}.png", separator=",") -> str:
    return "".join(f"{name.format(i)}{separator}{label(i)}\n" for i in range(6))


@pytest.mark.parametrize(("text", "encoding"), [
    ("file;label\n" + _rows(lambda i: "äö"[i % 2], separator=";"), "cp1252"),
    ("file\tlabel\n" + _rows(lambda i: "äö"[i % 2], separator="\t"), "utf-16"),
    ("sep=;\nfile;label\n" + _rows(lambda i: "äö"[i % 2], separator=";"), "utf-8-sig"),
    ("file|label\n" + _rows(lambda i: "äö"[i % 2], separator="|"), "utf-8"),
    ("Photo,Was\n" + _rows(lambda i: "äö"[i % 2]), "utf-8"),
    ("label,file\n" + "".join(f"{'äö'[i % 2]},C:\\Users\\me\\x\\images\\{i:03}.png\n" for i in range(6)), "utf-8"),
    ("file,label\n" + _rows(lambda i: "äö"[i % 2], "/home/me/x/images/{:03}.png"), "utf-8"),
    ("id,label\n" + _rows(lambda i: "äö"[i % 2], "{}"), "utf-8"),  # a spreadsheet has dropped the leading zeros
    ("image,ä,ö\n" + _rows(lambda i: "1.0,0.0" if i % 2 == 0 else "0.0,1.0"), "utf-8"),
    ("image;ä;ö\n" + _rows(lambda i: "1,0;0,0" if i % 2 == 0 else "0,0;1,0", separator=";"), "utf-8"),
])  # fmt: skip
def test_tables_are_read_as_common_programs_write_them(tmp_path, text, encoding):
    _write_table(tmp_path, text, encoding=encoding)
    for root in (tmp_path, tmp_path / "labels.csv"):
        collection = _read(root)
        expected = {f"images/{i:03}.png": "äö"[i % 2] for i in range(6)}
        assert _labels(collection) == expected and not [f for f in collection.findings if f.severity == "error"]


def test_a_table_takes_precedence_over_the_image_folders_beside_it(tmp_path):
    _write_table(tmp_path, "image_id,label\n" + _rows(lambda i: i % 2, "{:03}"), "train.csv", folder="train_images")
    _write_classes(tmp_path, "test_images")
    (tmp_path / "sample_submission.csv").write_text("image_id,label\n0.png,4\n1.png,4\n")
    (tmp_path / "test.csv").write_text("image_id\n000\n001\n")
    collection = _read(tmp_path)
    assert collection.layout == "csv" and collection.classes == ["0", "1"] and _sizes(collection) == {"train": 6}
    assert "test.csv: it lists 2 images without labels: set aside" in _notes(collection)
    assert {name.split("/")[0] for name in _labels(collection)} == {"train_images"}


def test_integers_written_in_different_ways_are_one_class(tmp_path):
    _write_table(tmp_path, "file,label\n" + _rows(lambda i: ["0", "1", "0.0", "1,0"][i % 4] if i % 4 != 3 else '"1,0"'))
    collection = _read(tmp_path)
    assert collection.classes == ["0", "1"] and "are the same number" in _notes(collection)


@pytest.mark.parametrize("text", [
    "file,a,b,c\n" + _rows(lambda i: f"1,{i % 2},0"),
    "file,tags\n" + _rows(lambda i: "clear primary" if i % 2 else "haze primary"),
    "file,label\n" + _rows(lambda i: ["edema|mass", "edema|nodule", "mass"][i % 3]),
    "file,smiling,young\n" + _rows(lambda i: f"1,{1 if i % 2 else -1}"),
])  # fmt: skip
def test_several_labels_per_image_are_refused_in_one_line(tmp_path, text):
    _write_table(tmp_path, text)
    with pytest.raises(UserError, match="images can have several classes, because") as caught:
        _read(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_label_with_spaces_is_one_class(tmp_path):
    _write_table(tmp_path, "file,label\n" + _rows(lambda i: "golden retriever" if i % 2 else "labrador retriever"))
    assert _read(tmp_path).classes == ["golden retriever", "labrador retriever"]


@pytest.mark.parametrize("text", [
    "filename,width,height,class,xmin,ymin,xmax,ymax\n" + _rows(lambda i: "40,20,cat,4,2,12,10"),
    _rows(lambda i: "4,2,12,10,cat"),
    "image_id,label,bbox\n" + _rows(lambda i: 'cat,"[4.0, 2.0, 8.0, 8.0]"', "{:03}"),
    "image,x,y,w,h,label\n" + _rows(lambda i: "4,2,8,8,cat"),
    "ImageID,LabelName,XMin,XMax,YMin,YMax\n" + _rows(lambda i: "cat,0.1,0.3,0.1,0.5", "{:03}"),
])  # fmt: skip
def test_tables_of_boxes_are_read_for_detection(tmp_path, text):
    _write_table(tmp_path, text, "boxes.csv")
    collection = _read(tmp_path, BOXES)
    assert collection.classes == ["cat"] and collection.layout == "csv"
    dataset = data.load(DataConfig(name="folder", path=str(tmp_path)), 0, BOXES)
    assert all(label.corners.tolist() == [[4, 2, 12, 10]] for label in dataset.train.labels)
    with pytest.raises(UserError, match=r"only for detection \(csv: "):
        _read(tmp_path)


# Annotations beside images


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
            _write_image(image)
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text(XML if ending == "xml" else LINE)
    (tmp_path / "classes.txt").write_text("cat\n")
    collection = _read(tmp_path, BOXES)
    assert collection.layout == {"xml": "voc", "txt": "yolo"}[ending] and collection.classes == ["cat"]
    assert _sizes(collection) == {"train": 4, "val": 2} and all(len(s.label) == 1 for s in collection.splits["val"])
    with pytest.raises(UserError, match="only for detection"):
        _read(tmp_path)


def test_the_obj_data_file_of_darknet_is_read(tmp_path):
    for i in range(4):
        _write_image(tmp_path / "obj_train_data" / f"{i}.PNG")
        (tmp_path / "obj_train_data" / f"{i}.txt").write_text(LINE)
    (tmp_path / "obj.data").write_text(
        "classes = 1\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n"
    )
    (tmp_path / "obj.names").write_text("apple\n")
    (tmp_path / "train.txt").write_text("".join(f"data/obj_train_data/{i}.PNG\n" for i in range(4)))
    collection = _read(tmp_path, BOXES)
    assert collection.classes == ["apple"] and _sizes(collection) == {"train": 4} and collection.findings == []


@pytest.mark.parametrize("written", [
    "..\\..\\media\\upload\\4\\abcdef01-{}.png", "http://host:8080/data/upload/1/abcdef01-{}.png",
    "../up/abcdef01-{}.png",
    "{}.png", "/data/local-files/?d=abcdef01-{}.png",
])  # fmt: skip
def test_coco_file_names_from_other_machines_are_resolved(tmp_path, written):
    for i in range(3):
        _write_image(tmp_path / "images" / f"abcdef01-{i}.png")
    if "?" in written:
        pytest.skip("the file name is in the query of the URL")
    content = {
        "images": [{"id": i, "file_name": written.format(i), "width": WIDTH, "height": HEIGHT} for i in range(3)],
        "annotations": [{"id": i, "image_id": i, "category_id": 0, "bbox": [4, 2, 8, 8]} for i in range(3)],
        "categories": [{"id": 0, "name": "cat"}],
    }
    (tmp_path / "result.json").write_text(json.dumps(content))
    collection = _read(tmp_path, BOXES)
    assert _sizes(collection) == {"train": 3} and not [f for f in collection.findings if f.severity == "error"]


def _write_coco(root: Path, categories: list[dict], used: list[int], **more) -> None:
    _write_image(root / "images" / "0.png")
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
    collection = _read(tmp_path, BOXES)
    assert collection.classes == ["apple"] and "fruit (id 0) is only the supercategory of others" in _notes(collection)
    _write_coco(tmp_path, [group, {"id": 1, "name": "apple", "supercategory": "fruit"}], [1, 0])
    assert _read(tmp_path, BOXES).classes == ["fruit", "apple"]


def test_categories_with_the_same_name_are_one_class(tmp_path):
    _write_coco(
        tmp_path, [{"id": 3, "name": "apple"}, {"id": 5, "name": "apple"}, {"id": 6, "name": "pear"}], [3, 5, 6]
    )
    collection = _read(tmp_path, BOXES)
    assert collection.classes == ["apple", "pear"] and "2 categories have the same name apple" in _notes(collection)
    assert collection.splits["train"][0].label.classes.tolist() == [0, 0, 1]


# Masks


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
        _write_image(tmp_path / image.format(f"car{i}"))
        inside = _write_mask(tmp_path / mask.format(f"car{i}"))
    collection = _read(tmp_path, MASK)
    assert collection.layout == "masks" and _sizes(collection) == {"train": 6}
    assert all(np.array_equal(sample.label(), inside) for sample in collection.splits["train"])
    with pytest.raises(UserError, match=r"(only for segmentation \(masks: |look like|no class folders)"):
        _read(tmp_path)


def test_masks_in_class_folders_are_not_read_as_images(tmp_path):
    for name in ("benign", "malignant"):
        for i in range(4):
            _write_image(tmp_path / name / f"{name} ({i}).png")
            _write_mask(tmp_path / name / f"{name} ({i})_mask.png")
    _write_mask(tmp_path / "benign" / "benign (0)_mask_1.png")
    collection = _read(tmp_path)
    assert collection.classes == ["benign", "malignant"] and _sizes(collection) == {"train": 8}
    assert "masks beside the images that they belong to" in _notes(collection)
    assert _sizes(_read(tmp_path, MASK)) == {"train": 8}


def test_masks_of_label_ids_take_precedence_over_colours_and_instances(tmp_path):
    for split, count in (("train", 3), ("val", 2)):
        for i in range(count):
            stem = f"town/town_{i:06}_000019"
            _write_image(tmp_path / "leftImg8bit" / split / f"{stem}_leftImg8bit.png")
            for ending, values in (("color", (9, 99)), ("instanceIds", (0, 77)), ("labelIds", (0, 26))):
                _write_mask(tmp_path / "gtFine" / split / f"{stem}_gtFine_{ending}.png", values)
    collection = _read(tmp_path, MASK)
    assert collection.classes == ["0", "26"] and _sizes(collection) == {"train": 3, "val": 2}


def test_masks_of_the_field_of_view_are_not_labels(tmp_path):
    for split in ("training", "test"):
        for i in range(3):
            _write_image(tmp_path / split / "images" / f"{i}_{split}.png")
            _write_mask(tmp_path / split / "1st_manual" / f"{i}_manual1.gif", (0, 1))
            _write_mask(tmp_path / split / "mask" / f"{i}_{split}_mask.gif", (1, 0))
    collection = _read(tmp_path, MASK)
    assert _sizes(collection) == {"train": 3, "test": 3}
    assert {sample.label_file.parent.name for sample in collection.splits["test"]} == {"1st_manual"}
    assert "or masks of the camera's field of view" in _notes(collection)


def test_masks_of_single_objects_are_combined_per_image(tmp_path):
    for i in range(4):
        _write_image(tmp_path / f"id{i}" / "images" / f"id{i}.png")
        inside = _write_mask(tmp_path / f"id{i}" / "masks" / "a.png")
        Image.fromarray(np.where(np.roll(inside, 10, 1), 255, 0).astype(np.uint8)).save(tmp_path / f"id{i}/masks/b.png")
    collection = _read(tmp_path, MASK)
    assert _sizes(collection) == {"train": 4}
    assert np.array_equal(collection.splits["train"][0].label(), inside | np.roll(inside, 10, 1))


@pytest.mark.parametrize("form", ["jpeg", "soft", "rgba", "la", "rgb"])
def test_black_and_white_masks_are_read_in_every_form(tmp_path, form):
    for i in range(6):
        _write_image(tmp_path / "images" / f"{i}.png")
        file = tmp_path / "masks" / f"{i}.{'jpg' if form == 'jpeg' else 'png'}"
        inside = _write_mask(file, mode="RGB" if form == "rgb" else "L")
        if form in ("rgba", "la"):  # white on a transparent background; an opaque mask
            grey = np.where(inside, 255, 0).astype(np.uint8)
            white, opaque = np.full_like(grey, 255), np.full_like(grey, 255)
            bands = [white, white, white, grey] if form == "rgba" else [grey, opaque]
            Image.fromarray(np.dstack(bands)).save(file)
        if form == "soft":
            big = Image.fromarray(np.where(inside, 255, 0).astype(np.uint8)).resize((WIDTH * 4, HEIGHT * 4))
            big.rotate(3 + i).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(file)
    collection = _read(tmp_path, MASK)
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
        _write_image(tmp_path / "images" / f"{i}.png")
        inside = _write_mask(tmp_path / "masks" / f"{i}.png", (0, 1))
    (tmp_path / name).write_text(text)
    collection = _read(tmp_path, MASK)
    assert collection.classes == ["sky", "road"]
    assert np.array_equal(collection.splits["train"][0].label(), inside)


def test_a_list_of_only_the_validation_images_defines_the_split(tmp_path):
    for i in range(6):
        _write_image(tmp_path / "images" / f"{i}.png")
        _write_mask(tmp_path / "labels" / f"{i}_P.png", (0, 1))
    (tmp_path / "valid.txt").write_text("1.png\n4.png\n")
    assert _sizes(_read(tmp_path, MASK)) == {"train": 4, "val": 2}


def test_yolo_polygons_are_read_as_masks_and_as_boxes(tmp_path):
    for i in range(4):
        _write_image(tmp_path / "train" / "images" / f"{i}.png")
        (tmp_path / "train" / "labels").mkdir(exist_ok=True)
        (tmp_path / "train" / "labels" / f"{i}.txt").write_text("1 0.2 0.2 0.6 0.2 0.6 0.6 0.2 0.6\n")
    (tmp_path / "data.yaml").write_text("train: ../train/images\nval: ../valid/images\nnames: [apple, pear]\n")
    masks, boxes = _read(tmp_path, MASK), _read(tmp_path, BOXES)
    assert masks.classes == ["background", "apple", "pear"] and boxes.classes == ["apple", "pear"]
    mask = masks.splits["train"][0].label()
    assert mask[8, 16] == 2 and mask[0, 0] == 0 and abs((mask == 2).sum() - 16 * 8) < 40
    np.testing.assert_allclose(boxes.splits["train"][0].label.corners, [[0.2, 0.2, 0.6, 0.6]])


# Poses


@pytest.mark.parametrize("keypoint_line", ["kpt_shape: [2, 3]\n", ""])
def test_the_boxes_of_poses_are_read(tmp_path, keypoint_line):
    for i in range(3):
        _write_image(tmp_path / "images" / f"{i}.png")
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / f"{i}.txt").write_text("0 0.5 0.5 0.2 0.4 0.45 0.5 2 0.5 0.6 0\n")
    (tmp_path / "data.yaml").write_text(f"train: images\n{keypoint_line}names: [person]\n")
    collection = _read(tmp_path, BOXES)
    np.testing.assert_allclose(collection.splits["train"][0].label.corners, [[0.4, 0.3, 0.6, 0.7]])
    assert "keypoints" in _notes(collection)
    with pytest.raises(UserError, match="no labels for segmentation"):
        _read(tmp_path, MASK)


# Guesses that may be wrong


def test_class_names_that_yaml_parses_as_other_types_stay_names(tmp_path):
    _write_image(tmp_path / "images" / "0.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "0.txt").write_text(LINE)
    (tmp_path / "data.yaml").write_text("train: images\nnames: [on, off, no, 1.0, null]\n")
    assert _read(tmp_path, BOXES).classes == ["on", "off", "no", "1.0", "null"]


def test_yolo_boxes_in_pixels_are_refused(tmp_path):
    _write_image(tmp_path / "images" / "0.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "0.txt").write_text("0 20 10 8 4\n")
    with pytest.raises(UserError, match="looks like pixels, but YOLO's numbers are relative"):
        _read(tmp_path, BOXES)


def test_a_val_split_identical_to_train_is_reported(tmp_path):
    for i in range(8):
        _write_image(tmp_path / "images" / f"{i}.png")
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / f"{i}.txt").write_text(LINE)
    (tmp_path / "data.yaml").write_text("train: images\nval: images\nnames: [cat]\n")
    collection = _read(tmp_path, BOXES)
    assert _sizes(collection) == {"train": 8} and "lists the same images as train" in _notes(collection)


# Unsupported formats and unused files


def test_unsupported_image_formats_are_named(tmp_path):
    _write_classes(tmp_path, "cat", "dog")
    for name in ("a.svg", "b.psd"):
        (tmp_path / "cat" / name).write_bytes(b"<svg/>")
    assert "1 .svg file is in an unsupported format (SVG): convert to PNG" in _notes(_read(tmp_path))


def test_a_collection_in_an_unsupported_format_is_refused(tmp_path):
    for name in ("normal", "ill"):
        (tmp_path / name).mkdir()
        for i in range(3):
            (tmp_path / name / f"{i}.dcm").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(UserError, match="DICOM"):
        _read(tmp_path)


@pytest.mark.parametrize(("name", "content", "word"), [
    ("a.tfrecord", b"x", "TFRecord"), ("annotations.ndjson", b'{"data_row": {}}', "JSON lines|Labelbox"),
    ("export.json", b'[{"annotations": [{"from_name": "a", "to_name": "b"}]}]', "Label Studio JSON"),
    ("via.json", b'{"_via_img_metadata": {}}', "VIA"),
])  # fmt: skip
def test_unsupported_annotation_formats_are_named(tmp_path, name, content, word):
    for i in range(3):
        _write_image(tmp_path / "images" / f"{i}.png")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=word) as caught:
        _read(tmp_path, BOXES)
    assert "\n" not in str(caught.value)


def test_files_that_the_layout_does_not_use_are_reported(tmp_path):
    _write_table(tmp_path, "file,label\n" + _rows(lambda i: "ab"[i % 2]))
    _write_classes(tmp_path, "more", count=9)
    assert "9 files are not used by this layout (9 .png), such as more/0.png" in _notes(_read(tmp_path))


def test_an_alternative_layout_that_fits_nearly_as_well_is_reported(tmp_path):
    _write_classes(tmp_path, "train/cat", "train/dog", "test/cat", "test/dog")
    lines = "".join(f"train/{name}/{i}.png,{name}\n" for name in ("cat", "dog") for i in range(4))
    (tmp_path / "labels.csv").write_text("file,label\n" + lines)
    collection = _read(tmp_path)
    assert collection.layout == "folder" and "it could also be a table: labels.csv lists images" in _notes(collection)


# Data for evaluation


def test_data_for_evaluation_needs_no_train_split(tmp_path):
    _write_classes(tmp_path, "test/cat", "test/dog")
    with pytest.raises(UserError, match="no training samples, only test"):
        _read(tmp_path)
    dataset = data.undivided(DataConfig(name="folder", path=str(tmp_path)))
    assert [len(split) for split in dataset.splits.values()] == [0, 0, 8] and dataset.classes == ["cat", "dog"]


def test_data_for_evaluation_may_have_a_single_class(tmp_path):
    _write_classes(tmp_path, "cat")
    with pytest.raises(UserError, match="only one class"):
        _read(tmp_path)
    assert len(data.undivided(DataConfig(name="folder", path=str(tmp_path))).train) == 4


def test_coco_areas_are_kept_with_their_boxes(tmp_path):
    _write_coco(tmp_path, [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}], [1, 2], area=17.5)
    label = _read(tmp_path, BOXES).splits["train"][0].label
    assert label.areas.tolist() == [17.5, 17.5]
