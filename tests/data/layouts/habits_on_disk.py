"""Helpers that write small collections as people have them on disk, and that read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from cvlib.config.schema import DataConfig
from cvlib.data import layouts
from cvlib.data.labels import CLASS, LabelKind

WIDTH, HEIGHT = 40, 20


def write_image(file: Path, size=(WIDTH, HEIGHT)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng([*str(file).encode()]).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).save(file)


def write_mask(file: Path, values=(0, 255), mode: str = "L") -> np.ndarray:
    """Write a mask with a rectangle of the second value, and return where the rectangle is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[4:12, 8:24] = True
    Image.fromarray(np.where(inside, values[1], values[0]).astype(np.uint8)).convert(mode).save(file)
    return inside


def write_classes(root: Path, *folders: str, count: int = 4) -> None:
    for folder in folders:
        for i in range(count):
            write_image(root / folder / f"{i}.png")


def read(root: Path, kind: LabelKind = CLASS, **options):
    return layouts.read(root, None, kind, DataConfig(**options))


def sizes(collection) -> dict[str, int]:
    return {split: len(samples) for split, samples in collection.splits.items()}


def labels(collection) -> dict[str, str]:
    return {s.name: collection.classes[s.label] for samples in collection.splits.values() for s in samples}


def notes(collection) -> str:
    return " · ".join([*collection.notes, *map(str, collection.findings)])


def write_table(
    root: Path, text: str, name: str = "labels.csv", encoding: str = "utf-8", folder: str = "images"
) -> None:
    for i in range(6):
        write_image(root / folder / f"{i:03}.png")
    (root / name).write_bytes(text.encode(encoding))


def rows(label, name="{:03}.png", separator=",") -> str:
    return "".join(f"{name.format(i)}{separator}{label(i)}\n" for i in range(6))
