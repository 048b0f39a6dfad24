"""The messy collection, entry by entry: each is named by the check or read right, and no good one is blamed."""

from __future__ import annotations

import csv
import json
import shutil
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from messy_table import AS_WRITTEN, IDS, SOURCE, TABLE, Right
from PIL import Image

from cvlib.config.schema import DataConfig
from cvlib.data import images, labels, layouts
from cvlib.data.check import Report, check
from cvlib.data.labels import raw_boxes as boxes

SHARED = next((folder / "shared" / "data" for folder in Path(__file__).parents[3:5] if (folder / "shared").is_dir()),
              Path("shared/data"))  # fmt: skip
pytestmark = pytest.mark.skipif(not (SHARED / "messy").is_dir(), reason="the shared messy collection isn't here")


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _manifest() -> list[dict[str, str]]:
    if not (SHARED / "messy").is_dir():
        return []
    with (SHARED / "messy" / "MANIFEST.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


ENTRIES = {row["path"]: row for row in _manifest()}
BAD = [path for path, row in ENTRIES.items() if row["kind"] != "good"]


def _verdict(path: str) -> str | tuple[str, str] | Right:
    folder, _, inner = path.partition("/")
    return {_nfc(key): value for key, value in TABLE[folder].items()}[_nfc(inner)]


@pytest.fixture(scope="module")
def messy(tmp_path_factory) -> Path:
    copy = tmp_path_factory.mktemp("messy") / "messy"
    shutil.copytree(SHARED / "messy", copy)
    (copy / "classification" / "train" / "empty_class").mkdir(exist_ok=True)
    return copy


@pytest.fixture(scope="module")
def reports(messy) -> dict[str, Report]:
    return {folder: check(str(messy / folder), workers=1) for folder in TABLE}


def test_the_table_has_every_entry_and_no_other():
    listed = {_nfc(f"{folder}/{inner}") for folder, table in TABLE.items() for inner in table}
    assert listed == {_nfc(path) for path in BAD}
    assert len(ENTRIES) == 204


@pytest.mark.parametrize("path", [path for path in BAD if not isinstance(_verdict(path), Right)])
def test_what_is_bad_is_named(path, reports):
    folder, _, inner = path.partition("/")
    verdict = _verdict(path)
    kind, named = verdict if isinstance(verdict, tuple) else (verdict, inner)
    assert (kind, _nfc(named)) in {(finding.kind, _nfc(finding.path)) for finding in reports[folder].findings}


def test_no_good_entry_is_blamed(reports):
    good = {_nfc(path) for path, row in ENTRIES.items() if row["kind"] == "good"}
    blamed = {_nfc(f"{folder}/{finding.path}") for folder, report in reports.items() for finding in report.findings}
    assert len(good) == 59
    assert good & blamed == set()


def test_the_photographs_under_good_annotations_arent_blamed(reports):
    for path, row in ENTRIES.items():
        if row["kind"] == "good" and path.endswith((".xml", ".png")):
            stem = Path(path).stem
            named = [f for f in reports[path.split("/")[0]].findings if Path(f.path).stem == stem]
            assert named == []


def test_a_run_would_be_spoiled_by_each_folder_but_not_by_each_entry(reports):
    assert all(report.spoiled for report in reports.values())
    remarks = {f.path for f in reports["classification"].findings if f.severity == "remark"}
    assert {"train/hat/cmyk.jpg", "train/hat/png_named.jpg", "train/hat/.DS_Store"} <= remarks


def test_nothing_is_changed(messy, reports):
    was = {p.relative_to(SHARED / "messy"): p.read_bytes() for p in (SHARED / "messy").rglob("*") if p.is_file()}
    assert {p.relative_to(messy): p.read_bytes() for p in messy.rglob("*") if p.is_file()} == was


# Read right: each kind of comparison, with what the readers make of the files.


def _samples(root: Path, task: str) -> dict[str, tuple[str, layouts.collection.Sample]]:
    """By the image's name: its split and sample."""
    collection = _read(root, task)
    return {s.name: (split, s) for split, samples in collection.splits.items() for s in samples}


def _read(root: Path, task: str) -> layouts.Collection:
    return layouts.read(root, None, labels.named(task), DataConfig(name="folder", path=str(root)))


def _entries(folder: str, how: Right | None = None) -> list[str]:
    return [path for path in BAD if path.startswith(f"{folder}/") and (
        isinstance(_verdict(path), Right) if how is None else _verdict(path) == how)]  # fmt: skip


@pytest.mark.parametrize("path", _entries("classification"))
def test_photographs_read_right(path, messy):
    collection = _read(messy / "classification", "classification")
    by_name = {s.name: (split, s) for split, samples in collection.splits.items() for s in samples}
    inner = path.partition("/")[2]
    split, sample = by_name[_nfc(inner)]
    assert (split, collection.classes[sample.label]) == ("train", _nfc(inner.split("/")[1]))
    with Image.open(SHARED / ENTRIES[path]["derived_from"]) as source:
        wanted = np.asarray(source.convert("L" if "gray" in inner else "RGB"), np.int64)
    read = images.read_image(sample.image, 1 if "gray" in inner else 3)
    read = read[..., 0] if "gray" in inner else read
    assert read.shape == wanted.shape
    lossy = {"one_frame.gif": 25, "webp_image.webp": 4, "gray.jpg": 2, "progressive.jpeg": 1}
    assert np.abs(read.astype(np.int64) - wanted).mean() <= lossy.get(Path(path).name, 0)


def _boxes(sample, root: Path) -> list[list[float]]:
    settled, _ = boxes.settle(sample.label, images.header(sample.image), sample.name)
    return [[*corners, float(label)] for corners, label in zip(settled.corners.tolist(), settled.classes, strict=True)]


@pytest.mark.parametrize("path", _entries("detection_voc", AS_WRITTEN))
def test_voc_boxes_read_as_written(path, messy):
    root = messy / "detection_voc"
    names = (root / "classes.txt").read_text().split()
    tree = ElementTree.fromstring((messy / path).read_bytes())
    wanted = [[float(o.findtext(f"bndbox/{tag}")) for tag in ("xmin", "ymin", "xmax", "ymax")]
              + [float(names.index(o.findtext("name").strip()))] for o in tree.iter("object")]  # fmt: skip
    _, sample = _samples(root, "detection")[_nfc(f"JPEGImages/{Path(path).stem}.jpg")]
    np.testing.assert_allclose(np.reshape(_boxes(sample, root), (-1, 5)), np.reshape(wanted, (-1, 5)), atol=1e-4)


def test_an_image_that_lies_keeps_its_boxes(messy):
    """The XML is that of the upright photograph in cards6; the JPEG of it was stored lying."""
    _, sample = _samples(messy / "detection_voc", "detection")["JPEGImages/exif_rotated.jpg"]
    stem = Path(ENTRIES["detection_voc/Annotations/exif_rotated.xml"]["derived_from"]).name
    tree = ElementTree.parse(SHARED / "cards6" / "Annotations" / f"{stem}.xml")
    wanted = [[float(box.findtext(tag)) for tag in ("xmin", "ymin", "xmax", "ymax")] for box in tree.iter("bndbox")]
    assert [box[:4] for box in _boxes(sample, messy)] == wanted
    with Image.open(SHARED / "cards6" / "JPEGImages" / f"{stem}.jpg") as source:
        upright = np.asarray(source.convert("RGB"), np.int64)
    assert np.abs(images.read_image(sample.image, 3).astype(np.int64) - upright).mean() < 3


@pytest.mark.parametrize("path", _entries("detection_coco"))
def test_coco_boxes_read_as_written(path, messy):
    content = json.loads((messy / path).read_text())
    names = {entry["id"]: entry["name"] for entry in content["categories"]}
    files = {entry["id"]: Path(entry["file_name"]).name for entry in content["images"]}
    wanted: dict[str, list] = {name: [] for name in files.values()}
    for one in content["annotations"]:
        x, y, width, height = one["bbox"]
        wanted[files[one["image_id"]]].append(([x, y, x + width, y + height], names[one["category_id"]],
                                               bool(one.get("iscrowd"))))  # fmt: skip
    collection = _read(messy / path, "detection")
    read = {
        sample.image.name: [
            (corners.tolist(), collection.classes[label], bool(crowd))
            for corners, label, crowd in zip(
                sample.label.corners, sample.label.classes, sample.label.crowd, strict=True
            )
        ]
        for sample in collection.splits["train"]
    }
    assert len(read) == 6
    assert read == wanted
    crowds = sum(crowd for found in read.values() for *_, crowd in found)
    assert crowds == (1 if "iscrowd" in path else 0)
    assert (sum(map(len, read.values())) == 0) == ("no_annotations" in path)


def test_an_empty_yolo_file_is_an_image_without_boxes(messy):
    samples = _samples(messy / "detection_yolo", "detection")
    assert _boxes(samples["images/train/train_cam_image52.jpg"][1], messy) == []
    assert len(_boxes(samples["images/train/train_cam_image44.jpg"][1], messy)) == 4


def _mask_of(name: str, messy: Path) -> tuple[np.ndarray, np.ndarray]:
    """What the reader makes of a mask, and the ids of the one that it was made from."""
    samples = {s.label_file.name: s for _, s in _samples(messy / "segmentation", "segmentation").values()}
    source = Path(ENTRIES[f"segmentation/masks/{name}"]["derived_from"]).name
    with Image.open(SHARED / "pets3" / "SegmentationClass" / f"{source}.png") as image:
        return samples[name].label(), np.asarray(image)


@pytest.mark.parametrize("path", [*_entries("segmentation", IDS), "masks/mask_palette_permuted.png",
                                  "masks/exif_rotated.png", "masks/image_cmyk.png"])  # fmt: skip
def test_masks_read_as_the_ids_they_mean(path, messy):
    read, wanted = _mask_of(Path(path).name, messy)
    assert np.array_equal(read, wanted)


def test_masks_of_one_bit_and_of_background(messy):
    read, wanted = _mask_of("mask_1bit.png", messy)
    assert set(np.unique(read)) == {0, 1}
    assert np.array_equal(read == 1, wanted == 1)
    read, wanted = _mask_of("mask_all_background.png", messy)
    assert read.shape == wanted.shape
    assert not read.any()


@pytest.mark.parametrize("name", ["exif_rotated", "image_cmyk", "image_grey"])
def test_images_under_masks_read_right(name, messy):
    source = Path(ENTRIES[f"segmentation/masks/{name}.png"]["derived_from"]).name
    grey = name == "image_grey"
    with Image.open(SHARED / "pets3" / "JPEGImages" / f"{source}.jpg") as image:
        wanted = np.asarray(image.convert("L" if grey else "RGB"), np.int64)
    read = images.read_image(messy / "segmentation" / "images" / f"{name}.jpg", 1 if grey else 3).squeeze()
    assert np.abs(read.astype(np.int64) - wanted).mean() < 5  # JPEG encoded twice


def test_every_comparison_is_made_by_some_test():
    """No entry is called right without one of the tests above looking at it."""
    by_folder = {folder: {v.how for v in table.values() if isinstance(v, Right)} for folder, table in TABLE.items()}
    assert SOURCE.how in by_folder["classification"]
    assert by_folder["detection_voc"] == {AS_WRITTEN.how}
    assert by_folder["detection_yolo"] == {"an image without boxes"}
    others = {"zeros", "the cat's pixels of the mask it was made from"}
    assert by_folder["segmentation"] == {IDS.how, *others}
