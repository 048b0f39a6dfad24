"""Groups, look-alikes and folds: images that belong together stay in one split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib import data
from cvlib.data import grouping
from cvlib.data.check import check
from cvlib.runtime.errors import UserError
from tests.data.layouts.folders_on_disk import load, write_images

FRACTIONS = (0.7, 0.15, 0.15)


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_whole_and_sizes_and_class_shares_are_nearly_exact(seed: int) -> None:
    rng = np.random.default_rng(seed)
    strata, groups = rng.integers(0, 3, 1000), rng.integers(0, 80, 1000)
    pieces = grouping.split(strata, groups, FRACTIONS, seed)
    assert sorted(np.concatenate(pieces).tolist()) == list(range(1000))
    members = [set(groups[piece].tolist()) for piece in pieces]
    assert not members[0] & members[1] and not members[0] & members[2] and not members[1] & members[2]
    np.testing.assert_allclose([len(piece) for piece in pieces], [700, 150, 150], atol=8)
    for piece, share in zip(pieces, FRACTIONS, strict=True):
        np.testing.assert_allclose(np.bincount(strata[piece]), share * np.bincount(strata), atol=12)


@pytest.mark.parametrize(("sizes", "labels"), [
    ([8, 1, 1], [0, 1, 1]), ([5, 5, 5, 1], [0, 1, 2, 2]), ([1] * 9, [0] * 9), ([30, 2, 2, 2], [0, 1, 0, 1]),
])  # fmt: skip
def test_every_split_gets_a_group_and_train_gets_every_class_if_possible(sizes: list[int], labels: list[int]) -> None:
    groups, strata = np.repeat(np.arange(len(sizes)), sizes), np.repeat(labels, sizes)
    train, val, test = grouping.split(strata, groups, FRACTIONS, 0)
    assert len(train) and len(val) and len(test)
    shared = [label for label in set(labels) if labels.count(label) > 1]
    assert set(shared) <= set(strata[train].tolist()) or len(sizes) == 3


def test_fewer_groups_than_splits_are_refused() -> None:
    with pytest.raises(UserError, match="only 2 groups for 3 splits"):
        grouping.split(np.zeros(9, int), np.repeat([0, 1], [4, 5]), FRACTIONS, 0)


def _write_patients(root: Path, count: int = 30, each: int = 6) -> None:
    """Write images that are similar within a patient but not copies; the pattern doesn't depend on the class."""
    rng = np.random.default_rng(0)
    for patient in range(count):
        pattern, label = rng.integers(0, 256, (12, 12, 3)), "ab"[patient % 2]
        for number in range(each):
            noise = rng.integers(-60, 61, pattern.shape)
            (root / label).mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(np.clip(pattern + noise, 0, 255).astype(np.uint8))
            picture.save(root / label / f"patient{patient:02d}_{number}.png")


def _nearest_neighbour_accuracy(dataset: data.Dataset) -> float:
    """Return the test accuracy of a nearest-neighbour classifier."""
    pixels = [np.stack([np.asarray(Image.open(file), float).ravel() for file in split.images])
              for split in (dataset.train, dataset.test)]  # fmt: skip
    nearest = ((pixels[1][:, None] - pixels[0][None]) ** 2).sum(-1).argmin(1)
    return float(np.mean(np.asarray(dataset.train.labels)[nearest] == np.asarray(dataset.test.labels)))


def test_nearest_neighbours_score_high_on_a_plain_split_and_at_chance_on_a_grouped_one(tmp_path: Path) -> None:
    _write_patients(tmp_path)
    plain = [_nearest_neighbour_accuracy(load(tmp_path, split_seed=seed)) for seed in range(4)]
    grouped = [load(tmp_path, group="patient[0-9]+", split_seed=seed) for seed in range(4)]
    assert min(plain) > 0.95 and 0.2 < np.mean([_nearest_neighbour_accuracy(dataset) for dataset in grouped]) < 0.8
    for dataset in grouped:
        patients = [{Path(name).name[:9] for name in split.names} for split in dataset.splits.values()]
        assert not patients[0] & patients[1] and not patients[0] & patients[2] and not patients[1] & patients[2]
    assert "data.group=patient[0-9]+: 30 groups, each in one split" in grouped[0].notes


def test_a_folder_level_or_a_table_column_defines_the_groups(tmp_path: Path) -> None:
    rows = ["file,label,site"]
    for site in range(6):
        for label in "ab":
            write_images(tmp_path / "images" / f"site{site}" / label, 3)
            rows += [f"images/site{site}/{label}/{i}.png,{label},{site % 3}" for i in range(3)]
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    column, level = load(tmp_path / "labels.csv", group="site"), load(tmp_path / "labels.csv", group=2)
    assert "data.group=site: 3 groups, each in one split" in column.notes
    assert "data.group=2: 6 groups, each in one split" in level.notes
    for dataset, count in ((column, 3), (level, 6)):
        sites = [{int(name.split("/")[1][4:]) % count for name in split.names} for split in dataset.splits.values()]
        assert sum(map(len, sites)) == len(set.union(*sites)) == count


@pytest.mark.parametrize(("group", "words"), [
    ("patient", "data.group=patient: the table has no column of that name, and a/0.png doesn't match"),
    ("(", "no column of that name, and not a valid regular expression"),
    (4, "a/0.png has folder depth 1: choose a level from 1 to 1"),
    (0, "choose a level from 1"),
    (1, "only 2 groups for 3 splits"),
])  # fmt: skip
def test_an_invalid_group_is_refused_in_one_line(tmp_path: Path, group: int | str, words: str) -> None:
    write_images(tmp_path / "a", 8)
    write_images(tmp_path / "b", 8)
    with pytest.raises(UserError) as caught:
        load(tmp_path, group=group)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_groups_are_proposed_if_file_names_suggest_them(tmp_path: Path) -> None:
    _write_patients(tmp_path / "some")
    words = ("image names suggest 30 groups, such as patient00, which a split may divide; "
             "data.group='patient[0-9]+'")  # fmt: skip
    assert any(words in note for note in load(tmp_path / "some").notes)
    assert not any("names suggest" in note for note in load(tmp_path / "some", group="patient[0-9]+").notes)
    report = check(str(tmp_path / "some"), workers=1)
    assert [finding.kind for finding in report.findings].count("groups") == 1
    for label in "ab":
        write_images(tmp_path / "plain" / label, 12)
    assert not any("names suggest" in note for note in load(tmp_path / "plain").notes)


def test_groups_divided_by_the_collections_own_splits_are_noted(tmp_path: Path) -> None:
    for split, count in (("train", 6), ("test", 2)):
        for label in "ab":
            write_images(tmp_path / split / label, count)
    dataset = load(tmp_path, group="[0-9]+")
    assert "the collection's own splits divide 2 groups: they are in train and in test" in dataset.notes


def test_copies_and_look_alikes_stay_in_one_split(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for number in range(40):
        smooth = rng.integers(0, 256, (4, 4, 3), np.uint8)
        picture = Image.fromarray(smooth).resize((64, 64), Image.Resampling.BICUBIC)
        folder = tmp_path / "ab"[number % 2]
        folder.mkdir(exist_ok=True)
        picture.save(folder / f"{number}.png")
        if number < 10:
            picture.save(folder / f"{number}_copy.png")
            picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / f"{number}_small.jpg", quality=60)
    for seed in range(4):
        dataset = load(tmp_path, split_seed=seed)
        for number in range(10):
            found_in = [split for split, part in dataset.splits.items() for name in part.names
                        if Path(name).stem.split("_")[0] == str(number)]  # fmt: skip
            assert len(found_in) == 3 and len(set(found_in)) == 1
        assert any(note.startswith("20 images look like an earlier image") for note in dataset.notes)


def test_look_alikes_are_not_grouped_if_all_images_look_the_same() -> None:
    image = np.random.default_rng(0).integers(0, 256, 1024, np.uint8).tobytes()
    keys, digests = [None] * 50, [str(number) for number in range(50)]
    assert len(set(grouping.together(keys, digests, [image] * 50).tolist())) == 50
    assert len(set(grouping.together(keys, ["same"] * 2 + digests[2:], None).tolist())) == 49


def test_folds_are_disjoint_complete_and_stratified(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 20)
    write_images(tmp_path / "b", 10)
    folds = [load(tmp_path, folds=5, fold=fold, split_seed=1) for fold in range(5)]
    assert sorted(name for dataset in folds for name in dataset.test.names) == sorted(
        name for split in folds[0].splits.values() for name in split.names
    )
    for dataset in folds:
        assert np.bincount(dataset.test.labels).tolist() == [4, 2]
        assert sum(map(len, dataset.splits.values())) == 30 and len(dataset.val) == 4
    assert "data.folds=5: fold 2 is the test split" in folds[2].notes


def test_folds_also_divide_the_collections_own_splits_and_keep_groups_whole(tmp_path: Path) -> None:
    for split, count in (("train", 12), ("test", 6)):
        for label in "ab":
            write_images(tmp_path / split / label, count)
    folds = [load(tmp_path, folds=3, fold=fold, group="([0-9]+).png") for fold in range(3)]
    assert sum(len(dataset.test) for dataset in folds) == 36
    numbers = [{Path(name).stem for name in dataset.test.names} for dataset in folds]
    assert not numbers[0] & numbers[1] and not numbers[1] & numbers[2] and not numbers[0] & numbers[2]
    assert any("the collection's own test split is divided as well" in note for note in folds[0].notes)


def test_arrays_can_be_divided_into_folds() -> None:
    from cvlib.config.schema import DataConfig

    folds = [data.load(DataConfig("digits", samples=100, folds=4, fold=fold), 0) for fold in range(4)]
    assert len({name for dataset in folds for name in dataset.test.names}) == 100
    with pytest.raises(UserError, match=r"Invalid data\.fold=4: expected 0 to 3 with data\.folds=4"):
        data.load(DataConfig("digits", samples=100, folds=4, fold=4), 0)
