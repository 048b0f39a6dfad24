"""Samples for the evaluation of a saved run: the run's own splits, other data, and refused data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data.input_spec import InputSpec
from cvlib.evaluation import samples
from cvlib.models.restore import open_run
from cvlib.runtime.errors import UserError
from tests import configs
from tests.small_runs import write_record


def test_data_with_only_void_masks_is_refused(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "classes.txt").write_text("background\ncat\n")
    Image.new("RGB", (8, 8)).save(tmp_path / "images/a.png")
    chosen = configs.config("segmenter", filters=[4], data=DataConfig(tasks=["segmentation"]))
    write_record(tmp_path / "run", chosen, InputSpec(8, 8, 3), ["background", "cat"])
    run = open_run(tmp_path / "run")
    other = DataConfig("folder", ["segmentation"], path=str(tmp_path), layout="masks")
    for value in (255, 1):
        Image.fromarray(np.full((8, 8), value, np.uint8)).save(tmp_path / "masks/a.png")
        if value == 255:
            with pytest.raises(UserError, match="every pixel of its masks is void"):
                samples.choose(run, None, other)
    assert len(samples.choose(run, None, other).split) == 1


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    write_record(tmp_path / "run", configs.config(), InputSpec(8, 8, 1), list("0123456789"))
    with pytest.raises(UserError, match="invalid split validation: expected one of train, val, test"):
        samples.choose(open_run(tmp_path / "run"), "validation")


def test_a_runs_own_data_keeps_its_splits(tmp_path: Path) -> None:
    write_record(tmp_path / "run", configs.config(), InputSpec(8, 8, 1), list("0123456789"))
    run = open_run(tmp_path / "run")
    plain = samples.choose(run, None)
    assert plain.split is plain.dataset.test
    moved = {"train": plain.dataset.train.names + plain.dataset.val.names[1:], "val": plain.dataset.test.names,
             "test": plain.dataset.val.names[:1]}  # fmt: skip
    (tmp_path / "run/splits.json").write_text(json.dumps(moved))
    assert samples.choose(open_run(tmp_path / "run"), "test").split.names == moved["test"]
    assert samples.choose(open_run(tmp_path / "run"), "val").split.names == moved["val"]


@pytest.mark.parametrize("known", ["split_fingerprints", "data_fingerprint"])
def test_moved_data_is_divided_as_in_the_run(tmp_path: Path, known: str) -> None:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "old" / name).mkdir(parents=True)
        for number in range(6):
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(tmp_path / f"old/{name}/{number}.png")
    chosen = configs.config("cnn", data=DataConfig("folder", path=str(tmp_path / "old")))
    found = data.load(chosen.data, chosen.seed)
    prints = {"split_fingerprints": data.split_fingerprints(found), "data_fingerprint": data.fingerprint(found)}
    write_record(tmp_path / "run", chosen, InputSpec(8, 8, 1), found.classes, **{known: prints[known]})
    (tmp_path / "run/splits.json").write_text(json.dumps({name: one.names for name, one in found.splits.items()}))
    run = open_run(tmp_path / "run")
    (tmp_path / "old").rename(tmp_path / "new")
    with pytest.raises(UserError, match=r"if the images have moved, set data\.path to their new place"):
        samples.choose(run, "test")
    other = DataConfig("folder", path=str(tmp_path / "new"))
    for split in ("test", "val"):
        moved = samples.choose(run, split, other)
        assert (moved.name, moved.split.names) == (split, found.splits[split].names)
        np.testing.assert_array_equal(moved.split.labels, found.splits[split].labels)
    Image.new("L", (8, 8), 7).save(tmp_path / "new" / found.test.names[0])
    changed = samples.choose(run, None, other)
    assert len(changed.split) == 12
    assert any(note.startswith(f"{len(found.train)} of these 12 images have the names") for note in changed.notes)
