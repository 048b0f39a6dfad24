"""Links that a checkout wrote as text files are followed."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from cvlib import prediction
from cvlib.config.schema import DataConfig
from cvlib.data import load
from cvlib.data.layouts import text_links


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a text link to the cats, real dogs, and text files that are no links."""
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    for number, place in enumerate([tmp_path / "pool/cat", data / "dog"]):
        place.mkdir(parents=True)
        for index in range(6):
            Image.new("RGB", (9, 9), (number * 90, index * 30, 7)).save(place / f"{index}.png")
    (data / "cat").write_text("../pool/cat")
    (data / "LICENSE").write_text("free")
    (data / "notes").write_text("../pool/cat\n")
    (data / "link.txt").write_text("../pool/cat")
    return data


def test_a_text_link_is_a_class_folder(folder: Path) -> None:
    dataset = load(DataConfig(name="folder", path=str(folder)), 0)
    assert dataset.classes == ["cat", "dog"]
    assert sum(len(split) for split in dataset.splits.values()) == 12


def test_predict_finds_the_images_behind_a_text_link(folder: Path) -> None:
    assert len(prediction.find_files([str(folder)])) == 12


def test_the_folder_in_the_cache_follows_the_original(folder: Path) -> None:
    mirror = text_links.followed(folder)
    assert sorted(path.name for path in mirror.iterdir()) == ["LICENSE", "cat", "dog", "link.txt", "notes"]
    assert [path.name for path in mirror.iterdir() if path.is_dir()] != [] and (mirror / "cat/0.png").exists()
    (folder / "bird").mkdir()
    assert (text_links.followed(folder) / "bird").is_dir()


def test_a_folder_without_text_links_stays_itself(folder: Path) -> None:
    (folder / "cat").unlink()
    assert text_links.followed(folder) == folder


def test_the_path_of_an_absent_or_absolute_folder_is_text(folder: Path) -> None:
    (folder / "cat").write_text("../pool/bird")
    (folder / "notes").write_text(str(folder.parent / "pool/cat"))
    assert text_links.followed(folder) == folder
