"""Helpers that write images and masks of 9 by 6 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from cvlib.config.schema import DataConfig
from cvlib.data import layouts
from cvlib.data.labels import MASK

COLOURS = {0: (0, 0, 0), 1: (220, 60, 60), 2: (60, 110, 220), 255: (224, 224, 192)}
LABELS = "id,name,r,g,b\n" + "".join(
    f"{number},{name},{','.join(map(str, COLOURS[number]))}\n"
    for number, name in ((0, "background"), (1, "cat"), (2, "dog"), (255, "void"))
)
IDS = np.zeros((6, 9), np.uint8)
IDS[1:4, 2:5], IDS[4, 6:9], IDS[5, 0] = 1, 2, 255


def palette(colours: dict[int, tuple[int, int, int]]) -> list[int]:
    return [value for index in range(256) for value in colours.get(index, (0, 0, 0))]


def indexed(ids: np.ndarray, colours=COLOURS) -> Image.Image:
    picture = Image.fromarray(ids, "P")
    picture.putpalette(palette(colours))
    return picture


def coloured(ids: np.ndarray) -> np.ndarray:
    table = np.zeros((256, 3), np.uint8)
    for index, colour in COLOURS.items():
        table[index] = colour
    return table[ids]


def write_image(root: Path, name: str, size=(9, 6), **options) -> None:
    (root / "images").mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng([*name.encode()]).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).save(root / "images" / f"{name}.png", **options)


def write_mask(root: Path, name: str, picture: Image.Image | np.ndarray, kind="png") -> None:
    (root / "masks").mkdir(parents=True, exist_ok=True)
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(root / "masks" / f"{name}.{kind}")


def read(root: Path, **options):
    return layouts.read(root, None, MASK, DataConfig(**options))
