"""TensorFlow Datasets: a tiny dataset is written here and read by name; each error is one line."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data.labels import BOXES, CLASS, MASK
from cvlib.runtime.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of the library itself

IDS = np.array([[0, 1], [1, 1]], np.uint8).repeat(8, 0).repeat(10, 1)  # 16×20


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Return a data_dir in which `tiny` is prepared as after a download."""
    tfds = pytest.importorskip("tensorflow_datasets")
    folder = tmp_path_factory.mktemp("tfds")
    noise = np.random.default_rng(0)

    def examples(count):
        for i in range(count):
            image = noise.integers(0, 256, (16, 20, 3), np.uint8)
            image[0, 0] = i  # identifies the example, because the library shuffles them
            boxes = [tfds.features.BBox(0.25, 0.1, 0.75, 0.6)] * (i % 2)
            yield i, {
                "image": image, "label": i % 2,
                "objects": [{"bbox": box, "label": 1, "is_crowd": i == 3} for box in boxes],
                "mask": IDS[..., None],
            }  # fmt: skip

    class Tiny(tfds.core.GeneratorBasedBuilder):
        name = "tiny"
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            objects = {"bbox": tfds.features.BBoxFeature(), "label": tfds.features.ClassLabel(names=["cat", "dog"]),
                       "is_crowd": np.bool_}  # fmt: skip
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({
                "image": tfds.features.Image(shape=(None, None, 3)),
                "label": tfds.features.ClassLabel(names=["even", "odd"]),
                "objects": tfds.features.Sequence(objects),
                "mask": tfds.features.LabeledImage(labels=["nothing", "thing"], shape=(None, None, 1)),
            }))  # fmt: skip

        def _split_generators(self, manager):
            return {"train": examples(12), "test": examples(4)}

        def _generate_examples(self):
            raise AssertionError("the splits are generators already")

    Tiny(data_dir=folder).download_and_prepare()
    return folder


@pytest.fixture(autouse=True)
def _use_data_dir(request, monkeypatch):
    if "data_dir" in request.fixturenames:
        monkeypatch.setenv("TFDS_DATA_DIR", str(request.getfixturevalue("data_dir")))


def _load(kind, **options):
    return data.load(DataConfig(name="tfds", tfds="tiny", **options), 0, kind)


def test_class_labels_are_read(data_dir):
    dataset = _load(CLASS, val_fraction=0.25)
    assert dataset.layout == "tfds" and dataset.classes == ["even", "odd"] and dataset.size == (16, 20)
    assert [len(split) for split in (dataset.train, dataset.val, dataset.test)] == [9, 3, 4]
    numbers = []
    for split in (dataset.train, dataset.val, dataset.test):
        numbers.append([int(np.asarray(Image.open(file))[0, 0, 0]) for file in split.images])
        assert split.labels.tolist() == [number % 2 for number in numbers[-1]]
    assert sorted(numbers[0] + numbers[1]) == list(range(12)) and sorted(numbers[2]) == list(range(4))


def test_boxes_are_read(data_dir):
    dataset = _load(BOXES)
    assert dataset.classes == ["cat", "dog"]
    labels = [label for split in (dataset.train, dataset.val) for label in split.labels]
    assert sorted(len(label) for label in labels) == [0] * 6 + [1] * 6
    found = next(label for label in labels if len(label))
    assert found.classes.tolist() == [1] and np.allclose(found.corners, [[2, 4, 12, 12]])
    assert sum(int(label.crowd.sum()) for label in labels) == 1


def test_masks_are_read(data_dir):
    dataset = _load(MASK)
    assert dataset.classes == ["nothing", "thing"]
    assert np.array_equal(dataset.train.labels[0](), IDS)


def test_loading_again_writes_nothing(data_dir):
    first = data.fingerprint(_load(CLASS))
    files = {file: file.stat().st_mtime_ns for file in data_dir.rglob("*")}
    assert data.fingerprint(_load(CLASS)) == first
    assert {file: file.stat().st_mtime_ns for file in data_dir.rglob("*")} == files


def test_a_task_without_labels_is_refused_before_any_download(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(UserError, match=r"data\.tfds=beans has labels for classification, not for detection"):
        data.load(DataConfig(name="tfds", tfds="beans"), 0, BOXES)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(UserError, match=r"data\.tfds=beens is not a dataset of TensorFlow Datasets") as caught:
        data.load(DataConfig(name="tfds", tfds="beens"), 0)
    assert "\n" not in str(caught.value)


def test_a_failed_download_is_reported_in_one_line(tmp_path, monkeypatch):
    import requests

    def refuse(*args, **options):
        raise requests.exceptions.ConnectionError("no route to the host\nat all")

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(requests.Session, "get", refuse)
    monkeypatch.setattr(requests.Session, "request", refuse)
    words = r"data\.tfds=beans is not available in .*no route to the host at all.*data=digits"
    with pytest.raises(UserError, match=words):
        data.load(DataConfig(name="tfds", tfds="beans"), 0)
    assert not (tmp_path / "cvlib").exists()
