"""Palettes, overlays and indexed files of masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from cvlib.data.dataset import IGNORE
from cvlib.viz import masks


def test_generated_colours_are_distinguishable() -> None:
    colours = masks.palette(20)[[*range(20), IGNORE]].astype(int)
    assert tuple(colours[0]) == (0, 0, 0)
    distances = np.linalg.norm(colours[:, None] - colours[None], axis=-1)
    assert distances[~np.eye(21, dtype=bool)].min() > 30
    assert distances[:11, :11][~np.eye(11, dtype=bool)].min() > 60
    assert len({tuple(colour) for colour in masks.palette(256).tolist()}) == 256


def test_a_datasets_own_colours_come_first() -> None:
    own = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    colours = masks.palette(2, own)
    np.testing.assert_array_equal(colours[:2], own)
    assert tuple(colours[IGNORE]) == (224, 224, 224)


def test_an_overlay_colours_only_objects() -> None:
    image = np.full((1, 3, 1), 100, np.uint8)
    colours = masks.palette(2, np.array([[9, 9, 9], [200, 0, 50]], np.uint8))
    found = masks.overlay(image, np.array([[0, 1, IGNORE]]), colours, opacity=0.5)
    assert found.tolist() == [[[100, 100, 100], [150, 50, 75], [100, 100, 100]]]


def test_an_indexed_png_keeps_ids_and_colours(tmp_path: Path) -> None:
    mask = np.array([[0, 1, 2], [IGNORE, 1, 0]], np.uint8)
    colours = masks.palette(3)
    masks.save_indexed(mask, colours, tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as opened:
        assert opened.mode == "P"
        np.testing.assert_array_equal(np.asarray(opened), mask)
        np.testing.assert_array_equal(np.asarray(opened.convert("RGB")), colours[mask])


def test_a_sheet_shows_each_mask_and_a_legend() -> None:
    images = np.full((3, 8, 8, 1), 77, np.uint8)
    truth = [np.zeros((8, 8), np.uint8), np.ones((8, 8), np.uint8), np.full((8, 8), IGNORE)]
    colours = masks.palette(2)
    drawn = masks.sheet(images, [("truth", truth)], ["a", "b", "c"], ["ground", "cat"], colours)
    for colour, least in ((77, 3), (colours[1], 1), (colours[IGNORE], 1)):
        assert (drawn == colour).all(axis=-1).sum() >= least * 144 * 144


def test_a_legend_shows_the_colour_of_every_class() -> None:
    colours = masks.palette(3)
    picture = masks.legend(["background", "cat", "dog"], colours)
    assert {tuple(colour) for colour in colours[:3].tolist()} <= set(map(tuple, picture.reshape(-1, 3).tolist()))
