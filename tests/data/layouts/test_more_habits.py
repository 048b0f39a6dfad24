"""Further habits: split names in other languages, published data sets, masks by region, formats that are named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.config.schema import DataConfig
from cvlib.data import layouts
from cvlib.data.labels import BOXES, CLASS, MASK, LabelKind
from cvlib.data.layouts import names
from cvlib.runtime.errors import UserError

SIZE = 8


def _write_images(folder: Path, *stems: str, ending: str = "png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stem in stems:
        noise = np.random.default_rng([*f"{folder}{stem}".encode()]).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{stem}.{ending}")


def _write_masks(folder: Path, *stems: str, ids: int = 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stem in stems:
        Image.fromarray((np.arange(SIZE * SIZE) % ids).astype(np.uint8).reshape(SIZE, SIZE)).save(
            folder / f"{stem}.png"
        )


def _read(root: Path, kind: LabelKind = CLASS):
    return layouts.read(root, None, kind, DataConfig())


def _sizes(collection) -> dict[str, int]:
    return {split: len(samples) for split, samples in collection.splits.items()}


def _notes(collection) -> str:
    return " · ".join([*collection.notes, *map(str, collection.findings)])


@pytest.mark.parametrize(("train", "val", "test"), [
    ("entrenamiento", "validacion", "prueba"), ("Trainingsdaten", "Validierung", "Testdaten"),
    ("entraînement", "validation", "essai"), ("treino", "validação", "teste"), ("训练集", "验证集", "测试集"),
    ("学習データ", "検証", "テスト"), ("обучение", "валидация", "тест"), ("trainset", "valset", "testset"),
    ("traincrop", "valcrop", "testcrop"),
])  # fmt: skip
def test_split_names_of_other_languages_and_joined_words_are_not_classes(tmp_path, train, val, test):
    for split, count in ((train, "1234"), (val, "5"), (test, "67")):
        for name in ("a", "b"):
            _write_images(tmp_path / split / name, *count)
    found = _read(tmp_path)
    assert found.classes == ["a", "b"] and _sizes(found) == {"train": 8, "val": 2, "test": 4}


@pytest.mark.parametrize("name", ["trainer", "trains", "contest", "latest", "testimony", "valley", "device"])
def test_words_that_begin_or_end_like_a_split_are_none(name):
    assert names.split_of(name) is None


def test_a_class_may_have_the_name_of_a_split_among_other_classes(tmp_path):
    for name in ("prova", "gatto", "cane"):
        _write_images(tmp_path / name, *"123")
    assert _read(tmp_path).classes == ["cane", "gatto", "prova"]


def test_splits_with_a_folder_of_tools_beside_them_are_not_classes(tmp_path):
    _write_images(tmp_path / "cars_train" / "cars_train", *"1234")
    _write_images(tmp_path / "cars_test" / "cars_test", *"12")
    (tmp_path / "devkit").mkdir()
    (tmp_path / "devkit" / "cars_train_annos.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    with pytest.raises(UserError, match=r"no labels for classification: devkit/cars_train_annos\.mat is MATLAB"):
        _read(tmp_path)


def test_a_table_of_boxes_gives_the_classes_of_a_test_folder_beside_class_folders(tmp_path):
    header, rows = "Width,Height,Roi.X1,Roi.Y1,Roi.X2,Roi.Y2,ClassId,Path\n", {"Train": "", "Test": ""}
    for number in range(4):
        label = number % 2
        for split, place in (("Train", f"Train/{label}"), ("Test", "Test")):
            _write_images(tmp_path / place, f"img{number}")
            rows[split] += f"0,1,1,1,7,7,{label},{place}/img{number}.png\n"  # 0 and 1 are also classes
    _write_images(tmp_path / "Meta", "0", "1")
    for split, text in rows.items():
        (tmp_path / f"{split}.csv").write_text(header + text)
    (tmp_path / "Meta.csv").write_text("Path,ClassId\nMeta/0.png,0\nMeta/1.png,1\n")
    found = _read(tmp_path)
    assert found.layout == "folder" and found.classes == ["0", "1"] and _sizes(found) == {"train": 4, "test": 4}
    assert [sample.label for sample in found.splits["test"]] == [0, 1, 0, 1]
    assert "Test.csv gives the class of each image in Test" in found.notes


def test_masks_in_a_folder_of_each_class_are_no_images_of_it_but_serve_a_segmenter(tmp_path):
    for name in ("COVID", "Normal"):
        _write_images(tmp_path / name / "images", *"123")
        _write_masks(tmp_path / name / "masks", *"123")
    found = _read(tmp_path)
    assert found.classes == ["COVID", "Normal"] and _sizes(found) == {"train": 6}
    assert all("images" in sample.name for sample in found.splits["train"]) and "3 masks" in _notes(found)
    masks = _read(tmp_path, MASK)
    assert _sizes(masks) == {"train": 6}
    assert all(s.label.path.parents[1] == s.image.parents[1] for s in masks.splits["train"])  # of the same folder


@pytest.mark.parametrize(("image", "mask"), [
    ("{split}/Tile {n}/images/{i}", "{split}/Tile {n}/masks/{i}"),
    ("{split}/{split}/Area{n}/images_png/{i}", "{split}/{split}/Area{n}/labels_png/{i}"),
    ("Task1-2_{split}_Input/{n}{i}", "Task1_{split}_GroundTruth/{n}{i}_segmentation"),
    ("{split}_images/{n}{i}", "{split}_segmentations/{n}{i}"),
    ("{split}/{n}{i}_sat", "{split}/{n}{i}_mask"),
])  # fmt: skip
def test_masks_of_published_sets_are_paired_in_every_split(tmp_path, image, mask):
    for split in ("Train", "Val"):
        for n in "12":
            for i in "34":
                picture, label = (tmp_path / form.format(split=split, n=n, i=i) for form in (image, mask))
                _write_images(picture.parent, picture.name)
                _write_masks(label.parent, label.name)
    found = _read(tmp_path, MASK)
    assert _sizes(found) == {"train": 4, "val": 4} and found.classes == ["0", "1"]


def test_the_first_channel_of_nnunet_is_paired_and_further_channels_are_errors(tmp_path):
    _write_images(tmp_path / "imagesTr", "case_1_0000", "case_2_0000")
    _write_masks(tmp_path / "labelsTr", "case_1", "case_2")
    assert _sizes(_read(tmp_path, MASK)) == {"train": 2}
    _write_images(tmp_path / "imagesTr", "case_1_0001")
    assert "imagesTr/case_1_0001.png" in [f.path for f in _read(tmp_path, MASK).findings if f.severity == "error"]


def test_numbers_of_objects_as_mask_ids_are_reported(tmp_path):
    _write_images(tmp_path / "images", *"1234")
    for stem, ids in zip("1234", (7, 8, 9, 10), strict=True):
        _write_masks(tmp_path / "masks", stem, ids=ids)
    assert "numbers of objects" in _notes(_read(tmp_path, MASK))
    for stem in "1234":
        _write_masks(tmp_path / "masks", stem, ids=10)
    assert "numbers of objects" not in _notes(_read(tmp_path, MASK))


def test_wordnet_ids_are_not_dates(tmp_path):
    for name in ("n01440764", "n02102040"):
        _write_images(tmp_path / name, *"12")
    assert "look like" not in _notes(_read(tmp_path))


def test_class_folders_with_folders_of_their_own_are_reported(tmp_path):
    for place in ("animal/cat", "animal/dog", "vehicle/bus", "vehicle/car"):
        _write_images(tmp_path / place, *"12")
    found = _read(tmp_path)
    assert found.classes == ["animal", "vehicle"]
    assert "hold folders of their own (bus, car, cat, dog)" in _notes(found)


@pytest.mark.parametrize("header", ["Datei;Klasse;Gewicht", "archivo;clase;edad", "文件名;类别;尺寸"])
def test_columns_may_have_names_of_other_languages(tmp_path, header):
    _write_images(tmp_path / "bilder", *"1234")
    (tmp_path / "labels.csv").write_text(header + "\n" + "".join(f"{i}.png;{'ab'[i % 2]};3\n" for i in range(1, 5)))
    found = _read(tmp_path)
    assert found.classes == ["a", "b"] and _sizes(found) == {"train": 4}


def test_lvis_gives_addresses_of_images(tmp_path):
    _write_images(tmp_path / "val2017", "000000000001")
    entry = {"id": 1, "coco_url": "http://images.example/val2017/000000000001.png", "width": SIZE, "height": SIZE}
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 5], "area": 20}
    content = {"images": [entry], "annotations": [box], "categories": [{"id": 1, "name": "can"}]}
    (tmp_path / "lvis.json").write_text(json.dumps(content))
    found = _read(tmp_path, BOXES).splits["train"]
    assert [sample.label.corners.tolist() for sample in found] == [[[1, 1, 5, 6]]]


def test_the_path_of_a_yolo_file_may_name_a_folder_on_another_machine(tmp_path):
    for split, stem in (("train", "1"), ("val", "2")):
        _write_images(tmp_path / "coco8" / "images" / split, stem)
        (tmp_path / "coco8" / "labels" / split).mkdir(parents=True)
        (tmp_path / "coco8" / "labels" / split / f"{stem}.txt").write_text("0 0.5 0.5 0.4 0.4\n")
    file = tmp_path / "coco8.yaml"
    file.write_text("path: ../datasets/coco8\ntrain: images/train\nval: images/val\nnames:\n  0: cat\n")
    assert _sizes(_read(file, BOXES)) == {"train": 1, "val": 1}


@pytest.mark.parametrize(("name", "content", "words"), [
    ("a.json", {"schema_ref": "x", "item": {}, "annotations": []}, "Darwin"),
    ("annotations/default.json", {"categories": {}, "items": [{"annotations": [{"label_id": 0}]}]}, "Datumaro"),
    ("a.json", {"assets": {"1": {"regions": []}}}, "VoTT"),
    ("tasks.json", [{"task_id": "1", "response": {"annotations": []}}], "Scale"),
    ("a.json", [{"name": "1.png", "labels": [{"category": "car", "box2d": {}}]}], "BDD100K"),
    ("labels.json", {"classes": ["a"], "labels": {"1": 0}}, "FiftyOne"),
    ("captions.json", {"images": [], "annotations": [{"image_id": 1, "caption": "a cat"}]}, "captions"),
    ("1.png___objects.json", {"instances": [{"className": "a"}]}, "SuperAnnotate"),
    ("output.manifest", {"source-ref": "s3://b/1.png"}, "SageMaker"),
    ("a.odgt", {"ID": "1"}, "CrowdHuman"),
    ("all.csv", "TRAIN,gs://bucket/9.png,cat,0.1,0.1,,,0.5,0.5,,\n", "AutoML"),
    ("labels.csv", "cat,1,2,5,6,1.png,8,8\n", "MakeSense"),
    ("gt/gt.txt", "1,1,2,3,5,5,1,1,1\n2,1,2,3,5,5,1,1,1\n", "MOT"),
    ("wider_train_bbx_gt.txt", "1.png\n1\n2 3 8 9 0 0 0 0 0 0 \n", "WIDER"),
    ("_annotations.txt", "1.png 1,2,7,7,0 3,3,5,5,1\n", "PyTorch"),
    ("deep/labels.csv", "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n1,x,/m/0,1,0,1,0,1\n", "Open Images"),
    ("1.0.0/a-train.tfrecord-00000-of-00001", "", "TFRecord"),
])  # fmt: skip
def test_further_formats_are_named_in_one_line(tmp_path, name, content, words):
    _write_images(tmp_path / "pictures", "1")
    (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
    (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError, match=words) as caught:
        _read(tmp_path, BOXES)
    assert "\n" not in str(caught.value)


def test_labels_in_a_subfolder_are_pointed_at(tmp_path):
    inner = tmp_path / "export" / "csv"
    _write_images(inner, *"12")
    (inner / "boxes.csv").write_text("image,xmin,ymin,xmax,ymax,label\n1.png,1,1,5,5,cat\n2.png,1,1,5,5,cat\n")
    with pytest.raises(UserError, match=r"did you mean data\.path=.*export/csv \(boxes\.csv lists images"):
        _read(tmp_path, BOXES)


def test_a_folder_without_readable_images_names_their_format(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scan.nii.gz").write_bytes(b"\x1f\x8b\0")
    with pytest.raises(UserError, match=r"no images found; 2 \.gz files .*NIfTI"):
        _read(tmp_path, MASK)


def test_files_that_may_hold_labels_are_named_if_there_is_only_one_class(tmp_path):
    _write_images(tmp_path / "jpg", *"12")
    (tmp_path / "imagelabels.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    with pytest.raises(UserError, match=r"imagelabels\.mat is MATLAB, .*scipy\.io\.loadmat"):
        _read(tmp_path)
