"""The included photographs match their READMEs, are small, and each have a licence."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cvlib.config.schema import DataConfig
from cvlib.data import photographs
from cvlib.data.labels import BOXES, CLASS, MASK, LabelKind
from cvlib.data.loading import load
from cvlib.runtime.errors import UserError
from tests.configs import CONF


def files(name: str) -> list[Path]:
    folder = photographs.folder(name)
    assert folder is not None
    return [path for path in folder.rglob("*") if path.is_file()]


def test_every_folder_is_listed_and_has_a_config() -> None:
    root = Path(photographs.__file__).parent
    assert {path.name for path in root.iterdir() if (path / "README.md").exists()} == set(photographs.NAMES)
    for name in photographs.NAMES:
        assert yaml.safe_load((CONF / "data" / f"{name}.yaml").read_text())["name"] == name
    assert photographs.folder("digits") is None


@pytest.mark.parametrize("name", photographs.NAMES)
def test_each_collection_takes_at_most_5_megabytes_and_states_its_licence(name: str) -> None:
    assert sum(path.stat().st_size for path in files(name)) <= 5e6
    (licence,) = (path for path in files(name) if path.name == "LICENSE")
    words = {"cards": "Apache License", "cats_dogs": "Attribution-ShareAlike 4.0", "clothing": "CC0 1.0 Universal"}
    assert words[name] in licence.read_text()


@pytest.mark.parametrize(("name", "kind", "classes", "counts"), [
    ("cards", BOXES, ["ace", "jack", "king", "nine", "queen", "ten"], [247, 49, 67]),
    ("cats_dogs", MASK, ["background", "cat", "dog"], [48, 15, 60]),
    ("clothing", CLASS, ["dress", "hat", "longsleeve", "outwear", "pants", "shirt", "shoes", "shorts", "skirt",
                         "t-shirt"], [720, 127, 372]),
])  # fmt: skip
def test_each_collection_is_read_with_its_own_splits(
    name: str, kind: LabelKind, classes: list[str], counts: list[int]
) -> None:
    dataset = load(DataConfig(name), 0, kind)
    assert dataset.classes == classes and dataset.channels == 3
    assert [len(split) for split in dataset.splits.values()] == counts


def test_another_path_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data.path=.* can't be used with data=clothing: use data=folder"):
        load(DataConfig("clothing", path=str(tmp_path)), 0)
