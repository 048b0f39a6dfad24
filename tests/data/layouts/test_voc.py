"""Pascal VOC: boxes, lists and masks; errors are reported by file and object."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data import labels, layouts
from cvlib.runtime.errors import UserError

SHARED = Path(__file__).parents[4] / "shared" / "data"


def _object(name="cat", box=(1, 2, 11, 12), difficult=0):
    tags = "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    return f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>{tags}</bndbox></object>"


def _write(root: Path, name: str, *objects: str, size=(30, 20), image=True) -> None:
    (root / "JPEGImages").mkdir(parents=True, exist_ok=True)
    (root / "Annotations").mkdir(exist_ok=True)
    width, height = size
    if image:
        pixels = np.random.default_rng([*name.encode()]).integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(root / "JPEGImages" / f"{name}.png")
    head = f"<filename>{name}.png</filename><size><width>{width}</width><height>{height}</height></size>"
    (root / "Annotations" / f"{name}.xml").write_text(f"<annotation>{head}{''.join(objects)}</annotation>")


def _write_list(root: Path, split: str, *lines: str, kind="Main", end="\n") -> None:
    (root / "ImageSets" / kind).mkdir(parents=True, exist_ok=True)
    (root / "ImageSets" / kind / f"{split}.txt").write_bytes(end.join([*lines, ""]).encode())


def _read(root: Path, task="detection"):
    return layouts.read(root, None, labels.named(task), DataConfig())


def _load(root: Path, task="detection", **options):
    return data.load(DataConfig(name="folder", path=str(root), **options), 0, labels.named(task))


def _findings(collection, severity="error"):
    return [(f.kind, f.path, f.place) for f in collection.findings if f.severity == severity]


def test_boxes_classes_and_the_difficult_flag_are_read(tmp_path):
    _write(tmp_path, "a", _object("dog", (1, 2, 11.5, 12)), _object("cat", (3, 4, 30, 20), 1))
    _write(tmp_path, "b")
    collection = _read(tmp_path)
    assert collection.layout == "voc" and collection.classes == ["cat", "dog"] and collection.findings == []
    first, second = collection.splits["train"]
    assert first.name == "JPEGImages/a.png" and first.label_file == tmp_path / "Annotations" / "a.xml"
    assert first.label.corners.tolist() == [[1, 2, 11.5, 12], [3, 4, 30, 20]]
    assert first.label.classes.tolist() == [1, 0] and first.label.crowd.tolist() == [False, True]
    assert first.label.places == ["object 1 (dog)", "object 2 (cat)"] and first.label.size == (20, 30)
    assert len(second.label) == 0


def test_split_lists_are_kept_and_unlisted_images_are_left_out(tmp_path):
    for name in "abcdef":
        _write(tmp_path, name, _object())
    _write_list(tmp_path, "train", "a", "b  ", "", "c", end="\r\n")
    _write_list(tmp_path, "val", "d 1")
    _write_list(tmp_path, "test", "e")
    _write_list(tmp_path, "trainval", "a", "b", "c", "d")
    dataset = _load(tmp_path)
    names = [[Path(name).stem for name in split.names] for split in (dataset.train, dataset.val, dataset.test)]
    assert names == [["a", "b", "c"], ["d"], ["e"]]
    assert dataset.layout == "voc" and dataset.task == "detection"
    assert dataset.notes == ["JPEGImages/f.png: not in any split list: left out"]


def test_missing_splits_are_stratified_by_the_rarest_class(tmp_path):
    for i in range(20):
        _write(tmp_path, f"{i:02}", _object("cat"), *([_object("dog", (5, 5, 9, 9))] if i < 10 else []))
    dataset = _load(tmp_path, val_fraction=0.2, test_fraction=0.2)
    for split, count in ((dataset.train, 6), (dataset.val, 2), (dataset.test, 2)):
        with_dog = sum(1 in label.classes for label in split.labels)
        assert with_dog == count and len(split) == 2 * count


def test_a_class_list_defines_the_classes_and_an_unknown_class_is_an_error(tmp_path):
    _write(tmp_path, "a", _object("joker"), _object("king"), _object(" ACE "), _object(""))
    (tmp_path / "classes.txt").write_text("king\nace\nqueen\n")
    collection = _read(tmp_path)
    assert collection.classes == ["king", "ace", "queen"]
    assert collection.splits["train"][0].label.classes.tolist() == [0, 1]
    assert _findings(collection) == [("unknown class", "Annotations/a.xml", "object 1 (joker)"),
                                     ("unknown class", "Annotations/a.xml", "object 4")]  # fmt: skip
    assert _findings(collection, "warning") == [("class name", "Annotations/a.xml", "object 3 (ACE)")]


@pytest.mark.parametrize(("content", "reason"), [
    (b"", "it is empty"),
    (b"<annotation><object>", "no element found"),
    (b'<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY c "&b;&b;">]><annotation>&c;</annotation>', "EntitiesForbidden"),
])  # fmt: skip
def test_bad_xml_is_reported(tmp_path, content, reason):
    _write(tmp_path, "a", _object())
    _write(tmp_path, "b", _object())
    (tmp_path / "Annotations" / "b.xml").write_bytes(content)
    collection = _read(tmp_path)
    assert _findings(collection) == [("bad XML", "Annotations/b.xml", "")] and reason in collection.findings[0].message
    assert [sample.name for sample in collection.splits["train"]] == ["JPEGImages/a.png"]


def test_missing_images_and_annotations_are_reported(tmp_path):
    _write(tmp_path, "a", _object())
    _write(tmp_path, "b", _object(), image=False)
    _write(tmp_path, "c", _object())
    (tmp_path / "Annotations" / "c.xml").unlink()
    _write_list(tmp_path, "train", "a", "b", "c", "d", "a")
    collection = _read(tmp_path)
    assert _findings(collection) == [("missing image", "Annotations/b.xml", ""),
                                     ("missing annotation", "JPEGImages/c.png", ""),
                                     ("missing image", "ImageSets/Main/train.txt", "line 4")]  # fmt: skip
    assert _findings(collection, "warning") == [("listed twice", "ImageSets/Main/train.txt", "line 5")]


def test_a_sample_in_two_lists_stays_in_the_held_out_split(tmp_path):
    for name in "abc":
        _write(tmp_path, name, _object())
    _write_list(tmp_path, "train", "a", "b", "c")
    _write_list(tmp_path, "val", "b")
    collection = _read(tmp_path)
    assert _findings(collection) == [("in two splits", "ImageSets/Main/val.txt", "line 1")]
    assert [len(collection.splits[split]) for split in ("train", "val")] == [2, 1]


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_held_out_split_without_a_box_is_noted(tmp_path, split):
    for name in "abcdef":
        _write(tmp_path, name, *([] if name == {"val": "e", "test": "f"}[split] else [_object()]))
    for listed, names in (("train", "abcd"), ("val", "e"), ("test", "f")):
        _write_list(tmp_path, listed, *names)
    assert f"no {split} image has a box, so the {split} mAP is always 0" in _load(tmp_path).notes


def test_errors_stop_the_loading_or_are_skipped_on_request(tmp_path):
    for name in "abcdef":
        _write(tmp_path, name, _object())
    _write(tmp_path, "a", _object(box=(9, 2, 3, 12)), _object(box=(1, 1, 20, 20)))
    _write(tmp_path, "b", _object(box=("x", 2, 3, 12)))
    (tmp_path / "JPEGImages" / "c.png").write_bytes(b"no image")
    with pytest.raises(UserError) as caught:
        _load(tmp_path)
    line = str(caught.value)
    assert "3 errors in the data" in line and "\n" not in line
    assert "Annotations/a.xml, object 1 (cat): the box (9, 2, 3, 12) is invalid" in line
    assert "Annotations/b.xml, object 1 (cat): xmin is 'x', which is not a number" in line
    assert "JPEGImages/c.png: can't be" in line
    dataset = _load(tmp_path, on_error="skip")
    assert dataset.skipped == ["Annotations/b.xml, object 1 (cat)", "Annotations/a.xml, object 1 (cat)",
                               "JPEGImages/c.png"]  # fmt: skip
    boxes = {Path(name).stem: label for split in (dataset.train, dataset.val, dataset.test)
             for name, label in zip(split.names, split.labels, strict=True)}  # fmt: skip
    assert sorted(boxes) == ["a", "b", "d", "e", "f"]
    assert boxes["a"].corners.tolist() == [[1, 1, 20, 20]] and len(boxes["b"]) == 0


def test_choosing_classes_keeps_their_boxes_and_every_image(tmp_path):
    for i, objects in enumerate([("cat", "dog"), ("dog",), ("bird", "cat"), ("dog", "bird")] * 3):
        named = [_object(name, (1 + j, 2, 11 + j, 12)) for j, name in enumerate(objects)]
        _write(tmp_path, f"{i:02}", *named)
    dataset = _load(tmp_path, classes=["dog", "bird"])
    counts = np.zeros(2, int)
    total = 0
    for split in (dataset.train, dataset.val, dataset.test):
        total += len(split)
        for label in split.labels:
            counts += np.bincount(label.classes, minlength=2)
    assert dataset.classes == ["dog", "bird"] and total == 12 and counts.tolist() == [9, 6]


def test_masks_of_the_challenge_are_read(tmp_path):
    for name in "abcd":
        _write(tmp_path, name)
        ids = np.zeros((20, 30), np.uint8)
        ids[2:5, 3:9], ids[2, 3] = 8, 255
        (tmp_path / "SegmentationClass").mkdir(exist_ok=True)
        picture = Image.fromarray(ids, "P")
        picture.putpalette(list(range(256)) * 3)
        picture.save(tmp_path / "SegmentationClass" / f"{name}.png")
    _write_list(tmp_path, "train", "a", "b", kind="Segmentation")
    _write_list(tmp_path, "val", "c", kind="Segmentation")
    _write_list(tmp_path, "test", "d", kind="Segmentation")
    dataset = _load(tmp_path, "segmentation")
    assert dataset.classes[:2] == ["background", "aeroplane"] and dataset.classes[8] == "cat"
    mask = dataset.train.labels[0]()
    assert mask.dtype == np.uint8 and np.bincount(mask.ravel()).nonzero()[0].tolist() == [0, 8, 255]
    assert (mask == 8).sum() == 17
    selected = _load(tmp_path, "segmentation", classes=["background", "dog", "cat"])
    assert (selected.train.labels[0]() == 2).sum() == 17
    assert "no training mask has a pixel of dog" in selected.notes


@pytest.mark.parametrize(("chosen", "expected", "unlearned"), [
    (["background", "cat", "dog"], [0, 1, 2], None),  # new names for ids that count from 0
    (["background", "bicycle", "aeroplane"], [0, 2, 1], None),  # a selection from the challenge's classes
    (["background", "person", "aeroplane"], [0, 2, 0], "person"),
])  # fmt: skip
def test_chosen_classes_name_the_ids_or_select_from_the_challenges_classes(tmp_path, chosen, expected, unlearned):
    (tmp_path / "SegmentationClass").mkdir()
    for name in "abcdef":
        _write(tmp_path, name)
        ids = np.zeros((20, 30), np.uint8)
        ids[2:5], ids[5:9] = 1, 2
        Image.fromarray(ids).save(tmp_path / "SegmentationClass" / f"{name}.png")
    dataset = _load(tmp_path, "segmentation", classes=chosen)
    assert dataset.train.labels[0]()[[0, 2, 5], 0].tolist() == expected
    noted = [note for note in dataset.notes if "no training mask" in note]
    assert noted == ([f"no training mask has a pixel of {unlearned}"] if unlearned else [])


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data isn't available")
def test_real_collections_are_read():
    cards = _load(SHARED / "cards6")
    splits = (cards.train, cards.val, cards.test)
    assert [len(split) for split in splits] == [247, 49, 67] and cards.notes == [] and cards.skipped == []
    counts = [np.bincount(np.concatenate([label.classes for label in split.labels]), minlength=6) for split in splits]
    assert (counts[0] + counts[1]).tolist() == [92, 89, 95, 89, 80, 82]
    assert counts[2].tolist() == [26, 24, 23, 26, 26, 18]
    pets = layouts.available(SHARED / "pets3")
    assert {kind.subfolder: layout for kind, (layout, _) in pets.items()} == {
        "classification": "folder", "detection": "voc", "segmentation": "voc"}  # fmt: skip
    collection = _read(SHARED / "pets3")
    assert collection.classes == ["cat", "dog"]
    assert {finding.kind for finding in collection.findings} <= {"unused images"}  # images of the other tasks
    assert [len(collection.splits[split]) for split in ("train", "val")] == [236, 60]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data isn't available")
def test_the_bad_entries_of_the_messy_collection_are_skipped():
    dataset = _load(SHARED / "messy" / "detection_voc", on_error="skip")
    bad_boxes = [f"Annotations/{name}.xml" for name in (
        "box_text", "box_empty_tag", "box_missing", "class_unknown", "class_empty", "box_fully_outside", "box_swapped",
        "box_zero_area")]  # fmt: skip
    bad_files = ["Annotations/image_missing.xml", "Annotations/xml_truncated.xml", "Annotations/xml_empty.xml",
                 "JPEGImages/xml_missing.jpg", "JPEGImages/image_truncated.jpg", "ImageSets/Main/train.txt",
                 "ImageSets/Main/val.txt"]  # fmt: skip
    assert sorted(name.split(",")[0] for name in dataset.skipped) == sorted(bad_boxes + bad_files)
    boxes = {Path(name).stem: label for split in (dataset.train, dataset.val, dataset.test)
             for name, label in zip(split.names, split.labels, strict=True)}  # fmt: skip
    assert {"xml_bom", "xml_namespace", "name with space é", "no_objects", "size_zero", "size_missing"} <= set(boxes)
    assert len(boxes["no_objects"]) == 0 and boxes["all_difficult"].crowd.all()
