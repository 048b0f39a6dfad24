"""Every bad entry of the messy collection is reported or read correctly, and no good entry is reported."""

from __future__ import annotations

import csv
import json
import shutil
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from messy_table import AS_WRITTEN, IDS, SOURCE, TABLE, ReadCorrectly
from PIL import Image

from cvlib.config.schema import DataConfig
from cvlib.data import images, labels, layouts
from cvlib.data.check import Report, check
from cvlib.data.labels import raw_boxes as boxes

SHARED = next((folder / "shared" / "data" for folder in Path(__file__).parents[3:5] if (folder / "shared").is_dir()),
              Path("shared/data"))  # fmt: skip
pytestmark = pytest.mark.skipif(not (SHARED / "messy").is_dir(), reason="the shared messy collection isn't available")


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _manifest() -> list[dict[str, str]]:
    if not (SHARED / "messy").is_dir():
        return []
    with (SHARED / "messy" / "MANIFEST.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


ENTRIES = {row["path"]: row for row in _manifest()}
BAD = [path for path, row in ENTRIES.items() if row["kind"] != "good"]


def _expected_result(path: str) -> str | tuple[str, str] | ReadCorrectly:
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


def test_the_table_lists_exactly_the_bad_entries():
    listed = {_nfc(f"{folder}/{inner}") for folder, table in TABLE.items() for inner in table}
    assert listed == {_nfc(path) for path in BAD}
    assert len(ENTRIES) == 204


@pytest.mark.parametrize("path", [path for path in BAD if not isinstance(_expected_result(path), ReadCorrectly)])
def test_bad_entries_are_reported(path, reports):
    folder, _, inner = path.partition("/")
    expected = _expected_result(path)
    kind, named = expected if isinstance(expected, tuple) else (expected, inner)
    assert (kind, _nfc(named)) in {(finding.kind, _nfc(finding.path)) for finding in reports[folder].findings}


def test_no_good_entry_is_reported(reports):
    good = {_nfc(path) for path, row in ENTRIES.items() if row["kind"] == "good"}
    reported = {_nfc(f"{folder}/{finding.path}") for folder, report in reports.items() for finding in report.findings}
    assert len(good) == 59
    assert good & reported == set()


def test_the_images_of_good_annotations_are_not_reported(reports):
    for path, row in ENTRIES.items():
        if row["kind"] == "good" and path.endswith((".xml", ".png")):
            stem = Path(path).stem
            named = [f for f in reports[path.split("/")[0]].findings if Path(f.path).stem == stem]
            assert named == []


def test_each_folder_would_spoil_a_run_but_some_entries_give_only_remarks(reports):
    assert all(report.spoiled for report in reports.values())
    remarks = {f.path for f in reports["classification"].findings if f.severity == "remark"}
    assert {"train/hat/cmyk.jpg", "train/hat/png_named.jpg", "train/hat/.DS_Store"} <= remarks


def test_the_check_changes_no_file(messy, reports):
    before = {p.relative_to(SHARED / "messy"): p.read_bytes() for p in (SHARED / "messy").rglob("*") if p.is_file()}
    assert {p.relative_to(messy): p.read_bytes() for p in messy.rglob("*") if p.is_file()} == before


# Entries that are read correctly: a test for each kind of comparison.


def _samples(root: Path, task: str) -> dict[str, tuple[str, layouts.collection.Sample]]:
    """Return the split and the sample of each image by its name."""
    collection = _read(root, task)
    return {s.name: (split, s) for split, samples in collection.splits.items() for s in samples}


def _read(root: Path, task: str) -> layouts.Collection:
    return layouts.read(root, None, labels.named(task), DataConfig(name="folder", path=str(root)))


def _entries(folder: str, how: ReadCorrectly | None = None) -> list[str]:
    return [path for path in BAD if path.startswith(f"{folder}/") and (
        _expected_result(path) == how if how else isinstance(_expected_result(path), ReadCorrectly))]  # fmt: skip


@pytest.mark.parametrize("path", _entries("classification"))
def test_photographs_are_read_correctly(path, messy):
    collection = _read(messy / "classification", "classification")
    by_name = {s.name: (split, s) for split, samples in collection.splits.items() for s in samples}
    inner = path.partition("/")[2]
    split, sample = by_name[_nfc(inner)]
    assert (split, collection.classes[sample.label]) == ("train", _nfc(inner.split("/")[1]))
    with Image.open(SHARED / ENTRIES[path]["derived_from"]) as source:
        expected = np.asarray(source.convert("L" if "gray" in inner else "RGB"), np.int64)
    read = images.read_image(sample.image, 1 if "gray" in inner else 3)
    read = read[..., 0] if "gray" in inner else read
    assert read.shape == expected.shape
    lossy = {"one_frame.gif": 25, "webp_image.webp": 4, "gray.jpg": 2, "progressive.jpeg": 1}
    assert np.abs(read.astype(np.int64) - expected).mean() <= lossy.get(Path(path).name, 0)


def _boxes(sample, root: Path) -> list[list[float]]:
    settled, _ = boxes.settle(sample.label, images.header(sample.image), sample.name)
    return [[*corners, float(label)] for corners, label in zip(settled.corners.tolist(), settled.classes, strict=True)]


@pytest.mark.parametrize("path", _entries("detection_voc", AS_WRITTEN))
def test_voc_boxes_are_read_as_written(path, messy):
    root = messy / "detection_voc"
    names = (root / "classes.txt").read_text().split()
    tree = ElementTree.fromstring((messy / path).read_bytes())
    expected = [[float(o.findtext(f"bndbox/{tag}")) for tag in ("xmin", "ymin", "xmax", "ymax")]
                + [float(names.index(o.findtext("name").strip()))] for o in tree.iter("object")]  # fmt: skip
    _, sample = _samples(root, "detection")[_nfc(f"JPEGImages/{Path(path).stem}.jpg")]
    np.testing.assert_allclose(np.reshape(_boxes(sample, root), (-1, 5)), np.reshape(expected, (-1, 5)), atol=1e-4)


def test_the_boxes_of_a_rotated_image_are_kept(messy):
    """The XML describes the upright photograph in cards6, but the JPEG was stored rotated."""
    _, sample = _samples(messy / "detection_voc", "detection")["JPEGImages/exif_rotated.jpg"]
    stem = Path(ENTRIES["detection_voc/Annotations/exif_rotated.xml"]["derived_from"]).name
    tree = ElementTree.parse(SHARED / "cards6" / "Annotations" / f"{stem}.xml")
    expected = [[float(box.findtext(tag)) for tag in ("xmin", "ymin", "xmax", "ymax")] for box in tree.iter("bndbox")]
    assert [box[:4] for box in _boxes(sample, messy)] == expected
    with Image.open(SHARED / "cards6" / "JPEGImages" / f"{stem}.jpg") as source:
        upright = np.asarray(source.convert("RGB"), np.int64)
    assert np.abs(images.read_image(sample.image, 3).astype(np.int64) - upright).mean() < 3


@pytest.mark.parametrize("path", _entries("detection_coco"))
def test_coco_boxes_are_read_as_written(path, messy):
    content = json.loads((messy / path).read_text())
    names = {entry["id"]: entry["name"] for entry in content["categories"]}
    files = {entry["id"]: Path(entry["file_name"]).name for entry in content["images"]}
    expected: dict[str, list] = {name: [] for name in files.values()}
    for annotation in content["annotations"]:
        x, y, width, height = annotation["bbox"]
        box = ([x, y, x + width, y + height], names[annotation["category_id"]], bool(annotation.get("iscrowd")))
        expected[files[annotation["image_id"]]].append(box)
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
    assert read == expected
    crowds = sum(crowd for found in read.values() for *_, crowd in found)
    assert crowds == (1 if "iscrowd" in path else 0)
    assert (sum(map(len, read.values())) == 0) == ("no_annotations" in path)


def test_an_empty_yolo_file_is_an_image_without_boxes(messy):
    samples = _samples(messy / "detection_yolo", "detection")
    assert _boxes(samples["images/train/train_cam_image52.jpg"][1], messy) == []
    assert len(_boxes(samples["images/train/train_cam_image44.jpg"][1], messy)) == 4


def _read_mask(name: str, messy: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids that cvlib reads from a mask, and those of the original mask."""
    samples = {s.label_file.name: s for _, s in _samples(messy / "segmentation", "segmentation").values()}
    source = Path(ENTRIES[f"segmentation/masks/{name}"]["derived_from"]).name
    with Image.open(SHARED / "pets3" / "SegmentationClass" / f"{source}.png") as image:
        return samples[name].label(), np.asarray(image)


@pytest.mark.parametrize("path", [*_entries("segmentation", IDS), "masks/mask_palette_permuted.png",
                                  "masks/exif_rotated.png", "masks/image_cmyk.png"])  # fmt: skip
def test_masks_are_read_as_the_original_ids(path, messy):
    read, expected = _read_mask(Path(path).name, messy)
    assert np.array_equal(read, expected)


def test_bilevel_and_background_masks_are_read_correctly(messy):
    read, expected = _read_mask("mask_1bit.png", messy)
    assert set(np.unique(read)) == {0, 1}
    assert np.array_equal(read == 1, expected == 1)
    read, expected = _read_mask("mask_all_background.png", messy)
    assert read.shape == expected.shape
    assert not read.any()


@pytest.mark.parametrize("name", ["exif_rotated", "image_cmyk", "image_grey"])
def test_the_images_of_masks_are_read_correctly(name, messy):
    source = Path(ENTRIES[f"segmentation/masks/{name}.png"]["derived_from"]).name
    grey = name == "image_grey"
    with Image.open(SHARED / "pets3" / "JPEGImages" / f"{source}.jpg") as image:
        expected = np.asarray(image.convert("L" if grey else "RGB"), np.int64)
    read = images.read_image(messy / "segmentation" / "images" / f"{name}.jpg", 1 if grey else 3).squeeze()
    assert np.abs(read.astype(np.int64) - expected).mean() < 5  # JPEG encoded twice


def test_every_comparison_is_covered_by_a_test():
    """Every entry that should be read correctly is covered by one of the tests above."""
    by_folder = {
        folder: {v.how for v in table.values() if isinstance(v, ReadCorrectly)} for folder, table in TABLE.items()
    }
    assert SOURCE.how in by_folder["classification"]
    assert by_folder["detection_voc"] == {AS_WRITTEN.how}
    assert by_folder["detection_yolo"] == {"an image without boxes"}
    others = {"zeros", "the cat's pixels of the mask it was made from"}
    assert by_folder["segmentation"] == {IDS.how, *others}
