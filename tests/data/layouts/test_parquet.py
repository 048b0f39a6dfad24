"""Parquet files of images, written here as the `datasets` library writes them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from cvlib import data
from cvlib.data.labels import BOXES, CLASS_SET
from tests.data.layouts.folders_on_disk import assert_refused, load

CLASSES = ["cat, small", "dog/large"]


@pytest.fixture(autouse=True)
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to a new working folder, because the cache is written there."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def _image(value: int, form: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(value).integers(0, 256, (8, 12, 3), np.uint8)).save(content, form)
    return content.getvalue()


def _write(file: Path, labels: list[Any], feature: Any, column: str = "label", start: int = 0, **image: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pictures = [{"bytes": _image(start + i), "path": f"../{i}.png"} | image for i in range(len(labels))]
    kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    table = pyarrow.table({"image": pyarrow.array(pictures, kind), column: labels})
    features = {"image": {"_type": "Image"}, column: feature}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), file)


def test_class_names_come_from_the_metadata_and_splits_from_the_file_names(tmp_path: Path) -> None:
    feature = {"names": CLASSES, "_type": "ClassLabel"}
    _write(tmp_path / "set/data/train-00000-of-00002.parquet", [0, 1] * 4, feature)
    _write(tmp_path / "set/data/train-00001-of-00002-abc.parquet", [0, 1], feature, start=8)
    _write(tmp_path / "set/data/test-00000-of-00001.parquet", [0, 1, -1], feature, start=10)
    dataset = load(tmp_path / "set", val_fraction=0.2)
    assert dataset.classes == CLASSES
    assert [len(split) for split in dataset.splits.values()] == [8, 2, 2]
    pixels = {np.asarray(Image.open(file)).tobytes() for split in dataset.splits.values() for file in split.images}
    assert pixels == {np.asarray(Image.open(io.BytesIO(_image(i)))).tobytes() for i in range(12)}
    numbers = {_image(number): number for number in range(12)}
    for split in dataset.splits.values():
        assert [numbers[Path(str(file)).read_bytes()] % 2 for file in split.images] == list(split.labels)


def test_a_file_is_unpacked_once_and_again_after_a_change(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    file = tmp_path / "some.parquet"
    _write(file, ["b", "a"] * 5, {"_type": "Value"})
    assert load(file).classes == ["a", "b"] and "to the cache" in capsys.readouterr().out
    assert load(file).classes == ["a", "b"] and "to the cache" not in capsys.readouterr().out
    _write(file, ["c", "a"] * 6, {"_type": "Value"})
    assert load(file).classes == ["a", "c"]


def test_lists_of_classes_and_lists_of_boxes_are_read(tmp_path: Path) -> None:
    sets = tmp_path / "sets.parquet"
    _write(sets, [[0], [1], [0, 1], []] * 3, {"feature": {"names": ["x", "y"]}}, "labels")
    dataset = data.load(_config(sets), 0, CLASS_SET)
    assert (
        dataset.classes == ["x", "y"]
        and sum(len(class_set) for split in dataset.splits.values() for class_set in split.labels) == 12
    )
    boxes = tmp_path / "boxes.parquet"
    objects = [{"bbox": [[2.0, 1.0, 4.0, 6.0], [0.0, 0.0, 3.0, 3.0]], "category": [1, 0]}] * 6
    _write(boxes, objects, {"feature": {"bbox": {}, "category": {"names": ["x", "y"]}}}, "objects")
    dataset = data.load(_config(boxes), 0, BOXES)
    label = dataset.train.labels[0]
    assert dataset.classes == ["x", "y"] and label.classes.tolist() == [1, 0]
    np.testing.assert_allclose(label.corners[0], [2, 1, 6, 7], atol=1e-5)


def _config(path: Path) -> Any:
    from cvlib.config.schema import DataConfig

    return DataConfig("folder", path=str(path))


def test_unusable_files_are_refused_in_one_line(tmp_path: Path) -> None:
    _write(tmp_path / "named.parquet", [0, 1, 0], {}, bytes=None)
    assert_refused("an image is given only by its path", tmp_path / "named.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"a": [1, 2]}), tmp_path / "table.parquet")
    assert_refused("no column holds images", tmp_path / "table.parquet")
    _write(tmp_path / "unlabelled.parquet", [0, 1], {}, "caption")
    assert_refused("no column holds labels", tmp_path / "unlabelled.parquet")
    whole = tmp_path / "whole.parquet"
    _write(whole, [0, 1] * 6, {})
    (tmp_path / "cut.parquet").write_bytes(whole.read_bytes()[:300])
    assert_refused("can't be read", tmp_path / "cut.parquet")
    assert not list((tmp_path / "work" / "outputs" / "cache" / "parquet").glob("*"))
