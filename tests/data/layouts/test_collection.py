"""Which files of a collection are images, and how the samples are named."""

from __future__ import annotations

import os

import numpy as np
import pytest
from folders_on_disk import assert_refused, load, sizes_of, write_images
from PIL import Image


def test_images_are_found_by_extension_in_any_case_and_other_files_are_left_out(tmp_path):
    write_images(tmp_path / "a", 1)
    picture = Image.open(tmp_path / "a" / "0.png")
    for extension in ("jpg", "JPEG", "bmp", "Gif", "webp", "tif", "TIFF", "PNG"):
        picture.save(tmp_path / "a" / f"kind.{extension}")
    write_images(tmp_path / "b", 9)
    for name in (".DS_Store", "._0.png", "Thumbs.db", "notes.txt", "no_extension"):
        (tmp_path / "a" / name).write_bytes(b"no image")
    write_images(tmp_path / "a" / ".hidden", 3)
    write_images(tmp_path / ".git", 3)
    (tmp_path / "loose.png").write_bytes((tmp_path / "a" / "0.png").read_bytes())
    dataset = load(tmp_path)
    assert dataset.classes == ["a", "b"] and sum(sizes_of(dataset)) == 18
    notes = " | ".join(dataset.notes)
    assert "5 × stray file, such as a/.DS_Store: not an image by name or content: left out" in notes
    assert "loose.png: not in a class folder: left out" in notes


@pytest.mark.skipif(os.name == "nt", reason="links need special permissions on Windows")
def test_links_are_followed_but_not_in_circles(tmp_path):
    write_images(tmp_path / "store" / "x", 4)
    write_images(tmp_path / "data" / "b", 4)
    (tmp_path / "data" / "a").symlink_to(tmp_path / "store" / "x")
    (tmp_path / "data" / "b" / "again").symlink_to(tmp_path / "data" / "b")
    dataset = load(tmp_path / "data")
    splits = (dataset.train, dataset.val, dataset.test)
    assert np.bincount(np.concatenate([split.labels for split in splits])).tolist() == [4, 4]


@pytest.mark.parametrize("names", [("Ünïcode class", "帽子 😀"), ("a'b,c;d#e%20", "glob[1]*"), ("-dash", "10")])
def test_unusual_names_work(tmp_path, names):
    for name in names:
        write_images(tmp_path / "my däta [1]" / name, 3)
        (tmp_path / "my däta [1]" / name / "0.png").rename(tmp_path / "my däta [1]" / name / "é 'x' #1.png")
    dataset = load(tmp_path / "my däta [1]")
    assert dataset.classes == sorted(names) and sum(sizes_of(dataset)) == 6


def test_composed_and_decomposed_unicode_name_the_same_class(tmp_path):
    write_images(tmp_path / "train" / "caf\u00e9", 5)
    write_images(tmp_path / "train" / "bar", 5)
    write_images(tmp_path / "test" / "cafe\u0301", 2)
    write_images(tmp_path / "test" / "bar", 2)
    dataset = load(tmp_path)
    assert dataset.classes == ["bar", "caf\u00e9"]
    assert "test/caf\u00e9/0.png" in dataset.test.names


def test_files_without_a_known_extension_are_recognised_by_content(tmp_path):
    for name in ("a", "b"):
        write_images(tmp_path / name, 3)
    kinds = {"PNG": "x", "JPEG": "photo", "GIF": "y.dat", "BMP": "z", "TIFF": "t", "WEBP": "w"}
    for kind, name in kinds.items():
        Image.new("RGB", (6, 4), "red").save(tmp_path / "a" / name, kind)
    (tmp_path / "a" / "BMW").write_bytes(b"BM is how this text begins, no bitmap")
    dataset = load(tmp_path)
    names = {name for split in (dataset.train, dataset.val, dataset.test) for name in split.names}
    assert {f"a/{name}" for name in kinds.values()} <= names and len(names) == 12


@pytest.mark.skipif(os.name == "nt", reason="links need special permissions on Windows")
def test_a_broken_link_is_named_in_the_error(tmp_path):
    for name in ("a", "b"):
        write_images(tmp_path / name, 3)
    (tmp_path / "a" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert_refused(r"a/gone\.png: can't be opened", tmp_path)
