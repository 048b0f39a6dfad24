"""Images with more than 8 bits share one range of values per collection; TIFF files can have many bands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data import depth, images
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import CLASS
from cvlib.data.make_feed import make_feed
from cvlib.runtime.errors import UserError


def _write_collection(root: Path, dtype: str, low: float, high: float, kind: str = "tif") -> None:
    """Write twelve images of two classes with values from `low` to `high`; no single file covers the whole range."""
    for number in range(12):
        values = np.linspace(low, high, 24)[number : number + 12].reshape(3, 4)
        if number == 11:
            values[-1, -1] = high
        file = root / "ab"[number % 2] / f"{number}.{kind}"
        file.parent.mkdir(parents=True, exist_ok=True)
        if kind == "tif":
            tifffile.imwrite(file, values.astype(dtype))
        else:
            Image.fromarray(values.astype(dtype)).save(file)


def _load(root: Path, **options) -> data.Dataset:
    return data.load(DataConfig(name="folder", path=str(root), **options), 0)


@pytest.mark.parametrize(("dtype", "low", "high", "kind"), [
    ("uint16", 0, 4095, "png"), ("int16", -1000, 3000, "tif"), ("float32", 0, 1.3, "tif"),
    ("uint16", 100, 60000, "png"),
])  # fmt: skip
def test_all_images_of_a_collection_share_one_range(tmp_path, dtype, low, high, kind):
    _write_collection(tmp_path, dtype, low, high, kind)
    dataset = _load(tmp_path)
    assert dataset.span == pytest.approx((low, high), abs=1e-6)
    assert any("to 255 in all images" in note for note in dataset.notes)
    files = [file for split in dataset.splits.values() for file in split.images]
    read = {file.stem: images.read_image(file, 1, dataset.span) for file in files}
    assert read["0"].min() == 0 and read["11"].max() == 255
    assert read["0"][1, 0, 0] == read["4"][0, 0, 0]  # equal values become equal levels in every file


def test_a_configured_range_takes_precedence(tmp_path):
    _write_collection(tmp_path, "uint16", 0, 1000, "png")
    dataset = _load(tmp_path, range=[0, 2000])
    assert dataset.span == (0, 2000) and any("data.range" in note for note in dataset.notes)
    assert max(images.read_image(file, 1, dataset.span).max() for file in dataset.train.images) <= 128


def test_mixed_bit_depths_are_noted(tmp_path):
    _write_collection(tmp_path, "uint16", 0, 4095, "png")
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(tmp_path / "a" / "eight.png")
    dataset = _load(tmp_path)
    assert dataset.span is None and any("the others have 8" in note for note in dataset.notes)


def test_8_bit_collections_have_no_range(tmp_path):
    for number in range(6):
        file = tmp_path / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((3, 4), number, np.uint8)).save(file)
    assert _load(tmp_path).span is None


def test_the_feed_applies_the_range(tmp_path):
    _write_collection(tmp_path, "uint16", 0, 4095, "png")
    dataset = _load(tmp_path)
    spec = InputSpec(3, 4, 1, span=dataset.span)
    ((batch, _),) = list(make_feed(dataset.train, spec, CLASS, len(dataset.train), 0).batches())
    expected = [images.read_image(file, 1, dataset.span) for file in dataset.train.images]
    assert np.array_equal(batch, np.stack(expected).astype(np.float32)) and batch.max() > 200


@pytest.mark.parametrize("axes", ["last", "first", "pages"])
def test_bands_are_detected_from_the_files(tmp_path, axes):
    for number in range(6):
        file = tmp_path / "ab"[number % 2] / f"{number}.tif"
        file.parent.mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 3000, (9, 8, 5)).astype(np.uint16)
        if axes == "last":
            tifffile.imwrite(file, pixels, photometric="minisblack", planarconfig="contig")
        else:
            planar = {"planarconfig": "separate"} if axes == "first" else {}
            tifffile.imwrite(file, np.moveaxis(pixels, -1, 0), photometric="minisblack", **planar)
        assert np.array_equal(depth.bands(file.read_bytes()), pixels)
    dataset = _load(tmp_path)
    assert dataset.channels == 5 and any("5 bands (channels)" in note for note in dataset.notes)
    assert images.read_image(dataset.train.images[0], 5, dataset.span).shape == (9, 8, 5)
    assert images.read_image(dataset.train.images[0], 3, dataset.span).shape == (9, 8, 3)
    with pytest.raises(UserError, match="it has 5 bands, not 7"):
        images.read_image(dataset.train.images[0], 7, dataset.span)


def test_an_rgb_tiff_is_not_read_as_bands(tmp_path):
    Image.new("RGB", (4, 3)).save(tmp_path / "a.tif")
    assert depth.bands((tmp_path / "a.tif").read_bytes()) is None and depth.bands(b"no tiff") is None
    with pytest.raises(UserError, match="not a TIFF file with 5 bands"):
        images.read_image(tmp_path / "a.tif", 5)
