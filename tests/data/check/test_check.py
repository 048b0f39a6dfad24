"""`cvlib check` on small collections: findings, output and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.cli import main
from cvlib.data.check import check
from cvlib.data.labels import BOXES, CLASS
from cvlib.runtime.errors import UserError


def _write_photograph(path: Path, seed: int, size: tuple[int, int] = (60, 40)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path, quality=90)


def _write_collection(root: Path, numbers: dict[str, int]) -> Path:
    """Write `numbers[folder]` images to each folder."""
    seeds = iter(range(10_000))
    for folder, number in numbers.items():
        for i in range(number):
            _write_photograph(root / folder / f"{i:03}.jpg", next(seeds))
    return root


def _kinds(root: Path, **options) -> list[tuple[str, str, str]]:
    return [(f.severity, f.kind, f.path) for f in check(str(root), workers=1, **options).findings]


def test_a_collection_without_problems_is_summarised(tmp_path, capsys):
    _write_collection(tmp_path, {"train/cat": 3, "train/dog": 4, "val/cat": 1, "val/dog": 2})
    _write_photograph(tmp_path / "train/dog/large.jpg", 5000, (200, 100))
    assert main(["check", str(tmp_path)]) == 0
    assert (
        capsys.readouterr().out
        == f"""{tmp_path}: 11 files

classification (layout folder), images by class
        train  val
images      8    3
  cat       3    1
  dog       5    2
  read as class folders: 2 class folders in train, val

pictures: widths 60–200 (median 60), heights 40–100 (median 40) pixels
  formats: JPEG 11
  modes: RGB 11

no problems found
"""
    )


def test_the_exit_code_is_1_for_errors_and_2_for_invalid_arguments(tmp_path, capsys):
    _write_collection(tmp_path / "warned", {"cat": 2, "dog": 30})
    _write_collection(tmp_path / "spoiled", {"cat": 3, "dog": 3})
    (tmp_path / "spoiled/cat/000.jpg").write_bytes(b"")
    assert main(["check", str(tmp_path / "warned")]) == 0
    assert main(["check", str(tmp_path / "spoiled")]) == 1
    capsys.readouterr()
    for invalid in ([str(tmp_path / "nowhere")], [str(tmp_path), "--layout", "zip"], [str(tmp_path), "--task", "sleep"],
                    [str(tmp_path), "--output", str(tmp_path / "no" / "file")], []):  # fmt: skip
        assert main(["check", *invalid]) == 2
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1
        assert "data.path" not in error  # which this command doesn't have


def test_the_json_lists_every_finding_and_the_table_the_first_ten(tmp_path, capsys):
    _write_collection(tmp_path, {"cat": 25, "dog": 25})
    for i in range(13):
        (tmp_path / f"cat/{i:03}.jpg").write_bytes(b"no picture")
    assert main(["check", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("  not an image (13): text, not an image; remove it, or download the image again")
    assert lines[start + 1 : start + 12] == [*(f"    cat/{i:03}.jpg" for i in range(10)), "    … and 3 more"]
    assert lines[-1] == "13 errors"
    out = tmp_path.parent / "report.json"
    assert main(["check", str(tmp_path), "--output", str(out)]) == 1
    content = json.loads(out.read_text(encoding="utf-8"))
    assert [finding["path"] for finding in content["findings"]] == [f"cat/{i:03}.jpg" for i in range(13)]
    assert set(content["findings"][0]) == {"severity", "kind", "path", "message", "advice", "place"}
    assert content["numbers"] == {"error": 13, "warning": 0, "remark": 0}
    assert content["collections"][0]["images"] == {"train": 37}
    assert content["collections"][0]["holding"]["train"] == {"cat": 12, "dog": 25}
    assert content["pictures"]["widths"] == [60, 60, 60]


def test_findings_are_ordered_by_severity(tmp_path):
    _write_collection(tmp_path, {"train/cat": 4, "train/dog": 4, "test/cat": 2, "test/dog": 2})
    (tmp_path / "test/cat/000.jpg").write_bytes((tmp_path / "train/cat/000.jpg").read_bytes())
    Image.open(tmp_path / "train/dog/001.jpg").save(tmp_path / "train/dog/001.png")
    (tmp_path / "train/dog/.DS_Store").write_bytes(b"x")
    (tmp_path / "train/cat/001.jpg").rename(tmp_path / "loose.jpg")
    (tmp_path / "loose.jpg").rename(tmp_path / "train/loose.jpg")
    assert _kinds(tmp_path) == [
        ("error", "duplicate in another split", "test/cat/000.jpg"),
        ("warning", "loose image", "train/loose.jpg"),
        ("remark", "near duplicate", "train/dog/001.png"),
        ("remark", "stray file", "train/dog/.DS_Store"),
    ]


def test_classes_that_are_hard_to_learn_are_reported(tmp_path):
    _write_collection(tmp_path, {"1": 1, "2": 30, "10": 3})
    assert _kinds(tmp_path) == [
        ("warning", "imbalance", "class 1"),
        ("warning", "single-image class", "1/000.jpg"),
        ("remark", "class order", "class 1"),
    ]
    assert "30 times as many" in check(str(tmp_path), workers=1).findings[0].message


def test_class_names_that_differ_only_in_case_or_spaces_are_reported(tmp_path):
    _write_collection(tmp_path, {"Cat": 2, "cat": 3, "c at ": 1, "dog": 4})
    assert ("warning", "class name", "Cat") in _kinds(tmp_path)
    assert ("warning", "class name", "c at ") in _kinds(tmp_path)
    assert ("warning", "class name", "cat") not in _kinds(tmp_path)


def test_long_tables_show_the_most_common_and_the_rarest_classes(tmp_path, capsys):
    _write_collection(tmp_path, {f"class{i:02}": 4 if i == 20 else 2 if i == 21 else 3 for i in range(40)})
    assert main(["check", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split()[0] for line in lines if line.startswith("  class")]
    assert len(rows) == 30
    assert {"class20", "class21"} <= set(rows)
    assert rows == sorted(rows)
    assert "  only the most common and the rarest classes are shown; --format json lists 10 more" in lines


def test_a_link_to_the_whole_collection_adds_no_images(tmp_path):
    _write_collection(tmp_path, {"cat": 3, "dog": 3})
    (tmp_path / "cat" / "up").symlink_to(tmp_path)
    report = check(str(tmp_path), workers=1)
    assert [(f.kind, f.path) for f in report.findings] == [("circular link", "cat/up")]
    assert report.collections[0].images == {"train": 6}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes need POSIX")
def test_a_named_pipe_does_not_block_the_check(tmp_path):
    _write_collection(tmp_path, {"cat": 3, "dog": 3})
    os.mkfifo(tmp_path / "cat" / "pipe.jpg")
    os.mkfifo(tmp_path / "cat" / "pipe")
    assert {(kind, path) for _, kind, path in _kinds(tmp_path)} == {
        ("stray file", "cat/pipe"), ("stray file", "cat/pipe.jpg")}  # fmt: skip


def test_imbalance_is_reported_from_ten_to_one(tmp_path):
    _write_collection(tmp_path / "nine", {"a": 2, "b": 19})
    _write_collection(tmp_path / "ten", {"a": 2, "b": 20})
    assert _kinds(tmp_path / "nine") == []
    assert _kinds(tmp_path / "ten") == [("warning", "imbalance", "class a")]


def _write_coco(folder: Path, name: str, boxes: list[list[float]]) -> None:
    """Write one image of 60 × 40 pixels with these boxes of a single category."""
    _write_photograph(folder / "images" / "1.jpg", 1)
    content = {
        "images": [{"id": 7, "file_name": "1.jpg", "width": 60, "height": 40}],
        "categories": [{"id": 3, "name": "king"}],
        "annotations": [{"id": i, "image_id": 7, "category_id": 3, "bbox": box} for i, box in enumerate(boxes)],
    }
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "annotations" / name).write_text(json.dumps(content))


def test_coco_files_without_a_split_name_are_checked_separately(tmp_path):
    _write_coco(tmp_path, "first.json", [[1, 1, 20, 20]])
    _write_coco(tmp_path, "second.json", [[1, 1, 200, 20], [0, 0, 0, 5]])
    (tmp_path / "annotations" / "third.json").write_text('{"images": [')
    report = check(str(tmp_path), workers=1)
    assert [(f.severity, f.kind, f.path, f.place) for f in report.findings] == [
        ("error", "can't be read", "annotations/third.json", ""),
        ("error", "degenerate box", "annotations/second.json", "annotation 1 (annotations[1])"),
        ("error", "layout", ".", ""),
        ("warning", "box outside", "annotations/second.json", "annotation 0 (annotations[0])"),
    ]
    assert [(c.source, c.images, c.amount["train"]) for c in report.collections] == [
        ("annotations/first.json", {"train": 1}, {"king": 1}),
        ("annotations/second.json", {"train": 1}, {"king": 1}),
    ]


def test_the_path_can_be_a_label_file(tmp_path, capsys):
    _write_coco(tmp_path, "first.json", [[1, 1, 20, 20], [30, 1, 20, 20]])
    assert main(["check", str(tmp_path / "annotations" / "first.json")]) == 0
    out = capsys.readouterr().out
    assert "detection (layout coco), boxes by class" in out
    assert "king 2 read as COCO: 1 JSON file with images and annotations" in " ".join(out.split())


def test_a_wrong_size_in_a_coco_file_names_its_image(tmp_path):
    _write_coco(tmp_path, "train.json", [[1, 1, 20, 20]])
    file = tmp_path / "annotations" / "train.json"
    content = json.loads(file.read_text())
    for number in (2, 3):
        _write_photograph(tmp_path / "images" / f"{number}.jpg", number)
        content["images"].append({"id": number, "file_name": f"{number}.jpg", "width": 50, "height": 40})
    file.write_text(json.dumps(content))
    places = [(f.kind, f.place) for f in check(str(tmp_path), workers=1).findings if f.kind == "size tag"]
    assert places == [("size tag", "image 2 (images[1])"), ("size tag", "image 3 (images[2])")]


def test_images_and_pixels_of_masks_are_counted(tmp_path):
    for i in range(3):
        _write_photograph(tmp_path / "images" / f"{i}.png", i)
        (tmp_path / "masks").mkdir(exist_ok=True)
        mask = np.zeros((40, 60), np.uint8)
        mask[:10, :6] = i  # 60 pixels
        Image.fromarray(mask).save(tmp_path / "masks" / f"{i}.png")
    (tmp_path / "classes.txt").write_text("ground\ntree\nroad\n")
    report = check(str(tmp_path), workers=1)
    assert report.collections[0].holding["train"] == {"ground": 3, "tree": 1, "road": 1}
    assert report.collections[0].amount["train"] == {"ground": 3 * 2400 - 120, "tree": 60, "road": 60}
    assert report.pictures.number == 3
    assert not report.spoiled


def test_a_folder_without_labels_is_still_checked(tmp_path):
    _write_photograph(tmp_path / "1.jpg", 1)
    (tmp_path / "2.jpg").write_bytes(b"")
    assert _kinds(tmp_path) == [("error", "empty file", "2.jpg"), ("error", "layout", ".")]


def test_a_collection_in_a_subfolder_is_suggested(tmp_path):
    _write_collection(tmp_path / "mine" / "photographs", {"train/cat": 2, "train/dog": 2, "val/cat": 1, "val/dog": 1})
    (finding,) = [f for f in check(str(tmp_path / "mine"), workers=1).findings if f.severity == "error"]
    assert "photographs" in finding.message


def test_unused_images_are_not_errors(tmp_path):
    _write_coco(tmp_path, "train.json", [[1, 1, 20, 20]])
    (tmp_path / "images" / "empty.jpg").write_bytes(b"")
    _write_photograph(tmp_path / "images" / "sound.jpg", 2)
    _write_photograph(tmp_path / "elsewhere" / "sound.jpg", 3)
    assert _kinds(tmp_path) == [
        ("warning", "empty file", "images/empty.jpg"),
        ("warning", "not read", "."),
        ("remark", "unused image", "images/sound.jpg"),
    ]


def test_an_unused_image_is_reported_beside_a_damaged_one_of_the_same_name_elsewhere(tmp_path):
    _write_coco(tmp_path, "train.json", [[1, 1, 20, 20]])
    _write_photograph(tmp_path / "images" / "twin.jpg", 2)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "twin.jpg").write_bytes(b"")
    found = _kinds(tmp_path)
    assert ("warning", "empty file", "elsewhere/twin.jpg") in found
    assert ("remark", "unused image", "images/twin.jpg") in found


def test_copies_in_two_tasks_are_reported_once(tmp_path):
    _write_collection(tmp_path / "classification", {"cat": 3, "dog": 3})
    (tmp_path / "classification/cat/copy.jpg").write_bytes((tmp_path / "classification/cat/000.jpg").read_bytes())
    for name in ("000.jpg", "copy.jpg"):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / name).write_bytes((tmp_path / "classification/cat" / name).read_bytes())
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(np.eye(40, 60, dtype=np.uint8)).save(tmp_path / "masks" / name.replace("jpg", "png"))
    reported = [path for _, kind, path in _kinds(tmp_path) if kind == "duplicate"]
    assert reported == ["classification/cat/copy.jpg"]


def test_the_task_and_the_layout_can_be_given(tmp_path):
    _write_collection(tmp_path, {"cat": 2, "dog": 2})
    assert check(str(tmp_path), layout="folder", kind=CLASS, workers=1).collections[0].layout == "folder"
    (finding,) = check(str(tmp_path), kind=BOXES, workers=1).findings
    assert (finding.severity, finding.kind) == ("error", "layout")
    with pytest.raises(UserError, match="expected one of"):
        check(str(tmp_path), layout="zip")


def test_checks_and_errors_do_not_import_tensorflow(tmp_path):
    code = "import sys; from cvlib.cli import main; c = main(sys.argv[1:]); print(c, 'tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, "check", str(tmp_path / "no")], capture_output=True, text=True)
    assert done.stdout == "2 False\n"
    _write_collection(tmp_path, {"cat": 2, "dog": 2})
    done = subprocess.run([sys.executable, "-c", code, "check", str(tmp_path)], capture_output=True, text=True)
    assert done.stdout.endswith("0 False\n")
