"""A segmenter's predictions from another tool: a folder with a mask for each image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cvlib.data.dataset import Split
from cvlib.data.images import EXTENSIONS
from cvlib.data.labels import MASK
from cvlib.data.split import image_sizes
from cvlib.runtime.errors import UserError
from cvlib.tasks.imports import Imported, Targets, match, require_all
from cvlib.tasks.segmentation.predictions import MaskPredictions

_BATCH = 16


def read(source: Path, targets: Targets) -> Imported:
    """Return the masks in a folder, compared with the truth at the size `targets.spec`.

    A mask's values are class ids. Its name is that of its image, with any extension. Masks and truth are resized in
    the same way as for a run.
    """
    files = {file.relative_to(source).as_posix(): file for file in sorted(source.rglob("*"))
             if file.suffix.lower() in EXTENSIONS}  # fmt: skip
    matches = match(files, targets.dataset, source)
    require_all(matches, targets.names, source)
    test = targets.dataset.test
    by_position = {position: files[name] for name, position in matches.positions.items() if position is not None}
    table = _table(targets)
    readers: list[Callable[[], np.ndarray]] = [
        _MaskReader(by_position[position], (int(height), int(width)), table)
        for position, (height, width) in enumerate(image_sizes(test))
    ]
    labels: Any = readers
    if isinstance(test.labels, np.ndarray):
        labels = np.stack([reader() for reader in readers])
    else:
        for reader in readers:  # report an invalid mask now: an error within the feed doesn't count as invalid input
            reader()
    found = _compared(replace(test, labels=labels), targets)
    notes = [f"class ids: {targets.order}",
             f"masks are compared at {targets.spec.height}×{targets.spec.width} pixels (data.image_size)"]  # fmt: skip
    return Imported(found, "masks", [*notes, *matches.notes()], frozenset({"loss"}))


def _compared(predicted: Split, targets: Targets) -> MaskPredictions:
    from cvlib.data.make_feed import make_feed

    count = len(targets.dataset.classes)
    found = MaskPredictions.none(targets.dataset.classes)
    feeds = [make_feed(split, targets.spec, MASK, _BATCH, 0) for split in (targets.dataset.test, predicted)]
    one_hot = np.eye(count, dtype=np.float32)
    for (_, truth), (_, guesses) in zip(*(feed.batches() for feed in feeds), strict=True):
        # A letterbox pads both masks with an ignored id.
        found.add(np.asarray(truth), one_hot[np.minimum(np.asarray(guesses), count - 1)])
    return found


def _table(targets: Targets) -> np.ndarray:
    """Return the dataset's id of each of the tool's ids, int `(256,)`; −1 for ids without a class."""
    table = np.full(256, -1, np.int64)
    for number, name in enumerate(targets.ids[:256]):
        label = targets.numbers[name]
        table[number] = -1 if label is None else label
    return table


@dataclass(frozen=True)
class _MaskReader:
    """Reads a mask of class ids. Calling it returns uint8 `(height, width)`."""

    file: Path
    size: tuple[int, int]  # height and width of the image
    table: np.ndarray

    def __call__(self) -> np.ndarray:
        ids = _ids(self.file)
        if ids.shape != self.size:
            own, image = (f"{width}×{height}" for height, width in (ids.shape, self.size))
            raise UserError(f"{self.file}: the mask is {own}, but its image is {image}: save masks at the size of "
                            "their images")  # fmt: skip
        mask = np.where((ids >= 0) & (ids < 256), self.table[np.clip(ids, 0, 255)], -1)
        if (mask < 0).any():
            raise UserError(f"{self.file}: {int(ids[mask < 0][0])} is not a class id: list the names of the tool's "
                            "classes, in the order of their ids, with --classes")  # fmt: skip
        return mask.astype(np.uint8)


def _ids(file: Path) -> np.ndarray:
    """Return the values of a mask with one channel, int `(height, width)`; of a palette, the indices."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            kind, pixels = image.format, np.asarray(image)
    except Exception as error:
        raise UserError(f"{file}: can't be read as a mask: {' '.join(str(error).split())}") from None
    if kind == "JPEG":
        raise UserError(f"{file}: a mask in a lossy format (JPEG) has wrong ids at every edge: save masks as PNG")
    if pixels.ndim == 3 and (pixels[..., :1] == pixels[..., :3]).all():
        pixels = pixels[..., 0]
    if pixels.ndim != 2 or pixels.dtype.kind not in "uib":
        raise UserError(f"{file}: a mask needs one channel with class ids, but it has the shape {pixels.shape}")
    return pixels.astype(np.int64)
