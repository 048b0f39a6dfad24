"""The index of a large collection: equal to reading it again, and never used after a file has changed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data import index, labels, preflight, scanned
from cvlib.data.labels import BOXES, MASK
from tests.data.layouts.folders_on_disk import load, write_images

COUNT = 24  # images of a collection
SIDE = 8


def _write_images(root: Path) -> list[str]:
    write_images(root / "images", COUNT, size=(SIDE, SIDE))
    return [f"images/{number}.png" for number in range(COUNT)]


def write_folders(root: Path) -> None:
    for split, count in (("train", 9), ("test", 3)):
        for name in ("cat", "dög"):
            write_images(root / split / name, count)
    (root / "train" / "cat" / "8.png").write_bytes((root / "test" / "cat" / "0.png").read_bytes())


def write_sets(root: Path) -> None:
    cells = ["cat", "dog cat", "cow", "dog"]
    lines = [f"{name},{cells[number % 4]}" for number, name in enumerate(_write_images(root))]
    (root / "labels.csv").write_text("file,labels\n" + "\n".join(lines) + "\n")


def write_coco(root: Path) -> None:
    pictures = [{"id": number, "file_name": name, "width": SIDE, "height": SIDE}
                for number, name in enumerate(_write_images(root))]  # fmt: skip
    objects = [{"id": 2 * image + number, "image_id": image, "category_id": (image + number) % 2, "iscrowd": 0,
                "bbox": [1, 1 + number, 4.5, 3], "area": 9.5,
                "segmentation": [[1, 1, 6.25, 1, 6, 6 - number, 1, 5]]}
               for image in range(2, COUNT) for number in range(image % 3)]  # fmt: skip
    classes = [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}]
    content = {"images": pictures, "annotations": objects, "categories": classes}
    (root / "annotations").mkdir()
    (root / "annotations" / "instances.json").write_text(json.dumps(content))


def write_yolo(root: Path) -> None:
    (root / "labels").mkdir(parents=True)
    for number, _ in enumerate(_write_images(root)):
        (root / "labels" / f"{number}.txt").write_text(f"{number % 2} 0.5 0.5 0.25 0.5\n" * (number % 3 > 0))
    (root / "classes.txt").write_text("a\nb\n")


def write_masks(root: Path) -> None:
    (root / "masks").mkdir(parents=True)
    for number, _ in enumerate(_write_images(root)):
        ids = np.random.default_rng(number).integers(0, 3, (SIDE, SIDE), np.uint8)
        Image.fromarray(ids).save(root / "masks" / f"{number}.png")
    (root / "labels.csv").write_text("id,name,r,g,b\n0,background,0,0,0\n1,cat,255,0,0\n2,dog,0,255,0\n")


# A task, what writes a collection for it, and a file with labels.
COLLECTIONS: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "folders": ("classification", write_folders, "train/cat/3.png"),
    "sets": ("multilabel", write_sets, "labels.csv"),
    "coco": ("detection", write_coco, "annotations/instances.json"),
    "coco sets": ("multilabel", write_coco, "annotations/instances.json"),
    "polygons": ("segmentation", write_coco, "annotations/instances.json"),
    "yolo": ("detection", write_yolo, "labels/5.txt"),
    "masks": ("segmentation", write_masks, "masks/5.png"),
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a collection, beside the working folder."""
    monkeypatch.setattr(index, "_MIN_SAMPLES", 10)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "set"


@pytest.fixture
def collection(root: Path) -> Path:
    write_folders(root)
    return root


def _indexes() -> list[Path]:
    return list(Path("outputs/cache/index").glob("*"))


def _reads_files(monkeypatch: pytest.MonkeyPatch, path: Path, task: str = "classification", **options: Any) -> bool:
    """Return whether loading opens the files of the samples."""

    def refuse(*_: object) -> None:
        raise AssertionError("a file was scanned")

    with monkeypatch.context() as context:
        context.setattr(preflight, "scan_sample", refuse)
        try:
            load(path, task, **options)
        except AssertionError:
            return True
    return False


def _plain(label: Any) -> Any:
    """Return a label as values that can be compared."""
    if isinstance(label, labels.Boxes):
        return [None if array is None else array.tolist() for array in vars(label).values()]
    return label().tolist() if callable(label) else label


def _assert_same(one: data.Dataset, other: data.Dataset) -> None:
    for split, again in zip(one.splits.values(), other.splits.values(), strict=True):
        assert (split.names, split.images, split.digests) == (again.names, again.images, again.digests)
        assert (split.ids, split.image_digests) == (again.ids, again.image_digests)
        assert [_plain(label) for label in split.labels] == [_plain(label) for label in again.labels]
        np.testing.assert_array_equal(split.sizes, again.sizes)
        np.testing.assert_array_equal(split.groups, again.groups)
    for name in ("classes", "channels", "size", "notes", "layout", "read_as", "span", "skipped"):
        assert getattr(one, name) == getattr(other, name)
    np.testing.assert_array_equal(one.colours, other.colours)
    assert data.fingerprint(one) == data.fingerprint(other)


@pytest.mark.parametrize("name", COLLECTIONS)
def test_the_second_run_takes_what_the_first_has_found(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    task, write, _ = COLLECTIONS[name]
    write(root)
    first = load(root, task)
    assert not _reads_files(monkeypatch, root, task)
    _assert_same(first, load(root, task))
    assert _reads_files(monkeypatch, root, task, verify="full")
    _assert_same(first, load(root, task, verify="full"))


@pytest.mark.parametrize("name", COLLECTIONS)
def test_a_changed_label_file_is_seen(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Even if its length and its time of modification are the same."""
    task, write, labelled = COLLECTIONS[name]
    write(root)
    load(root, task)
    file = root / labelled
    before, content = file.stat(), file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    monkeypatch.setattr(scanned, "read_collection", lambda *_: pytest.fail("read again"))
    with pytest.raises(pytest.fail.Exception, match="read again"):
        load(root, task)


def test_the_new_labels_are_read(root: Path) -> None:
    write_yolo(root)
    before = load(root, "detection")
    (root / "labels" / "5.txt").write_text("1 0.5 0.5 0.5 0.5\n0 0.5 0.5 0.75 0.75\n")
    after = load(root, "detection")
    boxes = [sum(len(label) for split in one.splits.values() for label in split.labels) for one in (before, after)]
    assert boxes[1] == boxes[0] + 1


@pytest.mark.parametrize("change", ["content", "time", "new", "new folder", "gone", "name", "link", "folder link"])
def test_any_change_of_a_file_is_seen(collection: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    file = collection / "train" / "cat" / "3.png"
    elsewhere = collection.parent / "elsewhere"
    for number in (1, 2):
        shutil.copytree(collection / "train" / "cat", elsewhere / str(number))
    if "link" in change:
        (collection / "train" / "cow").symlink_to(elsewhere / "1")
        (collection / "train" / "dög" / "99.png").symlink_to(elsewhere / "1" / "0.png")
    load(collection)
    assert not _reads_files(monkeypatch, collection)
    if change == "content":
        file.write_bytes(b"no image")
    elif change == "time":
        os.utime(file, ns=(1, 1))
    elif change == "new":
        write_images(collection / "train" / "cat", 10)
    elif change == "new folder":
        write_images(collection / "train" / "cow", 2)
    elif change == "gone":
        file.unlink()
    elif change == "name":
        file.rename(file.with_name("33.png"))
    elif change == "link":
        (collection / "train" / "dög" / "99.png").unlink()
        (collection / "train" / "dög" / "99.png").symlink_to(elsewhere / "2" / "0.png")
    else:
        (collection / "train" / "cow").unlink()
        (collection / "train" / "cow").symlink_to(elsewhere / "2")
    assert _reads_files(monkeypatch, collection)


def test_a_changed_option_is_seen(collection: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(collection)
    assert any("exact copies in train" in note for note in first.notes)
    for option in ({"merge": {"animal": ["cat"]}}, {"classes": ["dög", "cat"]}, {"group": 1}, {"on_error": "skip"},
                   {"layout": "folder"}, {"folds": 3}):  # fmt: skip
        assert _reads_files(monkeypatch, collection, **option), option
    for option in ({"fraction": 0.5}, {"split_seed": 3}, {"batch_size": 2}, {"val_fraction": 0.3}):
        assert not _reads_files(monkeypatch, collection, **option), option
    assert len(load(collection, fraction=0.5).train) < len(first.train)


@pytest.mark.parametrize("name", COLLECTIONS)
def test_the_key_has_every_option_that_reading_uses(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    task, write, _ = COLLECTIONS[name]
    write(root)
    used: set[str] = set()

    class Watched(DataConfig):
        def __getattribute__(self, name: str) -> Any:
            used.add(name)
            return super().__getattribute__(name)

    config = Watched(name="folder", path=str(root))
    used.clear()
    kind = labels.named(task)
    scanned._scan(scanned.read_collection(config, kind), config, True)
    options = {option for option in used if not option.startswith("__")}
    assert options <= {*index.OPTIONS, "folds", "name", "path", "tfds"}


@pytest.mark.parametrize("damage", ["empty", "short", "a byte", "text"])
def test_a_damaged_index_is_made_again_with_one_line(
    collection: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    first = load(collection)
    (file,) = _indexes()
    content = file.read_bytes()
    middle = content.index(b"train/cat") + 1
    file.write_bytes({"empty": b"", "short": content[:200], "text": b"text" * 100,
                      "a byte": content[:middle] + b"?" + content[middle + 1 :]}[damage])  # fmt: skip
    capsys.readouterr()
    _assert_same(first, load(collection))
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and f"the index of {collection} can't be read" in line
    assert not _reads_files(monkeypatch, collection)
    assert capsys.readouterr().err == ""


def test_a_half_written_index_never_gets_its_name(
    collection: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[list[str]] = []

    def write_half(stream: Any, **_: object) -> None:
        stream.write(b"half")
        seen.append([file.name for file in _indexes()])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(np, "savez", write_half)
        load(collection)
    assert seen and all(name.endswith(".partial") for name in seen[0]) and _indexes() == []
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "No space left" in line
    assert _reads_files(monkeypatch, collection)


def test_files_that_the_key_does_not_cover_leave_no_index(root: Path) -> None:
    write_sets(root)
    load(root, "multilabel")
    assert len(_indexes()) == 1
    (root / "images").rename(root / ".hidden")
    table = root / "labels.csv"
    table.write_text(table.read_text().replace("images/", ".hidden/"))
    load(root, "multilabel")
    assert len(_indexes()) == 1


def test_a_label_file_as_the_path(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_coco(root)
    file = root / "annotations" / "instances.json"
    _assert_same(load(file, "detection"), load(file, "detection"))
    assert not _reads_files(monkeypatch, file, "detection")
    os.utime(root / "images" / "3.png", ns=(1, 1))
    assert _reads_files(monkeypatch, file, "detection")


def test_each_kind_of_label_has_its_own_index(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_coco(root)
    for number, (task, kind) in enumerate({"detection": BOXES, "segmentation": MASK}.items(), 1):
        assert load(root, task).kind == kind
        assert len(_indexes()) == number


def test_small_collections_leave_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "set" / "a", 6)
    write_images(tmp_path / "set" / "b", 6)
    load(tmp_path / "set")
    assert not Path("outputs").exists()
