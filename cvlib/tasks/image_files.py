"""Shared code for tasks whose saved networks return one row of probabilities per image file."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cvlib.data import resampling
from cvlib.data.input_spec import InputSpec

if TYPE_CHECKING:
    import keras

_BATCH = 32
_PER_SHEET = 48


def probabilities(
    model: keras.Model, images: Iterable[tuple[Path | None, np.ndarray]], spec: InputSpec
) -> Iterator[tuple[Path | None, np.ndarray, np.ndarray]]:
    """Yield each file, its pixels resized to the network's size, and its probabilities `(classes,)`, in order.

    `images` are files with their pixels, uint8 `(height, width, channels)`.
    """
    resized = ((file, resampling.image(pixels, spec.size, spec.resize)) for file, pixels in images)
    while batch := list(itertools.islice(resized, _BATCH)):
        rows = model.predict(np.stack([pixels for _, pixels in batch]).astype(np.float32), verbose=0)
        for (file, pixels), row in zip(batch, rows, strict=True):
            yield file, pixels, row


def write_sheets(folder: Path, tiles: Sequence[np.ndarray], captions: Sequence[str]) -> None:
    """Write contact sheets of 48 images each as predictions-1.png, …; delete earlier sheets."""
    from cvlib.viz import pictures

    for earlier in folder.glob("predictions-*.png"):
        earlier.unlink()
    for number, start in enumerate(range(0, len(tiles), _PER_SHEET), 1):
        part = slice(start, start + _PER_SHEET)
        sheet = pictures.contact_sheet(np.stack(tiles[part]), captions[part], columns=8)
        pictures.save_png(sheet, folder / f"predictions-{number}.png")
