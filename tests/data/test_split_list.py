"""The split list of a run restores its splits, even if the splitting code has changed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data import splits
from cvlib.data.dataset import Dataset, Split
from cvlib.data.labels import MASK
from cvlib.runtime.errors import UserError


def sample_names(dataset: Dataset) -> dict[str, list[str]]:
    return {name: part.names for name, part in dataset.splits.items()}


def small_dataset(names: str = "abcdef", kind: str = "classification") -> Dataset:
    """Return a dataset with two samples per split; sample i has pixels and label (or mask) i."""
    images = np.arange(len(names), dtype=np.uint8)[:, None, None, None] + np.zeros((1, 2, 2, 1), np.uint8)
    labels = np.arange(len(names)) if kind == "classification" else images[..., 0]
    whole = Split(list(names), images, labels)
    return Dataset("some", kind, list("pqrstu"), 1, (2, 2), *(whole.take([i, i + 1]) for i in (0, 2, 4)), [])


def test_a_split_list_overrides_the_splits_of_the_data() -> None:
    earlier, current = data.load(DataConfig(split_seed=0), 0), data.load(DataConfig(split_seed=1), 0)
    assert earlier.test.names != current.test.names
    found = splits.divided_as(current, sample_names(earlier))
    assert sample_names(found) == sample_names(earlier) and found.notes == []
    assert data.fingerprint(found) == data.fingerprint(earlier)


@pytest.mark.parametrize("kind", ["classification", "segmentation"])
def test_pixels_and_labels_stay_with_their_names(kind: str) -> None:
    found = splits.divided_as(small_dataset(kind=kind), {"train": ["f", "a"], "val": ["c"], "test": ["e", "b", "d"]})
    assert found.train.names == ["f", "a"] and found.test.names == ["e", "b", "d"]
    for part in found.splits.values():
        numbers = ["abcdef".index(name) for name in part.names]
        assert part.images[:, 0, 0, 0].tolist() == numbers
        assert np.asarray(part.labels).reshape(len(part), -1)[:, 0].tolist() == numbers


def test_new_samples_are_left_out_and_missing_samples_are_noted() -> None:
    found = splits.divided_as(small_dataset(), {"train": ["a", "x"], "val": ["b"], "test": ["c", "y", "z"]})
    assert sample_names(found) == {"train": ["a"], "val": ["b"], "test": ["c"]}
    assert found.notes == ["3 images are not in the run's split list and are left out (such as d)",
                           "3 images of the run's split list are missing (such as x)"]  # fmt: skip


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(UserError, match="all of the run's val images are missing \\(such as x\\)") as caught:
        splits.divided_as(small_dataset(), {"train": ["a"], "val": ["x"], "test": ["b"]})
    assert "\n" not in str(caught.value)


def test_digests_sizes_and_ids_stay_with_their_samples() -> None:
    whole = small_dataset(kind="segmentation")
    parts = {name: dataclasses.replace(part, digests=[f"digest {sample}" for sample in part.names],
                                       sizes=np.array([[ord(sample), 2] for sample in part.names]),
                                       ids=[frozenset([ord(sample)]) for sample in part.names])
             for name, part in whole.splits.items()}  # fmt: skip
    found = splits.divided_as(dataclasses.replace(whole, **parts), {"train": ["e", "a"], "val": ["c"], "test": ["b"]})
    assert found.train.digests == ["digest e", "digest a"] and found.kind == MASK
    assert found.train.sizes.tolist() == [[101, 2], [97, 2]] and found.train.ids == [{101}, {97}]


def test_samples_that_the_earlier_run_trained_on_are_moved_to_train() -> None:
    found = splits.keep_apart(small_dataset(), {"train": ["c", "e", "a"], "val": ["d"], "test": ["b"]})
    assert sample_names(found) == {"train": ["a", "b", "c", "e"], "val": ["d"], "test": ["f"]}
    assert found.train.labels.tolist() == [0, 1, 2, 4]
    (note,) = found.notes
    assert "moved to train" in note and "1 of 2 val, 1 of 2 test images" in note


def test_nothing_changes_if_the_earlier_run_saw_none_of_the_samples() -> None:
    whole = small_dataset()
    assert splits.keep_apart(whole, {"train": ["a", "b", "x"]}) is whole


def test_an_empty_test_split_is_refused() -> None:
    with pytest.raises(UserError, match="trained on every test image"):
        splits.keep_apart(small_dataset(), {"train": ["e", "f"]})
