"""JSON files and JSON lines that hold one object per image."""

from __future__ import annotations

import json

import pytest

from cvlib.data.labels import BOXES, CLASS_SET
from cvlib.runtime.errors import UserError
from tests.data.layouts.habits_on_disk import labels, read, sizes, write_image

EXPECTED = {f"images/{i}.png": ["cat", "dog"][i % 2] for i in range(4)}


def _write(root, name, entries, lines=True):
    for i in range(4):
        write_image(root / "images" / f"{i}.png", (8, 6))
    text = "".join(json.dumps(entry) + "\n" for entry in entries) if lines else json.dumps(entries)
    (root / name).write_text(text)


def _manifest(i):
    return {
        "source-ref": f"s3://bucket/images/{i}.png",
        "job": i % 2,
        "job-metadata": {"class-name": ["cat", "dog"][i % 2]},
    }


@pytest.mark.parametrize(("name", "entries"), [
    ("metadata.jsonl", [{"file_name": name, "label": label} for name, label in EXPECTED.items()]),
    ("output.manifest", [_manifest(i) for i in range(4)]),
    ("labels.json", EXPECTED),
    ("project-1.json", [{"image": f"/data/upload/1/{name}", "id": i, "choice": label, "annotator": 1}
                        for i, (name, label) in enumerate(EXPECTED.items())]),
])  # fmt: skip
def test_classes_are_read(tmp_path, name, entries):
    _write(tmp_path, name, entries, not name.endswith(".json"))
    for root in (tmp_path, tmp_path / name):
        found = read(root)
        assert labels(found) == EXPECTED and found.layout == "csv" and not found.findings


@pytest.mark.parametrize("objects", [
    lambda i: {"file_name": f"{i}.png", "objects": {"bbox": [[1, 2, 4, 3]] * i, "categories": ["cat"] * i}},
    lambda i: {
        "source-ref": f"s3://b/{i}.png", "boxes-metadata": {"class-map": {"0": "cat"}},
        "boxes": {"annotations": [{"class_id": 0, "left": 1, "top": 2, "width": 4, "height": 3}] * i},
    },
])  # fmt: skip
def test_boxes_are_read(tmp_path, objects):
    _write(tmp_path, "metadata.jsonl", [objects(i) for i in (1, 2, 0, 3)])
    found = read(tmp_path, BOXES)
    assert found.classes == ["cat"] and sizes(found) == {"train": 4}
    assert {sample.name: sample.label.corners.tolist() for sample in found.splits["train"]} == {
        f"images/{i}.png": [[1, 2, 5, 5]] * i for i in range(4)
    }


def test_lists_of_tags_are_sets_of_classes(tmp_path):
    _write(tmp_path, "metadata.jsonl", [{"file_name": f"{i}.png", "tags": ["a", "b"][: 1 + i % 2]} for i in range(4)])
    assert [set(sample.label) for sample in read(tmp_path, CLASS_SET).splits["train"]] == [{0}, {0, 1}, {0}, {0, 1}]


@pytest.mark.parametrize(("name", "entries"), [
    ("metadata.jsonl", [{"file_name": f"{i}.png", "text": f"a photo of thing {i}"} for i in range(4)]),
    ("metadata.jsonl", [{"file_name": f"{i}.png", "size": {"width": 8}, "label": "a"} for i in range(4)]),
    ("tasks.json", [{"image": f"{i}.png", "label": [{"x": 1, "original_width": 8}]} for i in range(4)]),
    ("labels.json", {"0.png": "cat", "1.png": "dog"}),
])  # fmt: skip
def test_other_json_is_refused_or_read_in_part_with_words(tmp_path, name, entries):
    _write(tmp_path, name, entries, not name.endswith(".json"))
    if name == "labels.json":
        assert labels(read(tmp_path)) == {"images/0.png": "cat", "images/1.png": "dog"}
        return
    with pytest.raises(UserError, match=r"JSON|the images are in images|no column is recognised"):
        read(tmp_path)
