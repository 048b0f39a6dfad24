"""Detection of a collection's layout and of the tasks that it serves, and the errors for other tasks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data import images, layouts
from cvlib.data.labels import BOXES, CLASS, CLASS_SET, KINDS, MASK, named
from cvlib.runtime.errors import UserError

TASKS = ("classification", "detection", "segmentation")
SHARED = Path(__file__).parents[4] / "shared" / "data"


def _write_image(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng([*str(file).encode()]).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(noise).save(file)


def _write_folders(root: Path) -> None:
    for name in ("a", "b"):
        for i in range(6):
            _write_image(root / name / f"{i}.png")


def _write_voc(root: Path) -> None:
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox>"
    (root / "Annotations").mkdir(parents=True)
    for i in range(6):
        _write_image(root / "JPEGImages" / f"{i}.png")
        xml = f"<annotation><object><name>cat</name>{box}</object></annotation>"
        (root / "Annotations" / f"{i}.xml").write_text(xml)


def _write_coco(root: Path) -> None:
    images = [{"id": i, "file_name": f"{i}.png", "width": 8, "height": 8} for i in range(6)]
    objects = [{"id": i, "image_id": i, "category_id": 1, "bbox": [1, 1, 4, 4], "segmentation": [[1, 1, 5, 1, 5, 5]]}
               for i in range(6)]  # fmt: skip
    for i in range(6):
        _write_image(root / "images" / f"{i}.png")
    content = {"images": images, "annotations": objects, "categories": [{"id": 1, "name": "cat"}]}
    (root / "labels.json").write_text(json.dumps(content))


def _write_createml(root: Path) -> None:
    boxes = [{"label": "cat", "coordinates": {"x": 3, "y": 3, "width": 4, "height": 4}}]
    for i in range(6):
        _write_image(root / f"{i}.png")
    (root / "labels.json").write_text(json.dumps([{"image": f"{i}.png", "annotations": boxes} for i in range(6)]))


def _write_yolo(root: Path) -> None:
    (root / "labels").mkdir(parents=True)
    for i in range(6):
        _write_image(root / "images" / f"{i}.png")
        (root / "labels" / f"{i}.txt").write_text("0 0.5 0.5 0.5 0.5")


def _write_masks(root: Path) -> None:
    (root / "masks").mkdir(parents=True)
    for i in range(6):
        _write_image(root / "images" / f"{i}.png")
        Image.fromarray(np.eye(8, dtype=np.uint8)).save(root / "masks" / f"{i}.png")


def _write_table(root: Path) -> None:
    for i in range(6):
        _write_image(root / "pictures" / f"{i}.png")
    lines = "".join(f"pictures/{i}.png,{'ab'[i % 2]}\n" for i in range(6))
    (root / "labels.csv").write_text("file,label\n" + lines)


def _write_lists(root: Path) -> None:
    for i in range(6):
        _write_image(root / "pictures" / f"{i}.png")
    (root / "train.txt").write_text("".join(f"pictures/{i}.png {i % 2}\n" for i in range(6)))
    (root / "classes.txt").write_text("a\nb\n")


def _write_ids_with_boxes(root: Path) -> None:
    for i in range(6):
        _write_image(root / "images" / f"{i}.png")
    for name, rest in (("images", "{i}.png"), ("image_class_labels", "{c}"), ("bounding_boxes", "1.0 1.0 4.0 4.0")):
        text = "".join(f"{i} {rest.format(i=i, c=i % 2 + 1)}\n" for i in range(6))
        (root / f"{name}.txt").write_text(text)


def _write_table_of_boxes(root: Path) -> None:
    _write_table(root)
    lines = "".join(f"pictures/{i}.png,cat,1,1,5,5\n" for i in range(6))
    (root / "labels.csv").write_text("file,label,xmin,ymin,xmax,ymax\n" + lines)


def _write_yolo_polygons(root: Path) -> None:
    _write_yolo(root)
    for file in (root / "labels").iterdir():
        file.write_text("0 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9\n")


MAKERS = {"folder": _write_folders, "voc": _write_voc, "coco": _write_coco, "yolo": _write_yolo, "masks": _write_masks,
          "csv": _write_table, "createml": _write_createml, "list": _write_lists}  # fmt: skip
# Makers for kinds of label that need other files.
MAKERS_FOR_KINDS = {
    ("csv", BOXES): _write_table_of_boxes,
    ("yolo", MASK): _write_yolo_polygons,
    ("list", BOXES): _write_ids_with_boxes,
}
SERVES = {"folder": ["classification"], "csv": ["classification"], "voc": ["detection"], "yolo": ["detection"],
          "coco": ["detection", "segmentation"], "masks": ["segmentation"], "createml": ["detection"],
          "list": ["classification"]}  # fmt: skip


@pytest.mark.parametrize("layout", MAKERS)
def test_the_layout_is_detected_and_named(tmp_path, layout):
    MAKERS[layout](tmp_path)
    assert {kind.subfolder: found for kind, (found, _) in layouts.available(tmp_path).items()} == dict.fromkeys(
        SERVES[layout], layout
    )
    assert layouts.detect(tmp_path) == layout
    for task in SERVES[layout]:
        dataset = data.load(DataConfig(name="folder", path=str(tmp_path)), 0, named(task))
        assert dataset.layout == layout and dataset.task == task
        given = data.load(DataConfig(name="folder", path=str(tmp_path), layout=layout), 0, named(task))
        assert data.fingerprint(given) == data.fingerprint(dataset)
    for task in set(TASKS) - set(SERVES[layout]):
        with pytest.raises(UserError, match=rf"no labels for {task}, only for .*\({layout}: "):
            data.load(DataConfig(name="folder", path=str(tmp_path)), 0, named(task))


@pytest.mark.parametrize(("layout", "kind"), [(name, kind) for name, layout in layouts.LAYOUTS.items()
                                              for kind in layout.kinds])  # fmt: skip
def test_every_layout_reads_an_example_of_every_kind_that_it_declares(tmp_path, layout, kind):
    MAKERS_FOR_KINDS.get((layout, kind), MAKERS[layout])(tmp_path)
    if (layout, kind) == ("voc", MASK):
        (tmp_path / "SegmentationClass").mkdir()
        for image in (tmp_path / "JPEGImages").iterdir():
            Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / "SegmentationClass" / image.name)
    if (layout, kind) == ("csv", CLASS_SET):
        file = tmp_path / "labels.csv"
        file.write_text(file.read_text().replace(",b", ",a|b"))
    collection = layouts.read(tmp_path, layout, kind, DataConfig())
    assert collection.kind == kind and collection.layout == layout and collection.classes
    (samples,) = collection.splits.values()
    assert len(samples) >= 6 and not [finding for finding in collection.findings if finding.severity == "error"]
    for sample in samples:
        settled = kind.settle(sample.label, images.header(sample.image), sample.name)
        assert settled.label is not None and settled.findings == [] and settled.counts
        assert all(label < len(collection.classes) for label in settled.counts)
    assert layouts.detect(tmp_path, kind) == layout
    for other in KINDS:
        if {other, other.made_from} & set(layouts.LAYOUTS[layout].kinds):
            continue
        with pytest.raises(UserError, match=f"not for {other.subfolder}"):
            layouts.read(tmp_path, layout, other, DataConfig())


def test_every_layout_has_an_example():
    assert set(MAKERS) == set(layouts.LAYOUTS)


def test_one_collection_can_have_labels_for_every_task(tmp_path):
    _write_voc(tmp_path)
    _write_folders(tmp_path / "classification")
    _write_masks(tmp_path / "segmentation")
    found = layouts.available(tmp_path)
    assert found == {CLASS: ("folder", tmp_path / "classification"), BOXES: ("voc", tmp_path),
                     MASK: ("masks", tmp_path / "segmentation")}  # fmt: skip
    kinds = [data.load(DataConfig(name="folder", path=str(tmp_path)), 0, named(task)).layout for task in TASKS]
    assert kinds == ["folder", "voc", "masks"]


def test_a_folder_without_labels_is_refused(tmp_path):
    with pytest.raises(UserError, match="no labels for detection found: expected Pascal VOC, COCO, YOLO"):
        data.load(DataConfig(name="folder", path=str(tmp_path)), 0, BOXES)


@pytest.mark.parametrize("layout", ["voc", "yolo", "coco", "createml"])
def test_an_image_has_the_set_of_classes_of_its_boxes(tmp_path, layout):
    MAKERS[layout](tmp_path)
    collection = layouts.read(tmp_path, None, CLASS_SET, DataConfig())
    assert collection.kind == CLASS_SET and collection.layout == layout
    assert [sample.label for sample in collection.splits["train"]] == [{0}] * 6
    with pytest.raises(UserError, match=rf"only for detection \({layout}: .*: choose task=multilabel, a detector"):
        layouts.read(tmp_path, None, CLASS, DataConfig())


@pytest.mark.parametrize("layout", ["voc", "coco", "createml", "masks"])
def test_a_wrong_layout_is_refused_in_one_line(tmp_path, layout):
    _write_folders(tmp_path)
    task = SERVES[layout][-1]
    with pytest.raises(UserError, match=str(tmp_path)) as caught:
        data.load(DataConfig(name="folder", path=str(tmp_path), layout=layout), 0, named(task))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layout", MAKERS)
def test_loading_changes_nothing_in_the_collection(tmp_path, layout):
    MAKERS[layout](tmp_path)
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in tmp_path.rglob("*") if file.is_file()}
    for task in SERVES[layout]:
        data.load(DataConfig(name="folder", path=str(tmp_path)), 0, named(task))
    assert {f: (f.stat().st_mtime_ns, f.read_bytes()) for f in tmp_path.rglob("*") if f.is_file()} == before


@pytest.mark.parametrize(("layout", "task"), [("yolo", "detection"), ("masks", "segmentation")])
def test_fractions_are_nested_for_every_task(tmp_path, layout, task):
    MAKERS[layout](tmp_path)
    names = []
    for fraction in (0.25, 0.5, 1.0):
        dataset = data.load(DataConfig(name="folder", path=str(tmp_path), fraction=fraction), 0, named(task))
        assert len(dataset.train) == len(dataset.train.labels) == round(fraction * 4)
        names.append(set(dataset.train.names))
    assert names[0] < names[1] < names[2]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data isn't available")
def test_the_shared_pets_are_read_for_three_tasks():
    config = DataConfig(name="folder", path=str(SHARED / "pets3"))
    datasets = {task: data.load(config, 0, named(task)) for task in TASKS}
    sizes = {task: [len(split) for split in (d.train, d.val, d.test)] for task, d in datasets.items()}
    assert sizes == {"classification": [240, 60, 298], "detection": [201, 60, 35], "segmentation": [240, 60, 298]}
    assert [d.classes for d in datasets.values()] == [
        ["Abyssinian", "Bengal", "american_bulldog"], ["cat", "dog"], ["background", "cat", "dog"]]  # fmt: skip
    assert datasets["segmentation"].colours.tolist() == [[0, 0, 0], [220, 60, 60], [60, 110, 220]]
    boxes = [label for split in (datasets["detection"].train, datasets["detection"].test) for label in split.labels]
    assert np.bincount(np.concatenate([label.classes for label in boxes])).tolist() == [158, 79]
    assert len({data.fingerprint(dataset) for dataset in datasets.values()}) == 3


def test_a_table_beside_class_folders_is_used_only_if_it_has_labels(tmp_path):
    _write_folders(tmp_path)
    (tmp_path / "sizes.csv").write_text("path,width,height\na/0.png,8,8\nb/0.png,8,8\n")
    assert layouts.detect(tmp_path) == "folder"
    (tmp_path / "sizes.csv").write_text("path,label\na/0.png,x\na/1.png,x\nb/0.png,y\nb/1.png,y\n")
    assert layouts.detect(tmp_path) == "csv"


def test_split_folders_take_precedence_over_a_table(tmp_path):
    for split in ("train", "test"):
        _write_folders(tmp_path / split)
    lines = "".join(f"{split}/{name}/0.png,{name}\n" for split in ("train", "test") for name in "ab")
    (tmp_path / "labels.csv").write_text("file,label\n" + lines)
    assert layouts.detect(tmp_path) == "folder"
    assert len(data.load(DataConfig(name="folder", path=str(tmp_path)), 0).test) == 12


def test_the_original_folders_of_the_pets_dataset_are_read(tmp_path):
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox>"
    for folder in ("trimaps", "xmls"):
        (tmp_path / "annotations" / folder).mkdir(parents=True)
    trimap = np.array([[1, 3, 2, 2, 2, 2, 2, 2]] * 8, np.uint8)
    for i in range(6):
        _write_image(tmp_path / "images" / f"{i}.jpg")
        Image.fromarray(trimap).save(tmp_path / "annotations" / "trimaps" / f"{i}.png")
        xml = f"<annotation><object><name>cat</name>{box}</object></annotation>"
        (tmp_path / "annotations" / "xmls" / f"{i}.xml").write_text(xml)
    assert layouts.available(tmp_path) == {BOXES: ("voc", tmp_path), MASK: ("masks", tmp_path)}
    dataset = data.load(DataConfig(name="pets", path=str(tmp_path)), 0, MASK)
    assert dataset.classes == ["background", "pet"]
    assert dataset.train.labels[0]().tolist() == [[1, 255, 0, 0, 0, 0, 0, 0]] * 8


def test_dots_in_a_path_are_resolved(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert layouts.place(str(tmp_path / "a" / ".." / "b")) == tmp_path / "b"
